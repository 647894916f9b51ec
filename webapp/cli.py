"""flask …: check, test-mail, create-admin, create-token, organisation, import-people, demo, upgrade, restored, audit
verify and anchor."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import click
from flask import Flask
from flask.cli import AppGroup
from flask_mail import Message
from flask_migrate import upgrade as migrate_upgrade
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from webapp import clock
from webapp.addresses import BadAddress, in_ascii
from webapp.database import schema
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.delivery.mail import mime, smtp
from webapp.extensions import db, settings
from webapp.models import Directory, Organisation, Person
from webapp.operations import directories, expiry, factors, held_deliveries, mails, people, people_import, tokens
from webapp.operations import organisation as company
from webapp.operations.errors import Conflict, Invalid
from webapp.passwords import hash_password, too_weak
from webapp.queries.stops import EXPLAINED
from webapp.record import anchors, audit
from webapp.text import ended
from webapp.workflow.actor import SYSTEM, Actor
from webapp.workflow.errors import WorkflowError
from webapp.workflow.people_plan import What

audit_commands = AppGroup("audit", help="The append-only audit log.")


def init(app: Flask) -> None:
    for command in (
        check,
        test_mail,
        create_admin,
        create_token,
        reset_factor,
        demo,
        import_people,
        organisation,
        restored,
        upgrade,
        audit_commands,
    ):
        app.cli.add_command(command)


@click.command("create-admin")
@click.option("--email", prompt="Email")
@click.option("--name", prompt="Name")
@click.option("--password", prompt=True, hide_input=True, confirmation_prompt=True)
def create_admin(email: str, name: str, password: str) -> None:
    """Makes the first admin (or another one), who can sign in at once."""
    if sentence := too_weak(password):
        raise click.ClickException(sentence)
    hash = hash_password(password)
    now = clock.now()
    try:
        person = people.create(email=email, name=name, actor=SYSTEM, now=now, is_admin=True)
        people.set_password(person.id, hash=hash, round=0, now=now)
    except Invalid as error:
        raise click.ClickException(str(error)) from None
    outbox.commit()
    click.echo(f"Admin created. {person.name} can sign in at {settings().base_url}/sign-in.")


@click.command("create-token")
@click.argument("email", default="")
@click.option("--scopes", default="", help="What it may do, parted by commas: requests:read,requests:write.")
@click.option("--name", default="command line", help="Which program it is for.")
@click.option("--days", type=int, help="How long it lasts, up to 365; 30, or 365 for a directory.")
@click.option("--service", help="Make a service token of this name instead, for which the admin with EMAIL answers.")
@click.option("--scim", help="Make a token of the directory with this name instead, and connect it if it is new.")
def create_token(email: str, scopes: str, name: str, days: int | None, service: str | None, scim: str | None) -> None:
    """Prints a new API token of the person with EMAIL, of a service or of a directory. It is shown once."""
    if scim:
        _create_directory_token(scim, directories.TOKEN_DAYS if days is None else days)
        return
    if not email or not scopes:
        raise click.UsageError("Give the EMAIL of a person and --scopes, or --scim with the name of a directory.")
    person = db.session.scalar(select(Person).where(Person.email == email.strip().lower(), Person.active))
    if person is None:
        raise click.ClickException(f"There is no active person with the email address {email}.")
    if service and not person.is_admin:
        raise click.ClickException(f"{person.name} is not an admin. Only an admin can answer for a service token.")
    wanted = [one.strip() for one in scopes.split(",") if one.strip()]
    try:
        _, secret = tokens.create(
            name=service or name, scopes=wanted, days=30 if days is None else days, now=clock.now(),
            actor=Actor(None, made_by_id=person.id), person=None if service else person,
        )  # fmt: skip
    except (Invalid, WorkflowError) as error:
        raise click.ClickException(str(error)) from None
    outbox.commit()
    click.echo(secret)


def _create_directory_token(name: str, days: int) -> None:
    now = clock.now()
    row = db.session.scalar(select(Directory).where(Directory.name == name, Directory.removed_at.is_(None)))
    try:
        if row is None:
            _, secret = directories.create(name=name, days=days, actor=SYSTEM, now=now)
        else:
            _, secret = directories.new_token(row, days=days, actor=SYSTEM, now=now)
    except (Invalid, Conflict) as error:
        raise click.ClickException(str(error)) from None
    outbox.commit()
    click.echo(secret)


@click.command("reset-factor")
@click.argument("email")
def reset_factor(email: str) -> None:
    """Removes the authenticator app, the passkeys and the recovery codes of the person with EMAIL, who is told by
    email: for the last admin, whom no other admin can help."""
    person = db.session.scalar(select(Person).where(Person.email == email.strip().lower(), Person.active))
    if person is None:
        raise click.ClickException(f"There is no active person with the email address {email}.")
    try:
        factors.reset(person, actor=SYSTEM, now=clock.now())
    except Conflict as error:
        raise click.ClickException(str(error)) from None
    outbox.commit()
    click.echo(f"Second step reset. {person.name} signs in with the password alone, until they set one up again.")


@click.command("organisation")
@click.option("--name", help="Name of your organisation.")
@click.option("--time-zone", help="For people who have not set their own, for example Europe/Berlin.")
@click.option("--sender", help="The name that emails come from; the address is MAIL_DEFAULT_SENDER.")
@click.option("--outcome-domains", help="Domains that emails about outcomes may go to beside those of people, parted "
              'by commas; "" for none.')  # fmt: skip
def organisation(name: str | None, time_zone: str | None, sender: str | None, outcome_domains: str | None) -> None:
    """Shows the settings of the organisation, and changes those that are given."""
    row = db.session.get_one(Organisation, 1)
    try:
        company.change(row, name=name, time_zone=time_zone, sender=sender, outcome_domains=outcome_domains,
                       now=clock.now())  # fmt: skip
    except Invalid as error:
        raise click.ClickException(str(error)) from None
    outbox.commit()
    click.echo(f"Name: {row.name}\nTime zone: {row.time_zone}\nSender: {row.sender or 'Countersign'}")
    click.echo(f"More domains for outcome emails: {', '.join(row.outcome_domains.split()) or 'none'}")


@click.command("import-people")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--apply", "applies", is_flag=True, help="Make the changes. Without it, they are only shown.")
def import_people(file: Path, applies: bool) -> None:
    """Shows what a CSV file of people would change, refused lines first, and with --apply makes the changes."""
    body = file.read_bytes()
    try:
        plan = people_import.look(body)
        if applies:
            plan = people_import.apply(body, plan.stamp, actor=SYSTEM, now=clock.now())
    except (Invalid, Conflict) as error:
        raise click.ClickException(str(error)) from None
    outbox.commit()
    for line in plan.refused_first:
        what = line.why or "; ".join(f"{one.label}: {one.before or 'none'} → {one.after or 'none'}"
                                     for one in line.differences)  # fmt: skip
        if line.what is not What.SAME:
            click.echo(f"Line {line.wanted.number}: {line.what}, {line.wanted.email}. {what}".rstrip())
    counts = ", ".join(f"{plan.count(one)} {words}" for one, words in _COUNTED.items())
    click.echo(f"{counts}. {'Imported.' if applies else 'Nothing was written: --apply makes the changes.'}")


_COUNTED = {What.NEW: "new", What.CHANGED: "changed", What.SAME: "as they are", What.REFUSED: "refused"}


@click.command("demo")
def demo() -> None:
    """Fills an empty installation with the demo organisation; running it again changes nothing."""
    from webapp.demo import seed

    if not settings().demo:
        raise click.ClickException(
            "The demo is only allowed in embedded mode. To allow it elsewhere, set COUNTERSIGN_DEMO=1."
        )
    click.echo(seed(now=clock.now()))


@click.command("upgrade")
def upgrade() -> None:
    """Brings the database to this version's form; copies an SQLite file first, if there is anything to change."""
    choose("write")
    url = db.engine.url  # not the setting: a relative path is resolved there
    try:
        with db.engine.connect() as connection:
            present, state = schema.revision(connection), schema.state(connection)
    except OperationalError as error:
        raise click.ClickException(f"Cannot connect to the database {url!r}: {error.orig}") from None
    if state == "newer":
        raise click.ClickException(schema.SENTENCES["newer"])
    if state == "ok":
        click.echo("The database is up to date.")
        return
    if url.get_backend_name() == "sqlite" and present is not None and url.database:
        copy = Path(url.database).with_name(f"{Path(url.database).stem}-before-{schema.newest()}.db")
        if not copy.exists():
            _copy(Path(url.database), copy)
            click.echo(f"A copy of the database is in {copy}.")
    migrate_upgrade()
    click.echo("The database is up to date.")


