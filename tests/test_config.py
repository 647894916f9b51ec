"""The environment: sensible defaults, and a sentence for what makes no sense."""

import stat
import threading
from pathlib import Path

import pytest
from flask_migrate import upgrade
from redis import Redis
from sqlalchemy import URL

from webapp import create_app
from webapp.config import NAMES, Settings, SettingsError, broker_socket, embedded_secret
from webapp.database.transactions import choose
from webapp.embedded.broker import Broker
from webapp.extensions import db
from webapp.wiring import database

OUTSIDE = {
    "DATABASE_URL": "postgresql://u:p@db.example/countersign",
    "REDIS_URL": "redis://redis.example:6379/0",
    "SECRET_KEY": "k" * 43,
    "BASE_URL": "https://apps.example.com",
    "MAIL_SERVER": "smtp.example.com",
}


def embedded(tmp_path: Path, **changes: str) -> Settings:
    return Settings.from_env({"COUNTERSIGN_DATA": str(tmp_path), **changes})


def outside(tmp_path: Path, **changes: str) -> Settings:
    return Settings.from_env({"COUNTERSIGN_DATA": str(tmp_path), **OUTSIDE, **changes})


def test_nothing_set_is_the_embedded_stack(tmp_path: Path) -> None:
    found = embedded(tmp_path)
    assert (found.embedded, found.demo, found.mailbox, found.secure) == (True, True, True, False)
    assert database(found) == URL.create("sqlite", database=f"{tmp_path}/countersign.db")
    assert found.redis_url == f"unix://{broker_socket(tmp_path)}"
    assert found.base_url == "http://127.0.0.1:8000"
    assert {"127.0.0.1", "localhost"} <= set(found.trusted_hosts)


def test_the_port_is_in_the_address(tmp_path: Path) -> None:
    assert embedded(tmp_path, PORT="9123").base_url == "http://127.0.0.1:9123"


def test_production_takes_what_it_is_given(tmp_path: Path) -> None:
    found = outside(tmp_path, SECRET_KEY_FALLBACKS="old-one, older-one,", TRUSTED_PROXIES="1")
    assert (found.embedded, found.demo, found.mailbox, found.secure) == (False, False, False, True)
    assert found.database_url == "postgresql+psycopg://u:p@db.example/countersign"
    assert found.secret_key_fallbacks == ("old-one", "older-one")
    assert found.trusted_hosts == ("apps.example.com",)
    assert (found.mail_port, found.mail_default_sender) == (25, "countersign@apps.example.com")
    assert not (tmp_path / "secret_key").exists()


@pytest.mark.parametrize(("changes", "port"), [({}, 25), ({"MAIL_USE_TLS": "1"}, 587), ({"MAIL_USE_SSL": "yes"}, 465)])
def test_the_mail_port_follows_the_kind_of_encryption(tmp_path: Path, changes: dict[str, str], port: int) -> None:
    assert outside(tmp_path, **changes).mail_port == port
    assert outside(tmp_path, **changes, MAIL_PORT="2525").mail_port == 2525


