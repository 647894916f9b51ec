"""Flask's extensions, unbound: a leaf that every other module may import."""

from typing import cast

from flask import current_app
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager
from flask_mail import Mail
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect
from redis import Redis

from webapp.config import Settings
from webapp.keys import KeyRing
from webapp.models.base import Base

db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})
migrate = Migrate(render_as_batch=True, compare_type=True)
csrf = CSRFProtect()
login = LoginManager()
mail = Mail()
limiter = Limiter(get_remote_address, in_memory_fallback_enabled=True, headers_enabled=False)


def settings() -> Settings:
    """The running installation's settings."""
    return cast(Settings, current_app.extensions["settings"])


def keyring() -> KeyRing:
    """The running installation's secret keys."""
    return cast(KeyRing, current_app.extensions["keyring"])


def broker() -> Redis:
    """The broker, with time-outs short enough for a request that merely rings the bell."""
    return cast(Redis, current_app.extensions["broker"])