def _copy(source: Path, copy: Path) -> None:
    """A whole copy under that name, or none: one that was cut short would be kept as the backup."""
    partial = copy.with_name(f"{copy.name}.partial")
    partial.unlink(missing_ok=True)
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("VACUUM INTO ?", (str(partial),))
    partial.replace(copy)


@click.command("check")
def check() -> None:
    """Looks at what the installation needs, one line each; exits with 1 if something is wrong."""
    # It loads what a worker needs, which the web has no use for.
    from webapp import checks

    findings = list(checks.run())
    width = max(len(one.name) for one in findings)
    for one in findings:
        click.echo(f"{'ok' if one.ok else 'FAILED':6}  {one.name:{width}}  {one.words}")
    if not all(one.ok for one in findings):
        sys.exit(1)


@click.command("test-mail")
@click.argument("address")
def test_mail(address: str) -> None:
    """Sends one email to ADDRESS now, past the queue, and says what the mail server answered."""
    try:
        address = in_ascii(address)
    except BadAddress as error:
        raise click.ClickException(str(error)) from None
    message = Message(
        "Test email from Countersign", [address], sender=("Countersign", mime.sender_address()),
        body=f"This is a test email from {settings().base_url}. Countersign can send email.\n",
    )  # fmt: skip
    try:
        with smtp.connect() as connection:
            connection.send(message)
            answer = connection.accepted
    except smtp.Unusable as error:
        what, advice = EXPLAINED[error.cause]
        raise click.ClickException(f"{what} {ended(str(error))} {advice}") from None
    except smtp.MailError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"The mail server accepted it: {answer}".rstrip(": "))


