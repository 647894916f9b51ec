"""The emails about a person's own account and about the installation: one function for each kind."""

from datetime import datetime

from webapp import links
from webapp.queries.mail_context import MailContext

from .compose import compose
from .mime import Mail
from .wording import NAME, Row, line, recipient, sent_by, times_of


def invitation(facts: MailContext) -> Mail:
    """Welcome: set your password."""
    return compose(facts, link=_password_link(facts), email=recipient(facts))


def password_reset(facts: MailContext) -> Mail:
    """Set a new password."""
    return compose(facts, link=_password_link(facts), email=recipient(facts), by=sent_by(facts))


def api_token(facts: MailContext) -> Mail:
    """To the person who can act by a token: it was made, or somebody else ended it."""
    data, times = facts.notice.data, times_of(facts)
    by = sent_by(facts) or NAME
    token, until = line(data["token"]), datetime.fromisoformat(data["until"])
    heading, lead, last = {
        "created": (
            "You have a new API token",
            "A program that has this token can act in your name, within what is listed here.",
            "If you did not make it, end it, change your password and tell an admin.",
        ),
        "revoked": (
            "Your API token has ended",
            f"{by} ended your token {token}. Programs that use it are refused from now on.",
            f"If you still need it, make a new one. Questions? Contact {by}.",
        ),
        "leaked": (
            "Your API token leaked and has ended",
            f"{by} reported that your token {token} was found where others can read it. It ended at once.",
            "Check what it did: each change is in the audit log with the name of the token. Then make a new one, and "
            "keep it where only the program can read it.",
        ),
    }[data["what"]]  # fmt: skip
    rows = [Row("Name", token), Row("May", ", ".join(data["scopes"]))]
    if data["what"] == "created":
        rows.append(Row("Ends", times.full(until)))
    return compose(facts, link=links.url("/account/tokens"), what=data["what"], token=token, heading=heading, lead=lead,
                 last=last, rows=rows)  # fmt: skip


def security_changed(facts: MailContext) -> Mail:
    """To the person: how they sign in was changed."""
    data = facts.notice.data
    what, left, name = data["what"], data.get("left", 0), line(data.get("name", ""))
    heading, lead = {
        "authenticator-added": (
            "Authenticator app set up",
            "From now on you are asked for a code of your authenticator app when you sign in with your password.",
        ),
        "authenticator-replaced": (
            "Authenticator app replaced",
            "From now on only the codes of your new authenticator app work. Those of the one before no longer do.",
        ),
        "authenticator-removed": (
            "Authenticator app turned off",
            "You are no longer asked for a code of your authenticator app when you sign in.",
        ),
        "passkey-added": (
            "Passkey added",
            f"From now on your passkey {name} signs you in without a password.",
        ),
        "passkey-removed": ("Passkey removed", f"Your passkey {name} no longer signs you in."),
        "passkey-refused": (
            "Passkey refused",
            f"Your passkey {name} was refused, because its counter says that there is a copy of it. Remove it and add "
            "a new one.",
        ),
        "reset": (
            "Second step reset",
            f"{sent_by(facts) or 'Someone with access to the server'} reset your second step. Your authenticator app, "
            "passkeys and recovery codes no longer work. Sign in with your password, and set up a second step again.",
        ),
        "codes-renewed": ("New recovery codes", "Your new recovery codes work from now on. The old ones no longer do."),
        "code-used": (
            "Recovery code used",
            f"Someone entered your password and one of your recovery codes. Unused codes: {left}.",
        ),
    }[what]
    return compose(facts, link=links.url("/account/security"), what=what, heading=heading, lead=lead,
                   rows=[Row("When", times_of(facts).full(facts.notice.created_at))])  # fmt: skip


def webhook_paused(facts: MailContext) -> Mail:
    """To the admins: a webhook or a chat channel takes nothing, so nothing is sent to it any more."""
    data = facts.notice.data
    is_chat = data["kind"] != "webhook"
    path = f"/admin/endpoints/{data['endpoint']}"
    what, reason = "chat channel" if is_chat else "webhook", line(data["why"])
    return compose(facts, link=links.url(path), what=what, name=line(data["name"]), reason=reason,
                   row_of_reason=Row("Why", reason))  # fmt: skip


def test(facts: MailContext) -> Mail:
    """To the admin who tests the mail server."""
    return compose(facts, link=links.url("/admin/mail"))


def _password_link(facts: MailContext) -> str:
    assert facts.person
    if facts.stand_in:
        return links.url(f"/password/{facts.stand_in[0]}")
    token = links.password_token(facts.person.public_id, facts.notice.round, facts.notice.created_at)
    return links.url(f"/password/{token}")
