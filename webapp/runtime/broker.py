"""A Redis connection with short timeouts. The queue only wakes a worker, so a request never waits for it."""

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError
from redis.retry import Retry


def connect(url: str, *, timeout: float) -> Redis:
    """No retry (redis-py's default tries for seconds), and `timeout` seconds for each answer."""
    return Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0))


def server_version(connection: Redis) -> str:
    """The version of Redis, or the one that Valkey is compatible with. INFO may be refused, as it is for admins;
    HELLO is for everyone, but gives Valkey's own version."""
    try:
        return str(connection.info("server")["redis_version"])
    except NoPermissionError:
        answer = connection.execute_command("HELLO")  # type: ignore[no-untyped-call]
        pairs = answer.items() if isinstance(answer, dict) else zip(answer[::2], answer[1::2], strict=True)
        facts = {_text(name): _text(value) for name, value in pairs}
        return str(facts.get("version", ""))


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
