"""login, logout, whoami."""

import os
import platform
import sys
import time
import webbrowser

import click

from countersign_cli import settings
from countersign_cli.api import Api, Json
from countersign_cli.failures import Exit, Failure, Refused
from countersign_cli.session import Session, asks, at, connect, facts
from countersign_cli.text import clean

# What the other commands need; with --admin, those of `admin`, `audit` and `policy` too.
SCOPES = ("requests:read", "requests:write", "decide", "apps:read", "grants:read", "grants:write")
ADMIN_SCOPES = ("apps:admin", "people:read", "people:admin", "groups:read", "groups:admin", "audit:read")


@click.command("login")
@click.argument("address_", metavar="[ADDRESS]", required=False)
@click.option("--token-stdin", is_flag=True, help="Read a token from standard input instead of asking in the browser.")
@click.option("--admin", is_flag=True, help="Ask also for what `admin`, `audit` and `policy` need.")
@click.option("--scopes", help="Ask for these scopes instead, parted by commas.")
@click.option("--days", default=90, type=click.IntRange(1, 365), show_default=True, help="How long it should last.")
@click.option("--name", help="What the token is called. Default: the name of this machine.")
@click.option("--no-browser", is_flag=True, help="Only print the address to open.")
@asks
def login(
    session: Session, address_: str | None, token_stdin: bool, admin: bool, scopes: str | None, days: int,
    name: str | None, no_browser: bool,
) -> None:  # fmt: skip
    """Sign in at ADDRESS (https://apps.example.com): approve a code in the browser.

    Without ADDRESS at the one that you signed in to last, else at http://127.0.0.1:8000, where bin/run answers.
    """
    address = settings.checked(address_) if address_ else session.address
    if token_stdin:
        token = sys.stdin.readline().strip()
        if not token:
            raise Failure(Exit.USAGE, "There is no token on standard input.")
    else:
        wanted = scopes.split(",") if scopes else [*SCOPES, *(ADMIN_SCOPES if admin else ())]
        body = {"name": name or platform.node() or "terminal", "scopes": [one.strip() for one in wanted], "days": days}
        api = connect(address, "")
        try:
            token = _ask(api, body, is_shown=not no_browser)
        finally:
            api.close()
    api = connect(address, token)
    try:
        me = api.get("/me")
    finally:
        api.close()
    saved = settings.load()
    saved.current = address
    saved.addresses[address] = {"token": token, "name": str(me["token"]["name"])}
    settings.save(saved)
    session.show(me | {"address": address}, lambda: [f"Signed in at {address} as {_who(me)}."])


def _ask(api: Api, body: Json, *, is_shown: bool) -> str:
    """Shows the code and waits until the person has approved it (RFC 8628). Raises Failure."""
    made = api.post("/device-codes", body)
    page = str(made["verification_uri_complete"])
    click.echo(f"Your code is {clean(made['user_code'])}. Compare it in the browser, and approve it there:", err=True)
    click.echo(f"  {clean(page)}", err=True)
    # The page is the server's; nothing else of what it sends is opened.
    if is_shown and page.startswith(("https://", "http://")) and _has_browser():
        webbrowser.open(page)
    interval, until = int(made["interval"]), time.monotonic() + int(made["expires_in"])
    while time.monotonic() < until:
        time.sleep(interval)
        try:
            answer = api.post(f"/device-codes/{made['id']}/token", {"device_code": made["device_code"]}, repeat=False)
            return str(answer["token"])
        except Refused as error:
            if error.error == "slow_down":
                interval += 5
            elif error.error == "expired_token":
                raise Failure(Exit.REFUSED, "The code has ended. Run countersign login again.") from None
            elif error.error == "access_denied":
                raise Failure(Exit.REFUSED, error.message, "Run countersign login again to ask once more.") from None
            elif error.error != "authorization_pending":
                raise
        except Failure as error:
            # A call that got lost: the next one is answered.
            if error.exit_code != Exit.AWAY:
                raise
    raise Failure(Exit.REFUSED, "Nobody approved the code within 10 minutes. Run countersign login again.")


def _has_browser() -> bool:
    """Whether a window can be opened: a browser inside of the terminal would cover the code."""
    if sys.platform in ("darwin", "win32") or os.environ.get("BROWSER"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@click.command("logout")
@asks
def logout(session: Session) -> None:
    """End the token of this machine, and forget it."""
    address, saved = session.address, settings.load()
    known = saved.addresses.pop(address, None)
    if known is None:
        raise Failure(Exit.SIGN_IN, f"You are not signed in at {address}.")
    api = connect(address, known["token"])
    try:
        api.change("DELETE", "/me/token")
    except Refused as error:
        if error.status != 401:  # it had ended
            raise
    finally:
        api.close()
    if saved.current == address:
        saved.current = next(iter(saved.addresses), "")
    settings.save(saved)
    session.show({"address": address}, lambda: [f"Signed out at {address}. The token has ended."])


@click.command("whoami")
@asks
def whoami(session: Session) -> None:
    """Show who you are, what this token may do, and until when."""
    me = session.api.get("/me")
    token = me["token"]
    session.show(
        me | {"address": session.address},
        lambda: facts([
            ("Address", session.address), ("You", _who(me)), ("Token", token["name"]),
            ("May", ", ".join(token["scopes"])), ("Until", at(token["expires_at"])),
        ]),
    )  # fmt: skip


def _who(me: Json) -> str:
    person = me["person"]
    return clean(f"{person['name']} ({person['email']})" if person else f"the service {me['token']['name']}")
