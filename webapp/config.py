"""Environment variables → one frozen Settings. A bad value stops the start with a sentence."""

import hashlib
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from webapp import hosts

PROJECT = Path(__file__).resolve().parent.parent


class SettingsError(Exception):
    """The environment does not make sense; `str(error)` says what to change."""


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
            port=_number(environ, "PORT", 8000, 1, 65535),
            processes=_number(environ, "WEB_CONCURRENCY", 2, 1, 200),
            threads=_number(environ, "WEB_THREADS", 4, 1, 200),
            connections=_number(environ, "WEB_CONNECTIONS", 1000, 10, 100_000),
            header_timeout=_number(environ, "WEB_HEADER_TIMEOUT", 20, 1, 3600),
            body_timeout=_number(environ, "WEB_BODY_TIMEOUT", 60, 1, 3600),
            access_log=_flag(environ, "ACCESS_LOG", default=False),
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that differs between installations. Times are in seconds."""

    data: Path
    secret_key: str
    database_url: str  # "" for SQLite in the data folder: wiring.database()
    redis_url: str
    base_url: str
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

    @property
    def secure(self) -> bool:
        """Whether people reach us over https; cookies follow."""
        return self.base_url.startswith("https://")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Reads the environment; raises SettingsError."""
        return _read(os.environ if environ is None else environ)


def broker_socket(data: Path) -> Path:
    """Where the embedded broker listens: in the data folder, or, where that path is too long for a socket
    (104 bytes on macOS), in a private folder of this user's."""
    socket = data.resolve() / "valkey" / "valkey.sock"
    if len(str(socket).encode()) <= 100:
        return socket
    name = hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:10]
    return Path(tempfile.gettempdir()) / f"countersign-{os.getuid()}-{name}" / "valkey.sock"


def _read(env: Mapping[str, str]) -> Settings:
    database_url = env.get("DATABASE_URL", "").strip()
    embedded = _flag(env, "COUNTERSIGN_EMBEDDED", default=not database_url)
    data = Path(env.get("COUNTERSIGN_DATA") or PROJECT / "var").expanduser().resolve()
    port = WebSettings.from_env(env).port
    if embedded:
        try:
            data.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"The data folder {data} cannot be made: {error.strerror}.") from None
    secret = env.get("SECRET_KEY", "") or (embedded_secret(data) if embedded else "")
    if not secret:
        raise SettingsError("SECRET_KEY is missing. Set it to a long random text and keep it: links depend on it.")
    if len(secret) < 16:
        raise SettingsError("SECRET_KEY is too short: give it at least 16 characters, better 43 random ones.")
    base_url = env.get("BASE_URL", "").strip().rstrip("/")
    if not base_url and embedded:
        base_url = f"http://127.0.0.1:{port}"
    base_url, host = _check_base_url(base_url)
    loopback = hosts.is_loopback(host)
    redis_url = env.get("REDIS_URL", "").strip()
    if not redis_url and not embedded:
        raise SettingsError("REDIS_URL is missing, for example redis://127.0.0.1:6379/0.")
    if redis_url and not redis_url.startswith(("redis://", "rediss://", "unix://")):
        raise SettingsError(f"REDIS_URL is {redis_url!r}. It begins with redis://, rediss:// or unix://.")
    mail_server = env.get("MAIL_SERVER", "").strip()
    if not mail_server and not embedded:
        raise SettingsError("MAIL_SERVER is missing: Countersign's mails need a mail server to go through.")
    mailbox = embedded and not mail_server and loopback
    sink_host, _, sink_port = env.get("COUNTERSIGN_SINK", "127.0.0.1:0").rpartition(":")
    tls, ssl = _flag(env, "MAIL_USE_TLS", default=False), _flag(env, "MAIL_USE_SSL", default=False)
    if tls and ssl:
        raise SettingsError("MAIL_USE_TLS and MAIL_USE_SSL exclude each other: set one of them.")
    demo = _flag(env, "COUNTERSIGN_DEMO", default=embedded)
    trusted = tuple(hosts.trusted(one) or one for one in env.get("TRUSTED_HOSTS", "").split(",") if one.strip())
    return Settings(
        data=data,
        secret_key=secret,
        secret_key_fallbacks=tuple(
            one.strip() for one in env.get("SECRET_KEY_FALLBACKS", "").split(",") if one.strip()
        ),
        database_url=_database_url(database_url) if database_url else "",
        redis_url=redis_url or f"unix://{quote(str(broker_socket(data)))}",
        base_url=base_url,
        embedded=embedded,
        demo=demo,
        mailbox=mailbox,
        port=port,
        trusted_hosts=trusted or ((host,) if not loopback else (host, "127.0.0.1", "localhost", "[::1]")),
        trusted_proxies=_number(env, "TRUSTED_PROXIES", 0, 0, 10),
        mail_server=mail_server or sink_host,
        mail_port=_number(env, "MAIL_PORT", 465 if ssl else 587 if tls else 25, 1, 65535)
        if mail_server
        else _number({"COUNTERSIGN_SINK": sink_port}, "COUNTERSIGN_SINK", 0, 0, 65535),
        mail_use_tls=tls,
        mail_use_ssl=ssl,
        mail_username=env.get("MAIL_USERNAME", ""),
        mail_password=env.get("MAIL_PASSWORD", ""),
        mail_default_sender=env.get("MAIL_DEFAULT_SENDER", "") or f"countersign@{_mail_domain(host)}",
        mail_timeout=float(_number(env, "MAIL_TIMEOUT", 20, 1, 300)),
        log_level=_log_level(env, "WARNING" if embedded else "INFO"),
        audit_anchor=Path(env["AUDIT_ANCHOR"]).expanduser().resolve() if env.get("AUDIT_ANCHOR", "").strip() else None,
        failpoints=_failpoints(env, loopback),
    )