@pytest.mark.parametrize("name", ["SECRET_KEY", "BASE_URL", "REDIS_URL", "MAIL_SERVER"])
def test_production_does_not_start_without(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        outside(tmp_path, **{name: ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", "short"),
        *(("BASE_URL", bad) for bad in (
            "apps.example.com", "ftp://apps.example.com", "http://apps.example.com", "https://apps.example.com/sub",
            "https://apps.example.com?x=1", "https://apps.example.com#x", "https://", "https://[", "https://h:port",
            "https://h:99999", "https://user:pw@apps.example.com", "https://apps example.com", "https://a\tb.example",
        )),
        *(("DATABASE_URL", bad) for bad in (
            "mysql://x/y", "nonsense", "oracle://x", "postgresql://u:p@h", "postgresql://u:p@h/", "postgresql://u:p@h:70000/x",
            "postgresql://u:p@h:port/x", "postgresql://u:p/w@h/x", "postgresql://u:p#w@h/x", "postgresql://u:p[w@h/x",
            "postgresql+asyncpg://u:p@h/x", "sqlite://", "sqlite:///:memory:", "sqlite:////no/such/folder/x.db",
            "sqlite:////tmp", "sqlite://host/x.db", "'postgresql://u:p@h/x'", '"postgresql://u:p@h/x"',
        )),
        *(("REDIS_URL", bad) for bad in (
            "127.0.0.1:6379", "http://h:6379", "redis://", "redis://:6379", "redis://h:70000/0", "redis://h:x/0",
            "redis://:p#w@h:6379/0", "redis://:p/w@h:6379/0", "redis://h:6379/cache", "unix://", '"redis://h:6379/0"',
        )),
        *((name, bad) for name in ("PORT", "MAIL_PORT", "WEB_CONCURRENCY", "WEB_THREADS", "WEB_CONNECTIONS",
                                   "WEB_HEADER_TIMEOUT", "WEB_BODY_TIMEOUT", "MAIL_TIMEOUT")
          for bad in ("0", "-1", "http", "²", "٣", "8 0", "9" * 5000, "1.5", "1e3", "'8'", "70000000")),
        *((name, bad) for name in ("PORT", "MAIL_PORT") for bad in ("65536", "70000")),
        ("TRUSTED_PROXIES", "11"),
        ("TRUSTED_PROXIES", "many"),
        ("TRUSTED_PROXIES", "-1"),
        *(("TRUSTED_HOSTS", bad) for bad in (
            "https://apps.example.com", "apps.example.com/", "*", "*.example.com", "apps example.com", "a@b",
            "other.example", "apps.example.com,https://b", "'apps.example.com'",
        )),
        *(("MAIL_SERVER", bad) for bad in (
            "smtps://smtp.example.com", "smtp://smtp.example.com:587", "smtp.example.com:587", "user@smtp.example.com",
            "smtp.example.com/", "smtp example.com", '"smtp.example.com"', ":25", "a" * 300,
        )),
        *(("MAIL_DEFAULT_SENDER", bad) for bad in (
            "Müller, IT <it@example.com>", "it", "it@", "@example.com", "it@example.com, b@example.com",
            "it at example.com",
            "<>", "IT <it@example.com> x", "'it@example.com'", "it@exam ple.com", "it@example.com\nBcc: x@example.com",
        )),
        *((name, bad) for name in ("MAIL_USE_TLS", "MAIL_USE_SSL", "COUNTERSIGN_DEMO", "COUNTERSIGN_EMBEDDED",
                                   "ACCESS_LOG", "DATABASE_PREPARED") for bad in ("perhaps", "2", "-1", "'1'")),
        *(("LOG_LEVEL", bad) for bad in ("LOUD", "10", "'INFO'")),
        *(("AUDIT_ANCHOR", bad) for bad in ("/no/such/folder/anchor.jsonl", "/tmp", "~nobody-of-that-name/anchor")),
        *((name, "a\nb") for name in NAMES),
        *((name, "a" * 5000) for name in NAMES),
    ],
)  # fmt: skip
def test_a_value_that_makes_no_sense_stops_the_start_with_a_sentence(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        outside(tmp_path, **{name: value})
    sentence = str(refusal.value)
    assert name in sentence
    assert len(sentence) < 300
    assert "p/w" not in sentence and "p#w" not in sentence and "u:p" not in sentence


@pytest.mark.parametrize("name", NAMES)
def test_a_setting_that_is_empty_or_blank_is_one_that_is_not_set(tmp_path: Path, name: str) -> None:
    if name in OUTSIDE or name == "COUNTERSIGN_DATA":
        return
    assert outside(tmp_path, **{name: ""}) == outside(tmp_path, **{name: "  "}) == outside(tmp_path)


def test_blanks_around_a_value_do_not_matter(tmp_path: Path) -> None:
    changes = {name: f" {value} " for name, value in OUTSIDE.items() if name != "SECRET_KEY"}
    assert outside(tmp_path, **changes, MAIL_PORT=" 25 ", LOG_LEVEL=" info ") == outside(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "field", "found"),
    [
        ("MAIL_SERVER", "[::1]", "mail_server", "::1"),
        ("MAIL_SERVER", "SMTP.Example.com.", "mail_server", "smtp.example.com"),
        ("MAIL_DEFAULT_SENDER", "IT <it@example.com>", "mail_default_sender", "it@example.com"),
        ("REDIS_URL", "rediss://:p%23w@h:6379/1", "redis_url", "rediss://:p%23w@h:6379/1"),
        ("REDIS_URL", "unix:///run/redis.sock", "redis_url", "unix:///run/redis.sock"),
        ("DATABASE_URL", "postgres:///name?host=/run", "database_url", "postgresql+psycopg:///name?host=/run"),
        ("TRUSTED_HOSTS", ".example.com", "trusted_hosts", (".example.com",)),
        ("DATABASE_PREPARED", "0", "database_prepared", False),
    ],
)
def test_what_can_be_read_in_one_way_only_is_taken(
    tmp_path: Path, name: str, value: str, field: str, found: object
) -> None:
    assert getattr(outside(tmp_path, **{name: value}), field) == found


@pytest.mark.parametrize(("name", "other"), [("MAIL_USERNAME", "MAIL_PASSWORD"), ("MAIL_PASSWORD", "MAIL_USERNAME")])
def test_half_a_mail_sign_in_is_a_sentence(tmp_path: Path, name: str, other: str) -> None:
    with pytest.raises(SettingsError, match=f"{other} is not set"):
        outside(tmp_path, **{name: "countersign"})


def test_a_data_folder_that_cannot_be_written_to_is_a_sentence_in_production_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SettingsError, match="data folder"):
        outside(tmp_path / "file" / "data")
    with pytest.raises(SettingsError, match="data folder"):
        outside(tmp_path, COUNTERSIGN_DATA="~nobody-of-that-name/data")
    with pytest.raises(SettingsError, match="data folder"):
        outside(Path("/proc/countersign"))


