"""A connection to the broker that gives up fast: the queue is a doorbell, never worth waiting for."""

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def connect(url: str, *, timeout: float) -> Redis:
    """No retry (redis-py's default tries for seconds), and `timeout` seconds for each answer."""
    return Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0))
