"""Builds the application: extensions, hooks and blueprints in their order, and nothing else."""

import jinja2
from flask import Flask
from sqlalchemy.engine import URL, make_url
from werkzeug.middleware.proxy_fix import ProxyFix

from webapp import cli
from webapp.config import PROJECT, Settings
from webapp.database.transactions import listen

# Not as `mail`: the module webapp.delivery.mail, once imported, takes that name here.
from webapp.extensions import csrf, db, limiter, login, migrate
from webapp.extensions import mail as flask_mail
from webapp.keys import KeyRing
from webapp.runtime import failpoints
from webapp.runtime.broker import connect
from webapp.web import cookies, error_pages, incoming, presentation, request_log, security, signin
from webapp.web.assets import init_assets
from webapp.web.attempts import Counters


def wire(settings: Settings, *, web: bool = True) -> Flask:
    """Build the application for these settings."""
    app = Flask("webapp", root_path=str(PROJECT), static_folder=None)
    app.jinja_env.undefined = jinja2.StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.config.from_mapping(_flask_config(settings))
    app.session_interface = cookies.Sessions()
    app.extensions["settings"] = settings
    failpoints.arm(settings.failpoints, "web" if web else "worker")
    app.extensions["keyring"] = KeyRing((settings.secret_key, *settings.secret_key_fallbacks))
    app.extensions["broker"] = connect(settings.redis_url, timeout=0.2)
    app.extensions["attempts"] = Counters()
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]

    request_log.init(app)
    db.init_app(app)
    with app.app_context():
        listen(db.engine)
    migrate.init_app(app, db, directory=str(PROJECT / "migrations"))
    security.init(app)
    incoming.init(app)
    limiter.init_app(app)
    csrf.init_app(app)
    login.init_app(app)
    flask_mail.init_app(app)
    signin.init(app)
    error_pages.init(app)
    presentation.init(app)
    if web:
        init_assets(app, settings)
    cli.init(app)
    _register_blueprints(app, settings)
    if web:
        _register_api(app)
    signin.check_every_route_has_an_audience(app)
    return app


def database(settings: Settings) -> URL:
    """The address of the database. For the data folder it is built from parts, because the name of the folder may
    contain characters with a meaning in URLs."""
    if settings.database_url:
        return make_url(settings.database_url)
    return URL.create("sqlite", database=str(settings.data / "countersign.db"))


def _register_blueprints(app: Flask, settings: Settings) -> None:
    from webapp import admin, approver, auth, catalog, dashboard, sso
    from webapp.web import health

    app.before_request(health.refuse_another_version)
    for module in (health, auth, sso, dashboard, catalog, approver, admin):
        app.register_blueprint(module.bp)
    if settings.mailbox:
        from webapp import hookviewer, mailbox

        app.register_blueprint(mailbox.bp)
        app.register_blueprint(hookviewer.bp)


def _register_api(app: Flask) -> None:
    """Not in a worker: its models of what comes in take 15 MB."""
    from webapp import api, scim

    app.register_blueprint(api.bp)
    app.register_blueprint(api.pages)
    app.register_blueprint(scim.bp)


def _flask_config(settings: Settings) -> dict[str, object]:
    redis_url = settings.redis_url
    # hide_parameters keeps personal data and texts out of the log when a statement fails.
    engine: dict[str, object] = {"pool_size": 5, "max_overflow": 15, "hide_parameters": True}
    if database(settings).get_backend_name() == "postgresql":
        connect: dict[str, object] = {"application_name": "countersign"}
        if not settings.database_prepared:
            connect["prepare_threshold"] = None  # a pool of transactions gives each another server process
        engine |= {"connect_args": connect}
    return {
        "SECRET_KEY": settings.secret_key,
        "SECRET_KEY_FALLBACKS": list(settings.secret_key_fallbacks),
        "SESSION_COOKIE_NAME": cookies.name(cookies.SESSION, secure=settings.secure),
        "SESSION_COOKIE_SECURE": settings.secure,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",  # Strict would break the links in emails
        "SESSION_REFRESH_EACH_REQUEST": False,
        "PERMANENT_SESSION_LIFETIME": signin.REMEMBERED_SESSION_LASTS,
        # The fields of a multipart body; incoming.py limits each kind of body.
        "MAX_FORM_MEMORY_SIZE": 256 * 1024,
        "MAX_FORM_PARTS": incoming.FIELDS_LIMIT,
        "SQLALCHEMY_DATABASE_URI": database(settings),
        "SQLALCHEMY_ENGINE_OPTIONS": engine,
        "WTF_CSRF_TIME_LIMIT": None,
        # Oldest first, as itsdangerous expects: a form that was open during a key change can still be sent.
        "WTF_CSRF_SECRET_KEY": [*reversed(settings.secret_key_fallbacks), settings.secret_key],
        # Pages behind links send no Referer, which this check needs; security.py checks Sec-Fetch-Site instead.
        "WTF_CSRF_SSL_STRICT": False,
        "RATELIMIT_STORAGE_URI": redis_url.replace("unix://", "redis+unix://", 1),
        "RATELIMIT_STORAGE_OPTIONS": {"socket_timeout": 0.2, "socket_connect_timeout": 0.2, "retry": None},
        "RATELIMIT_KEY_PREFIX": "countersign",
        "RATELIMIT_STRATEGY": "fixed-window",
        "MAIL_SERVER": settings.mail_server,
        "MAIL_PORT": settings.mail_port,
        "MAIL_USE_TLS": settings.mail_use_tls,
        "MAIL_USE_SSL": settings.mail_use_ssl,
        "MAIL_USERNAME": settings.mail_username or None,
        "MAIL_PASSWORD": settings.mail_password or None,
        "MAIL_DEFAULT_SENDER": settings.mail_default_sender,
    }
