"""What templates may use: the reader, their times, and a few words. Nothing here queries."""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any

import jinja2
from flask import Flask, g
from jinja2 import Environment
from markupsafe import Markup

from webapp import clock
from webapp.approval_chain import ChainNode, holder
from webapp.extensions import settings
from webapp.text import capital, reference
from webapp.times import Times, span, zone
from webapp.web import isolation, signin
from webapp.wording import count
from webapp.workflow.entitlements import shown


def init(app: Flask) -> None:
    isolation.init(app)
    app.jinja_env.filters.update(
        ago=lambda instant: times().ago(instant),
        capital=capital,
        clock=lambda instant: times().clock(instant),
        day=lambda instant: times().day(instant),
        due=lambda instant: times().due(instant),
        due_short=lambda instant: times().due_short(instant),
        holder=holder,
        full=lambda instant: times().full(instant),
        iso=lambda instant: times().iso(instant),
        left=lambda instant: times().left(instant),
        reference=reference,
        shown=shown,
        span=span,
        many=count,
    )
    env = app.jinja_env
    env.template_class = _Template
    env.globals.update(
        draw_face=_faces(),
        draw_app_icon=_app_icons(env),
        draw_ago=_time(Times.ago),
        draw_due=_time(Times.due),
        draw_due_short=_time(Times.due_short),
        # Cache size: entries hold about 1 kB and soon go stale because they contain times.
        remembered=lru_cache(maxsize=512),
    )
    env.filters["mark"] = _marks(env)
    app.context_processor(reader)


class _Template(jinja2.Template):
    def _get_default_module(self, ctx: Any = None) -> Any:
        # Jinja would check at each import whether the template has its own globals. None has: all are the
        # environment's.
        return super()._get_default_module()


def reader() -> dict[str, Any]:
    """Who reads the page; every layout shows it."""
    user = signin.signed_in() if "broken" not in g else None
    return {
        "me": user.person if user else None,
        "waiting": user.waiting if user else 0,
        "owns": bool(user and user.owns),
        "own_logo": user.logo_url if user else "",
        "mailbox_enabled": settings().mailbox,
    }


def times() -> Times:
    """The reader's Times for this request, with one "now" for the whole page."""
    # Called a hundred times per page, so try first and build only once.
    try:
        return g.times  # type: ignore[no-any-return]
    except AttributeError:
        user = signin.signed_in()
        g.times = Times(zone(user.time_zone if user else "UTC"), clock.now())
        return g.times  # type: ignore[no-any-return]


def read_as(time_zone: str) -> None:
    """Use the time zone of the person that an approval link was sent to."""
    g.times = Times(zone(time_zone), clock.now())


def now() -> datetime:
    """The moment of this request."""
    return times().now


def _time(words: Callable[[Times, datetime], str]) -> Callable[[datetime], Markup]:
    """Draws an instant: these words, exact on hover. There is nothing in it to escape."""

    def draw(instant: datetime) -> Markup:
        clock = times()
        exact = f'<time datetime="{clock.iso(instant)}" title="{clock.full(instant)}">'
        return Markup(f"{exact}{words(clock, instant)}</time>")  # nosec

    return draw


def _faces() -> Callable[..., Markup]:
    """Draws a person. In Python and remembered, as app icons are: a list has sixty of both, and as macros they
    would take a quarter of its time."""

    @lru_cache(maxsize=4096)
    def draw(hue: int, initials: str, size: str) -> Markup:
        words = f"cs-face hue-{hue} {size}" if size else f"cs-face hue-{hue}"
        return Markup('<span class="{}" aria-hidden="true">{}</span>').format(words, initials)

    return lambda person, size="": draw(person.hue, person.initials, size)


def _app_icons(env: Environment) -> Callable[..., Markup]:
    """Draws an app: an uploaded picture, else an icon of the sprite, else the first two letters. Hue 0 is grey."""

    @lru_cache(maxsize=4096)
    def draw(hue: int, url: str, icon: str, letters: str, size: str) -> Markup:
        words = f"cs-app hue-{hue}" if hue else "cs-app is-grey"
        inner: Any = letters
        if url:
            words += " is-picture"
            inner = _picture(url)
        elif icon:
            sprite_icon: Any = env.globals["sprite_icon"]
            inner = sprite_icon(icon)
        return Markup('<span class="{}" aria-hidden="true">{}</span>').format(
            f"{words} {size}" if size else words, inner
        )

    return lambda app, size="": draw(app.hue, app.icon_url, app.icon, app.name[:2], size)


def _picture(url: str) -> Markup:
    return Markup('<img src="{}" alt="">').format(url)


def _marks(env: Environment) -> Callable[[ChainNode], Markup]:
    """Draws who or what stands at a link of a chain, with the small sign of how it went."""

    @lru_cache(maxsize=4096)
    def draw(mark: str, hue: int, initials: str, icon: str, url: str, pip: str) -> Markup:
        sprite_icon: Any = env.globals["sprite_icon"]
        if mark == "group":
            icon = "users"
        shape = "cs-app" if mark == "app" else "cs-face"
        if url:
            shape += " is-picture"
        inner = _picture(url) if url else sprite_icon(icon) if icon and mark != "face" else initials
        sign = Markup('<span class="cs-pip" aria-hidden="true">{}</span>').format(sprite_icon(pip)) if pip else ""
        return Markup('<span class="cs-mark"><span class="{} {}" aria-hidden="true">{}</span>{}</span>').format(
            shape, f"hue-{hue}" if hue else "is-grey", inner, sign
        )

    return lambda node: draw(node.mark, node.hue, node.initials, node.icon, node.icon_url, node.pip)
