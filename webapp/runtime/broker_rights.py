"""What the queue and the counters ask of the broker, command by command: for a user of it who may not do all."""

import secrets

from redis import Redis
from redis.exceptions import NoPermissionError

# The names of what is kept there: the queue's, ours, and the rate limits'.
PREFIXES = ("rq:", "countersign:", "LIMITS:")
ALLOW = "~rq:* ~countersign* ~LIMITS* +@all -@admin -@dangerous"

Command = tuple[str | int | float, ...]


def _commands(key: str) -> list[Command]:
    """In an order in which none fails for another reason, on a key that is gone in the end."""
    return [
        ("SET", key, 1, "EX", 60), ("GET", key), ("EXISTS", key), ("EXPIRE", key, 60), ("PEXPIRE", key, 60_000),
        ("TTL", key), ("PTTL", key), ("PERSIST", key), ("INCR", key), ("INCRBY", key, 1), ("DECR", key), ("DEL", key),
        ("HSET", key, "a", 1), ("HGET", key, "a"), ("HGETALL", key), ("HINCRBY", key, "a", 1),
        ("HINCRBYFLOAT", key, "a", 1), ("HDEL", key, "a"), ("DEL", key),
        ("RPUSH", key, "a"), ("LPUSH", key, "a"), ("LLEN", key), ("LRANGE", key, 0, 1), ("LREM", key, 1, "a"),
        ("BLPOP", key, 1), ("DEL", key),
        ("SADD", key, "a"), ("SMEMBERS", key), ("SREM", key, "a"),
        ("ZADD", key, 1, "a"), ("ZRANGE", key, 0, 1), ("ZRANGEBYSCORE", key, 0, 1), ("ZREM", key, "a"),
        ("ZREMRANGEBYSCORE", key, 0, 1),
        ("WATCH", key), ("UNWATCH",), ("EVAL", "return redis.call('exists', KEYS[1])", 1, key),
        ("SCRIPT", "LOAD", "return 1"), ("MULTI",), ("EXEC",),
    ]  # fmt: skip


def missing(connection: Redis) -> list[str]:
    """What this user may not do: names of commands, and of keys. Raises RedisError for what else is wrong."""
    commands: list[str] = []
    keys: list[str] = []
    with connection.client() as one:  # type: ignore[no-untyped-call]
        for prefix in PREFIXES:
            for command in _commands(f"{prefix}check-{secrets.token_hex(6)}"):
                try:
                    one.execute_command(*command)
                except NoPermissionError as error:
                    found, name = (keys, f"{prefix}*") if "key" in str(error).lower() else (commands, str(command[0]))
                    if name not in found:
                        found.append(name)
    return [*commands, *keys]