def embedded_secret(data: Path) -> str:
    """The data folder's own secret key, made on first use and readable by its owner only."""
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
        # Written beside and linked into place, so that of two first starts both read the same key.
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


def _database_url(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise SettingsError("DATABASE_URL is not an address, for example postgresql://user:password@host/name.")
    if scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        return f"postgresql+psycopg://{rest}"
    if scheme in ("sqlite", "sqlite+pysqlite"):
        return url
    raise SettingsError(f"DATABASE_URL begins with {scheme}://. Countersign runs on postgresql:// and sqlite://.")


def _check_base_url(url: str) -> tuple[str, str]:
    """(the address with its host in its one form, the host)."""
    if not url:
        raise SettingsError("BASE_URL is missing: the address people open, for example https://apps.example.com.")
    try:
        parts = urlsplit(url)
        number = parts.port
    except ValueError:
        raise SettingsError(f"BASE_URL is {url}. Its host or port cannot be right.") from None
    host, port = hosts.canonical_netloc(parts.netloc)
    extra = parts.path or parts.query or parts.fragment or parts.username is not None or number == 0
    if parts.scheme not in ("http", "https") or not host or extra or any(one.isspace() for one in url):
        raise SettingsError(f"BASE_URL is {url}. It has to be http:// or https://, a host, and nothing behind it.")
    if parts.scheme == "http" and not hosts.is_loopback(host):
        raise SettingsError("BASE_URL has to begin with https:// on anything but this machine itself.")
    if port == {"http": ":80", "https": ":443"}[parts.scheme]:
        port = ""  # browsers leave it out
    return f"{parts.scheme}://{host}{port}", host


def _mail_domain(host: str) -> str:
    """Of the sender, unless it is set: the host's name, if it has one that mail can come from."""
    return "example.com" if hosts.is_loopback(host) or host.startswith("[") else host


def _flag(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = env.get(name, "").strip().lower()
    if not value:
        return default
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("0", "false", "no", "off"):
        return False
    raise SettingsError(f"{name} is {value!r}. Set it to 1 or 0.")


def _log_level(env: Mapping[str, str], default: str) -> str:
    level = env.get("LOG_LEVEL", "").strip().upper() or default
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise SettingsError(f"LOG_LEVEL is {level!r}. Set it to DEBUG, INFO, WARNING or ERROR.")
    return level


def _failpoints(env: Mapping[str, str], loopback: bool) -> str:
    folder = env.get("COUNTERSIGN_FAILPOINTS", "").strip()
    if folder and not loopback:
        raise SettingsError(
            "COUNTERSIGN_FAILPOINTS lets tests kill this process, so it is for this machine only: "
            "take it away, or set BASE_URL to http://127.0.0.1."
        )
    return folder


def _number(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    value = env.get(name, "").strip()
    if not value:
        return default
    if not (value.isascii() and value.isdigit() and len(value) < 10) or not low <= int(value) <= high:
        raise SettingsError(f"{name} is {value!r}. Set it to a number from {low} to {high}.")
    return int(value)
