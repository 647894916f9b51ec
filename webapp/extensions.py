"""Flask's extensions, not yet bound to an application. Imports nothing of ours, so every module may import it."""

from ipaddress import IPv6Address, ip_address
from typing import cast

from flask import current_app, request
from flask_limiter import Limiter
from flask_login import LoginManager
from flask_mail import Mail
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect
from redis import Redis

from webapp.config import Settings
from webapp.keys import KeyRing
from webapp.models.base import Base


def network() -> str:
    """The client's address for rate limits; of an IPv6 address the /64, because one machine may use all of it."""
    given = request.remote_addr or ""
    try:
        address = ip_address(given)
    except ValueError:  # a socket has no address
        return given or "nowhere"
    if not isinstance(address, IPv6Address):
        return given
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> 64 << 64))


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})
migrate = Migrate(render_as_batch=True, compare_type=True)
csrf = CSRFProtect()
login = LoginManager()
mail = Mail()
# Swallow errors: if the broker disappears during a request, counting is not worth a 500.
limiter = Limiter(network, in_memory_fallback_enabled=True, swallow_errors=True, headers_enabled=False)


def settings() -> Settings:
    """The running installation's settings."""
    return cast(Settings, current_app.extensions["settings"])


def keyring() -> KeyRing:
    """The running installation's secret keys."""
    return cast(KeyRing, current_app.extensions["keyring"])


def broker() -> Redis:
    """The broker, with timeouts short enough for a request that only wakes a worker."""
    return cast(Redis, current_app.extensions["broker"])