def test_both_kinds_of_encryption_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not both"):
        outside(tmp_path, MAIL_USE_TLS="1", MAIL_USE_SSL="1")


def test_a_broken_sink_address_is_a_sentence_too(tmp_path: Path) -> None:
    assert embedded(tmp_path, COUNTERSIGN_SINK="127.0.0.1:2525").mail_port == 2525
    with pytest.raises(SettingsError, match="COUNTERSIGN_SINK"):
        embedded(tmp_path, COUNTERSIGN_SINK="127.0.0.1:smtp")


def test_a_data_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SettingsError, match="data folder"):
        embedded(tmp_path / "file" / "data")


@pytest.mark.parametrize(
    ("changes", "mailbox"),
    [
        ({}, True),
        ({"MAIL_SERVER": "smtp.example.com"}, False),
        ({"BASE_URL": "https://apps.example.com"}, False),
        ({"BASE_URL": "http://localhost:8000"}, True),
        ({"BASE_URL": "http://127.0.0.2:8000"}, True),
        ({"BASE_URL": "http://[::1]:8000"}, True),
    ],
)
def test_the_mailbox_is_there_only_with_the_sink_on_this_machine(
    tmp_path: Path, changes: dict[str, str], mailbox: bool
) -> None:
    assert embedded(tmp_path, **changes).mailbox is mailbox


@pytest.mark.parametrize("host", ["127.0.0.1.example.com", "localhost.example.com", "10.0.0.1", "0.0.0.0"])
def test_what_only_looks_like_this_machine_needs_https(tmp_path: Path, host: str) -> None:
    with pytest.raises(SettingsError, match="https"):
        embedded(tmp_path, BASE_URL=f"http://{host}")


def test_the_demo_is_for_the_embedded_mode_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert not embedded(tmp_path, COUNTERSIGN_DEMO="0").demo
    assert outside(tmp_path, COUNTERSIGN_DEMO="1").demo


def test_the_secret_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    first = embedded(tmp_path).secret_key
    assert len(first) >= 43
    assert embedded(tmp_path).secret_key == first
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]
    assert embedded(tmp_path, SECRET_KEY="s" * 16).secret_key == "s" * 16


def test_an_empty_secret_key_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text("\n")
    with pytest.raises(SettingsError, match="empty"):
        embedded(tmp_path)


def test_of_many_first_starts_all_read_the_same_key(tmp_path: Path) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(embedded_secret(tmp_path))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert len(set(found)) == 1


