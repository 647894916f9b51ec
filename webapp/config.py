"""Environment variables → one frozen Settings. A bad value stops the start with a sentence."""

import hashlib
import os
import secrets
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from webapp import hosts
from webapp import setting_values as values
from webapp.setting_values import SettingsError

__all__ = ["PROJECT", "Settings", "SettingsError", "WebSettings", "broker_socket", "embedded_secret", "version"]

PROJECT = Path(__file__).resolve().parent.parent
# Every setting that an installation can set.
NAMES = (
    "DATABASE_URL", "DATABASE_PREPARED", "REDIS_URL", "BASE_URL", "SECRET_KEY", "SECRET_KEY_FALLBACKS",
    "TRUSTED_HOSTS", "TRUSTED_PROXIES", "MAIL_SERVER", "MAIL_PORT", "MAIL_USE_TLS", "MAIL_USE_SSL", "MAIL_USERNAME",
    "MAIL_PASSWORD", "MAIL_DEFAULT_SENDER", "MAIL_TIMEOUT", "COUNTERSIGN_DATA", "COUNTERSIGN_DEMO",
    "COUNTERSIGN_EMBEDDED", "PORT", "WEB_CONCURRENCY", "WEB_THREADS", "WEB_CONNECTIONS", "WEB_HEADER_TIMEOUT",
    "WEB_BODY_TIMEOUT", "ACCESS_LOG", "AUDIT_ANCHOR", "LOG_LEVEL", "OUTGOING_NETWORKS",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class WebSettings:
    """How the web's processes run. Times are in seconds."""

    port: int
    processes: int
    threads: int
    connections: int
    header_timeout: int
    body_timeout: int
    access_log: bool

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "WebSettings":
        """Reads the environment; raises SettingsError."""
        return cls(
            port=values.number(environ, "PORT", 8000, 1, 65535),
            processes=values.number(environ, "WEB_CONCURRENCY", 2, 1, 200),
            threads=values.number(environ, "WEB_THREADS", 4, 1, 200),
            connections=values.number(environ, "WEB_CONNECTIONS", 1000, 10, 100_000),
            header_timeout=values.number(environ, "WEB_HEADER_TIMEOUT", 20, 1, 3600),
            body_timeout=values.number(environ, "WEB_BODY_TIMEOUT", 60, 1, 3600),
            access_log=values.flag(environ, "ACCESS_LOG", default=False),
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that differs between installations. Times are in seconds."""

    data: Path
    secret_key: str
    database_url: str  # "" for SQLite in the data folder: wiring.database()
    redis_url: str
    base_url: str
    database_prepared: bool = True  # whether PostgreSQL keeps statements of ours prepared
    embedded: bool = False
    demo: bool = False
    mailbox: bool = False
    port: int = 8000
    secret_key_fallbacks: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    trusted_proxies: int = 0
    mail_server: str = "127.0.0.1"
    mail_port: int = 25
    mail_use_tls: bool = False
    mail_use_ssl: bool = False
    mail_username: str = ""
    mail_password: str = ""
    mail_default_sender: str = "countersign@example.com"
    mail_timeout: float = 20.0
    log_level: str = "INFO"
    audit_anchor: Path | None = None  # in the data folder unless set
    failpoints: str = ""
    outgoing_networks: tuple[values.Network, ...] = ()  # of ours that webhooks and chat may reach

    @property
    def secure(self) -> bool:
        """Whether the site is reached over https; decides about the names of cookies."""
        return self.base_url.startswith("https://")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Reads the environment; raises SettingsError."""
        return _read(os.environ if environ is None else environ)


def version() -> str:
    """The version of Countersign, from pyproject.toml."""
    return str(tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"])


def broker_socket(data: Path) -> Path:
    """Where the embedded broker listens: in the data folder, or, where that path is too long for a socket
    (104 bytes on macOS), in a private folder of this user's."""
    socket = data.resolve() / "valkey" / "valkey.sock"
    if len(str(socket).encode()) <= 100:
        return socket
    name = hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:10]
    return Path(tempfile.gettempdir()) / f"countersign-{os.getuid()}-{name}" / "valkey.sock"


def _read(env: Mapping[str, str]) -> Settings:
    values.check_form(env, NAMES)
    database_url = env.get("DATABASE_URL", "").strip()
    embedded = values.flag(env, "COUNTERSIGN_EMBEDDED", default=not database_url)
    port = WebSettings.from_env(env).port
    data = values.data_folder(env.get("COUNTERSIGN_DATA", ""), PROJECT / "var")
    secret = _secret(env, "SECRET_KEY") or (embedded_secret(data) if embedded else "")
    if not secret:
        raise SettingsError(
            "SECRET_KEY is not set. Set it to a long random value and keep it: sign-ins, links and the audit log "
            "depend on it."
        )
    if len(secret) < 16:
        raise SettingsError("SECRET_KEY is too short. Use at least 16 characters, better 43 random ones.")
    base_url = env.get("BASE_URL", "").strip().rstrip("/")
    if not base_url and embedded:
        base_url = f"http://127.0.0.1:{port}"
    base_url, host = values.base_url(base_url)
    loopback = hosts.is_loopback(host)
    redis_url = env.get("REDIS_URL", "").strip()
    if not redis_url and not embedded:
        raise SettingsError("REDIS_URL is not set. Set it to an address such as redis://127.0.0.1:6379/0.")
    mail_server = env.get("MAIL_SERVER", "").strip()
    if not mail_server and not embedded:
        raise SettingsError("MAIL_SERVER is not set. Countersign needs a mail server to send email.")
    mailbox = embedded and not mail_server and loopback
    sink_host, _, sink_port = env.get("COUNTERSIGN_SINK", "127.0.0.1:0").rpartition(":")
    tls, ssl = values.flag(env, "MAIL_USE_TLS", default=False), values.flag(env, "MAIL_USE_SSL", default=False)
    if tls and ssl:
        raise SettingsError("Set either MAIL_USE_TLS or MAIL_USE_SSL, not both.")
    demo = values.flag(env, "COUNTERSIGN_DEMO", default=embedded)
    username, password = env.get("MAIL_USERNAME", "").strip(), _secret(env, "MAIL_PASSWORD")
    values.mail_sign_in(username, password)
    default_sender = env.get("MAIL_DEFAULT_SENDER", "").strip()
    return Settings(
        data=data,
        secret_key=secret,
        secret_key_fallbacks=tuple(
            one.strip() for one in env.get("SECRET_KEY_FALLBACKS", "").split(",") if one.strip()
        ),
        database_url=values.database_url(database_url) if database_url else "",
        database_prepared=values.flag(env, "DATABASE_PREPARED", default=True),
        redis_url=values.redis_url(redis_url) if redis_url else f"unix://{quote(str(broker_socket(data)))}",
        base_url=base_url,
        embedded=embedded,
        demo=demo,
        mailbox=mailbox,
        port=port,
        trusted_hosts=values.trusted_hosts(env.get("TRUSTED_HOSTS", ""), host),
        trusted_proxies=values.number(env, "TRUSTED_PROXIES", 0, 0, 10),
        mail_server=values.mail_server(mail_server) if mail_server else sink_host,
        mail_port=values.number(env, "MAIL_PORT", 465 if ssl else 587 if tls else 25, 1, 65535)
        if mail_server
        else values.number({"COUNTERSIGN_SINK": sink_port}, "COUNTERSIGN_SINK", 0, 0, 65535),
        mail_use_tls=tls,
        mail_use_ssl=ssl,
        mail_username=username,
        mail_password=password,
        mail_default_sender=values.sender(default_sender) if default_sender else f"countersign@{_mail_domain(host)}",
        mail_timeout=float(values.number(env, "MAIL_TIMEOUT", 20, 1, 300)),
        log_level=_log_level(env, "WARNING" if embedded else "INFO"),
        audit_anchor=values.anchor_file(env.get("AUDIT_ANCHOR", "")),
        failpoints=_failpoints(env, loopback),
        outgoing_networks=values.networks(env.get("OUTGOING_NETWORKS", "")),
    )


def embedded_secret(data: Path) -> str:
    """The secret key of the data folder, created on first use and readable by its owner only."""
    path = data / "secret_key"
    for _ in range(2):
        try:
            secret = path.read_text().strip()
        except FileNotFoundError:
            pass
        else:
            if secret:
                return secret
            raise SettingsError(f"{path} is empty. Restore it from a backup, or delete it to make a new key.")
        # Written to another file and linked into place, so that two first starts read the same key.
        fresh = data / f"secret_key.{secrets.token_hex(4)}"
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text().strip()


def _secret(env: Mapping[str, str], name: str) -> str:
    """Read a secret unchanged, even with blanks around it, because it may be in use. Only blanks count as empty."""
    value = env.get(name, "")
    return value if value.strip() else ""


def _mail_domain(host: str) -> str:
    """The default domain of the sender: the host name, if email can come from it."""
    return "example.com" if hosts.is_loopback(host) or host.startswith("[") else host


def _log_level(env: Mapping[str, str], default: str) -> str:
    level = env.get("LOG_LEVEL", "").strip().upper() or default
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise SettingsError(f"LOG_LEVEL is {level!r}. Set it to DEBUG, INFO, WARNING or ERROR.")
    return level


def _failpoints(env: Mapping[str, str], loopback: bool) -> str:
    folder = env.get("COUNTERSIGN_FAILPOINTS", "").strip()
    if folder and not loopback:
        raise SettingsError("COUNTERSIGN_FAILPOINTS is for tests only. Remove it, or set BASE_URL to http://127.0.0.1.")
    return folder