@click.command("restored")
def restored() -> None:
    """Run once after restoring a backup, before web and workers start: ends what is overdue by now, and holds every
    email and every delivery of webhooks and chat that may have gone out already, until an admin has looked."""
    now = clock.now()
    while expiry.expire_overdue(now=now):
        outbox.commit()
    db.session.rollback()
    held, deliveries = mails.hold(now=now), held_deliveries.hold(now=now)
    outbox.commit()
    click.echo(
        f"{held:,} {'email is' if held == 1 else 'emails are'} on hold. "
        f"Review them at {settings().base_url}/admin/mail?state=held."
    )
    if deliveries:
        click.echo(
            f"{deliveries:,} {'delivery' if deliveries == 1 else 'deliveries'} of webhooks and chat "
            f"{'is' if deliveries == 1 else 'are'} on hold. Review them at {settings().base_url}/admin/webhooks."
        )


@audit_commands.command("verify")
@click.option("--anchor", "file", type=click.Path(path_type=Path), help="The anchor file to compare with. Default: the "
              "one that the worker writes, if it is on this machine.")  # fmt: skip
@click.option("--removed-key", "removed", multiple=True, help="The id of a key that was removed on purpose: entries "
              "signed with it are not checked, and do not make the command fail.")  # fmt: skip
def verify(file: Path | None, removed: tuple[str, ...]) -> None:
    """Says whether the audit log is intact, and what cannot be checked; exits with 1 unless all of it is intact."""
    choose("read")
    known: tuple[list[anchors.Anchor], list[anchors.Anchor]] = ([], [])
    try:
        if file is not None or anchors.path().exists():
            known = anchors.usable(file or anchors.path())
    except (anchors.BadAnchor, OSError) as error:
        raise click.ClickException(f"The anchor file cannot be used. {error}") from None
    report = audit.examine(anchors.compare(known[0]))
    entries = f"{report.intact:,} {'entry' if report.intact == 1 else 'entries'}"
    if report.broken is not None:
        click.echo(f"FAILED: the audit log is not intact after {entries}. {report.broken.sentence}", err=True)
        if report.broken.by_anchor:
            click.echo(anchors.AFTER_A_RESTORE, err=True)
    elif report.unchecked:
        click.echo(f"{entries} intact, {report.not_checked:,} cannot be checked.")
    else:
        click.echo(f"OK: all {entries} are intact." if report.intact != 1 else "OK: the entry is intact.")
    if report.unchecked:
        click.echo(report.about_removed_keys())
    if report.broken is None:
        click.echo(anchors.compared(*known, report))
    if report.broken is not None or set(report.removed_keys) - set(removed):
        sys.exit(1)


@audit_commands.command("anchor")
@click.option("--write", is_flag=True, help="Appends it to the file of anchors, as the worker does.")
def anchor(write: bool) -> None:
    """Prints a signed copy of the log's head, to be kept where the owner of the database cannot change it."""
    choose("read")
    try:
        made = anchors.keep(anchors.path(), now=clock.now()) if write else anchors.take(now=clock.now())
    except (anchors.BadAnchor, OSError) as error:
        raise click.ClickException(str(error)) from None
    if made is not None:
        click.echo(made.line())
    else:
        click.echo("No new entries since the last anchor." if write else "The audit log is empty.",
                   err=True)  # fmt: skip
