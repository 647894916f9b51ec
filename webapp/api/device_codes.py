"""Signing a terminal in: it shows a code, its person approves it in the browser, and the terminal fetches a token."""

from dataclasses import dataclass
from typing import Annotated

from flask import request
from pydantic import Field

from webapp import clock, tokens
from webapp.extensions import network, settings
from webapp.operations import device_codes
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import device_codes as waiting
from webapp.queries import directory
from webapp.web.attempts import Count, TooMany, take
from webapp.web.problems import Problem
from webapp.workflow.errors import WorkflowError
from webapp.workflow.scopes import Scope

from ._callers import count_apart
from ._operation import operation
from ._types import Body, Instant, Key, Number, Text, Word, one_of

# Seconds between two calls of a terminal that waits; a call may be this much early.
INTERVAL, EARLY = 5, 1
# Codes that one address may ask for.
CODES = Count("device-codes", "", ((20, 600), (100, 24 * 3600)))
DAYS = 90


class NewDeviceCode(Body):
    """What a terminal asks for."""

    name: Annotated[Word, Field(description="Which machine it is; its person reads it.", examples=["rita-laptop"])]
    scopes: Annotated[list[Text], Field(description="What the token has to allow.", examples=[["requests:read"]])]
    days: Annotated[int, Field(description="How long it should last. Your organisation may allow less.")] = DAYS


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """The code to show, and the secret to fetch the token with."""

    id: Key
    device_code: Annotated[str, Field(description="The terminal’s own secret.", examples=["kq1-…"])]
    user_code: Annotated[str, Field(description="What the person compares or types.", examples=["WDJB-MJHT"])]
    verification_uri: Annotated[str, Field(examples=["https://apps.example.com/device"])]
    verification_uri_complete: Annotated[str, Field(examples=["https://apps.example.com/device?code=WDJB-MJHT"])]
    expires_in: Annotated[int, Field(description="Seconds.", examples=[600])]
    interval: Annotated[int, Field(description="Seconds between two calls for the token.", examples=[5])]


@operation("POST", "/device-codes", scope=None, audience="anyone", body=NewDeviceCode, answer=DeviceCode, status=201)
def ask(*, body: NewDeviceCode) -> DeviceCode:
    """Ask for a code.

    The first step of signing a terminal in (RFC 8628), without a token. Show the code, and open the address in the
    browser: the person whose token it becomes approves it there."""
    count_apart(Count(CODES.name, network(), CODES.limits))
    row, secret = device_codes.ask(name=body.name, scopes=body.scopes, days=body.days,
                                   address=request.remote_addr or "", now=clock.now())  # fmt: skip
    page = f"{settings().base_url}/device"
    lasts = int(device_codes.LASTS.total_seconds())
    return DeviceCode(row.public_id, secret, row.shown_code, page, f"{page}?code={row.shown_code}", lasts, INTERVAL)


class DeviceProof(Body):
    """The secret that came with the code."""

    device_code: Annotated[Text, Field(examples=["kq1-…"])]


@dataclass(frozen=True, slots=True)
class NewToken:
    """The token, which is shown this once."""

    id: Key
    token: Annotated[str, Field(examples=["csn_…"])]
    name: Annotated[str, Field(examples=["rita-laptop"])]
    scopes: list[one_of(Scope)]  # type: ignore[valid-type]
    days: Number
    expires_at: Instant


@operation("POST", "/device-codes/{code}/token", scope=None, audience="anyone", body=DeviceProof, answer=NewToken,
           status=201, refuses=(400,))  # fmt: skip
def fetch(*, code: str, body: DeviceProof) -> NewToken:
    """Fetch the token.

    The second step, every `interval` seconds until the person has approved. Until then it answers 400, with
    `authorization_pending` or `slow_down` as `error`; `access_denied` and `expired_token` are final."""
    hash = tokens.digest(body.device_code)
    try:
        take(Count("device-token", hash, ((1, INTERVAL - EARLY),)))
    except TooMany:
        raise Problem(400, "device-slow-down", "Too soon. Wait 5 seconds longer between calls.") from None
    directory.lock()
    row = waiting.of_terminal(code, hash)
    if row is None or row.state == "used" or row.expires_at <= clock.now():
        raise Problem(400, "device-expired", device_codes.GONE)
    if row.state == "denied":
        raise Problem(400, "device-denied", "This was denied in the browser.")
    if row.state == "waiting":
        raise Problem(400, "device-pending", "Nobody has approved this code yet.")
    try:
        made, secret = device_codes.fetch(row, now=clock.now())
    except Conflict as error:
        raise Problem(400, "device-expired", str(error)) from None
    except (Invalid, WorkflowError) as error:
        # What was approved is not possible any longer: the person lost a right since, say.
        raise Problem(400, "device-denied", str(error)) from None
    scopes = sorted(one.value for one in made.scopes)
    return NewToken(made.public_id, secret, str(made.name), scopes, row.days, made.expires_at)
