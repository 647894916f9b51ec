"""Rate limits, counted before the attempt in one atomic step of the broker, so that forty parallel attempts count like
forty in a row. While the broker is unavailable each process counts for itself.
"""

import hashlib
import logging
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from flask import current_app
from redis.exceptions import RedisError

from webapp.extensions import broker, limiter
from webapp.times import span
from webapp.token_use import TOKEN_USE

# Seconds to wait before asking a broker again that did not answer.
AWAY = 5.0

log = logging.getLogger("countersign.attempts")


@dataclass(frozen=True, slots=True)
class Count:
    """Limits of `name` for `key`: pairs of (times, seconds), all of which apply."""

    name: str
    key: str
    limits: tuple[tuple[int, int], ...]

    def windows(self) -> list[tuple[str, int, int]]:
        """(the broker's key, times, seconds): hashed, so that it holds no address and its length is bounded."""
        key = hashlib.sha256(self.key.encode()).hexdigest()
        return [(f"countersign:{self.name}:{key}:{seconds}", times, seconds) for times, seconds in self.limits]


class TooMany(Exception):
    """Too many attempts, so this one was not checked; the next one is possible after `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many attempts. Try again in {span(math.ceil(seconds / 60) * 60)}.")
        self.seconds = seconds


def take(*counts: Count) -> tuple[Count, ...]:
    """Count one attempt in each count, or in none and raise TooMany. Returns the value for `give_back`."""
    if limiter.enabled:
        windows = [one for count in counts for one in count.windows()]
        milliseconds = cast(Counters, current_app.extensions["attempts"]).take(windows)
        if milliseconds:
            raise TooMany(max(1, math.ceil(milliseconds / 1000)))
    return counts


def give_back(counts: Sequence[Count]) -> None:
    """Subtract an attempt again that was successful."""
    if limiter.enabled:
        keys = [key for count in counts for key, _, _ in count.windows()]
        cast(Counters, current_app.extensions["attempts"]).give_back(keys)


@dataclass(frozen=True, slots=True)
class Window:
    """A count of calls: how many there may be, how many are left, and the seconds until it begins anew."""

    limit: int
    left: int
    seconds: int
    # So many calls with unknown tokens came from the same address that the next of them will be refused.
    has_many_strangers: bool = False


def count_call(hash: str, *, address: str, at: datetime, limit: int, seconds: int, strangers: Count) -> Window:
    """Count one call of a program, by the hash of its token; unlike `take`, calls beyond the limit count, too: `left`
    is negative for those. Notes when and from where the token was used, which a worker stores
    (`webapp/token_use.py`). `strangers`: the count of unknown tokens from the same address."""
    ((key, times, _),) = strangers.windows()
    made, milliseconds, others = cast(Counters, current_app.extensions["attempts"]).count_call(
        f"countersign:calls:{hash}", seconds, hash, f"{at.isoformat(timespec='seconds')} {address}", key
    )
    return Window(limit, limit - made, max(1, math.ceil(milliseconds / 1000)), others >= times)


def forget_call(hash: str) -> None:
    """There is no such token, so nothing is stored of its use."""
    cast(Counters, current_app.extensions["attempts"]).forget_call(hash)


# When one count is full, none is increased: a refused attempt must not use up the limits of others.
_TAKE = """
local wait = 0
for i, key in ipairs(KEYS) do
  if tonumber(redis.call('get', key) or '0') >= tonumber(ARGV[2 * i - 1]) then
    wait = math.max(wait, redis.call('pttl', key), 1)
  end
end
if wait == 0 then
  for i, key in ipairs(KEYS) do
    if redis.call('incr', key) == 1 then redis.call('pexpire', key, ARGV[2 * i]) end
  end
end
return wait
"""
_GIVE_BACK = """
for _, key in ipairs(KEYS) do
  if tonumber(redis.call('get', key) or '0') > 0 then redis.call('decr', key) end
end
"""


_COUNT_CALL = """
redis.call('hset', KEYS[2], ARGV[2], ARGV[3])
local count = redis.call('incr', KEYS[1])
if count == 1 then redis.call('pexpire', KEYS[1], ARGV[1]) end
return {count, redis.call('pttl', KEYS[1]), tonumber(redis.call('get', KEYS[3]) or '0')}
"""
_FORGET_CALL = "return redis.call('hdel', KEYS[1], ARGV[1])"


class Counters:
    """The counts of one installation: in the broker, or in memory while it is unavailable."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._memory: dict[str, tuple[int, float]] = {}  # key → (count, end of its window)
        self._away_until = 0.0

    def reset(self) -> None:
        """Forget the counts in memory, and that the broker was unavailable."""
        with self._lock:
            self._memory.clear()
            self._away_until = 0.0

    def take(self, windows: Sequence[tuple[str, int, int]]) -> int:
        """Milliseconds to wait; 0: counted."""
        values = [value for _, times, seconds in windows for value in (times, seconds * 1000)]
        answer = self._ask(_TAKE, [key for key, _, _ in windows], values)
        return self._take_in_memory(windows) if answer is None else int(cast(int, answer))

    def give_back(self, keys: Sequence[str]) -> None:
        self._ask(_GIVE_BACK, keys, [])
        with self._lock:  # where it was counted, if the broker has just gone or come back
            for key in keys:
                count, until = self._memory.get(key, (0, 0.0))
                if count:
                    self._memory[key] = (count - 1, until)

    def count_call(self, key: str, seconds: int, hash: str, use: str, strangers: str) -> tuple[int, int, int]:
        """(calls in this window with this one, milliseconds until it ends, what the count `strangers` holds)."""
        answer = self._ask(_COUNT_CALL, [key, TOKEN_USE, strangers], [seconds * 1000, hash, use])
        if answer is not None:
            count, milliseconds, others = cast(list[int], answer)
            return count, milliseconds, others
        now = time.monotonic()
        with self._lock:
            count, until = self._memory.get(key, (0, 0.0))
            if until <= now:
                count, until = 0, now + seconds
            self._memory[key] = (count + 1, until)
            others, ends = self._memory.get(strangers, (0, 0.0))
            return count + 1, math.ceil((until - now) * 1000), others if ends > now else 0

    def forget_call(self, hash: str) -> None:
        self._ask(_FORGET_CALL, [TOKEN_USE], [hash])

    def _ask(self, script: str, keys: Sequence[str], values: Sequence[int | str]) -> object | None:
        """What the script returns; None: the broker is away."""
        if time.monotonic() < self._away_until:
            return None
        try:
            return broker().eval(script, len(keys), *keys, *values) or 0
        except (RedisError, OSError) as error:
            self._away_until = time.monotonic() + AWAY
            log.warning("The broker is away; attempts are counted in memory.", extra={"error": str(error)})
            return None

    def _take_in_memory(self, windows: Sequence[tuple[str, int, int]]) -> int:
        now = time.monotonic()
        with self._lock:
            for key in [key for key, (_, until) in self._memory.items() if until <= now]:
                del self._memory[key]
            held = {key: self._memory.get(key, (0, now + seconds)) for key, _, seconds in windows}
            full = [held[key][1] - now for key, times, _ in windows if held[key][0] >= times]
            if full:
                return math.ceil(max(full) * 1000)
            self._memory |= {key: (count + 1, until) for key, (count, until) in held.items()}
            return 0
