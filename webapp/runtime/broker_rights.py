"""Checks, command by command, whether a broker user with limited rights may do what the queue and the counters need."""

import secrets

from redis import Redis
from redis.exceptions import NoPermissionError

# Prefixes of keys: of the queue, of Countersign, and of the rate limits.
PREFIXES = ("rq:", "countersign:", "LIMITS:")
ALLOW = "~rq:* ~countersign* ~LIMITS* +@all -@admin -@dangerous"

Command = tuple[str | int | float, ...]


def _commands(key: str) -> list[Command]:
    """The commands in an order in which none fails for another reason; the key does not exist afterwards."""
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
    """Names of the commands and keys that this user may not use. Raises RedisError for other errors."""
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