def test_a_long_data_folder_gets_a_socket_elsewhere(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    assert len(str(broker_socket(long)).encode()) <= 104
    assert broker_socket(long) != broker_socket(tmp_path / ("y" * 100))


@pytest.mark.parametrize(
    ("given", "address", "host"),
    [
        ("http://[::1]:8944", "http://[::1]:8944", "[::1]"), ("http://[0:0:0:0:0:0:0:1]", "http://[::1]", "[::1]"),
        ("http://LOCALHOST:8944", "http://localhost:8944", "localhost"),
        ("http://127.0.0.1:80", "http://127.0.0.1", "127.0.0.1"),
        ("https://[2001:DB8::5]", "https://[2001:db8::5]", "[2001:db8::5]"),
        ("https://Apps.Example.COM.:443/", "https://apps.example.com", "apps.example.com"),
        ("https://straße.example", "https://xn--strae-oqa.example", "xn--strae-oqa.example"),
        ("https://bu\u0308cher.example:444", "https://xn--bcher-kva.example:444", "xn--bcher-kva.example"),
    ],
)  # fmt: skip
def test_the_address_has_the_form_that_browsers_send(tmp_path: Path, given: str, address: str, host: str) -> None:
    found = outside(tmp_path, BASE_URL=given)
    assert found.base_url == address
    assert found.trusted_hosts[0] == host
    assert "[" not in found.mail_default_sender


@pytest.mark.parametrize("bad", ["https://", "https://:443", "https://[::1", "https://a b", "https://x@y", "https://☃.example",
                                 "https://[nothing]", "https://a:99999", "https://..."])  # fmt: skip
def test_an_address_that_is_none_is_refused_with_a_sentence(tmp_path: Path, bad: str) -> None:
    with pytest.raises(SettingsError, match="BASE_URL"):
        outside(tmp_path, BASE_URL=bad)


def test_trusted_hosts_are_taken_in_any_way_to_write_them(tmp_path: Path) -> None:
    found = outside(tmp_path, TRUSTED_HOSTS="Apps.Example.com., [::1]:80, ::1, .Internal.example, bücher.example:8080")
    assert found.trusted_hosts == (
        "apps.example.com", "[::1]", "[::1]", ".internal.example", "xn--bcher-kva.example",
    )  # fmt: skip


@pytest.mark.parametrize(
    "name", ["a?b=c&d", "100%", "%41%2e", "a#b", "dä tä ß", "a b\"c'd", "a;b", "a\\b", "日本", "?", "a:b@c"]
)
def test_everything_stays_in_a_data_folder_of_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    app = create_app(embedded(folder, AUDIT_ANCHOR=""))
    with app.app_context():
        choose("write")
        upgrade()
        path = db.session.execute(db.text("PRAGMA database_list")).all()[0][2]
        db.session.rollback()
        db.session.remove()
        db.engine.dispose()
    app.extensions["broker"].close()
    assert Path(path).resolve() == (folder / "countersign.db").resolve()
    assert sorted(one.name for one in tmp_path.iterdir()) == [name]


def test_the_broker_is_reached_in_a_folder_of_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "dä #1? 100%20 'x'"
    settings = embedded(folder)
    broker = Broker(folder / "valkey", broker_socket(folder))
    broker.start()
    try:
        with Redis.from_url(settings.redis_url) as client:
            assert client.ping()
    finally:
        broker.stop()


def test_networks_of_our_own_that_may_be_called(tmp_path: Path) -> None:
    found = outside(tmp_path, OUTGOING_NETWORKS=" 10.2.0.0/16, 192.168.7.9 ,fd12::/32,").outgoing_networks
    assert [str(one) for one in found] == ["10.2.0.0/16", "192.168.7.9/32", "fd12::/32"]
    assert outside(tmp_path).outgoing_networks == ()


@pytest.mark.parametrize(
    "bad", ["10.2.0.1/16", "intranet", "0.0.0.0/0", "127.0.0.1", "169.254.169.254", "::1", "::/0", "1,2"]
)
def test_networks_that_cannot_be_allowed(tmp_path: Path, bad: str) -> None:
    with pytest.raises(SettingsError, match="OUTGOING_NETWORKS"):
        outside(tmp_path, OUTGOING_NETWORKS=bad)
