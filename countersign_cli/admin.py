"""admin people, invite, deactivate, groups, members, add-member, remove-member, give, remove."""

from collections.abc import Sequence

import click

from countersign_cli import names
from countersign_cli.api import part
from countersign_cli.failures import Exit, Failure
from countersign_cli.session import Session, asks, fields_of
from countersign_cli.text import clean


@click.group("admin")
def admin() -> None:
    """People, groups and access. For admins: countersign login --admin."""


@admin.command("people")
@click.argument("words", nargs=-1)
@click.option("--state", type=click.Choice(["active", "invited", "deactivated"]), help="Only in this state.")
@click.option("--department", help="Only people of this department.")
@click.option("--manager", help="Only people who report to this person, by email address, name or id.")
@asks
def people(
    session: Session, words: tuple[str, ...], state: str | None, department: str | None, manager: str | None
) -> None:
    """List people, with WORDS in their name, email address or description."""
    of = names.person(session.api, manager)["id"] if manager else None
    found = list(
        session.api.items("/people", q=" ".join(words) or None, state=state, department=department, manager=of)
    )
    session.table(found, {
        "Name": lambda one: one["name"],
        "Email": lambda one: one["email"],
        "State": lambda one: one["state"] + (", admin" if one["is_admin"] else ""),
        "Apps": lambda one: one["app_count"],
        "Department": lambda one: one["department"],
        "Manager": lambda one: (one["manager"] or {}).get("name", ""),
        "About": lambda one: one["about"],
    }, "No one matches.")  # fmt: skip


@admin.command("invite")
@click.argument("email")
@click.option("--name", required=True, help="Their name.")
@click.option("--about", default="", help="What they do, in a few words.")
@click.option("--department", default="", help="Their department.")
@click.option("--manager", help="Whom they report to, by email address, name or id.")
@asks
def invite(session: Session, email: str, name: str, about: str, department: str, manager: str | None) -> None:
    """Invite a person: they get an email with a link to set a password."""
    body = {"email": email, "name": name, "about": about, "department": department}
    if manager:
        body["manager"] = names.person(session.api, manager)["id"]
    made = session.api.post("/people", body)
    session.show(made, lambda: [clean(f"{made['name']} invited.")])


@admin.command("deactivate")
@click.argument("person")
@click.option("--yes", is_flag=True, help="Do not ask, for scripts.")
@asks
def deactivate(session: Session, person: str, yes: bool) -> None:
    """Deactivate PERSON: they are signed out, and their pending requests are cancelled."""
    found = names.person(session.api, person)
    if not yes:
        click.confirm(clean(f"Deactivate {found['name']} ({found['email']})?"), abort=True, err=True)
    done = session.api.post(f"/people/{part(found['id'])}/deactivation")
    session.show(done, lambda: [clean(f"{done['name']} deactivated.")])


@admin.command("groups")
@click.argument("words", nargs=-1)
@asks
def groups(session: Session, words: tuple[str, ...]) -> None:
    """List groups, with WORDS in their name or a member's."""
    found = list(session.api.items("/groups", q=" ".join(words) or None))
    session.table(found, {
        "Group": lambda one: one["name"],
        "Members": lambda one: one["active_member_count"],
        "Owns": lambda one: one["owned_app_count"],
    }, "No group matches.")  # fmt: skip


@admin.command("members")
@click.argument("group")
@asks
def members(session: Session, group: str) -> None:
    """List the members of GROUP."""
    key = names.group(session.api, group)["id"]
    found = list(session.api.items(f"/groups/{part(key)}/members"))
    session.table(found, {
        "Name": lambda one: one["name"],
        "Email": lambda one: one["email"],
        "State": lambda one: one["state"],
    }, "This group has no members.")  # fmt: skip


@admin.command("add-member")
@click.argument("group")
@click.argument("person")
@asks
def add_member(session: Session, group: str, person: str) -> None:
    """Add PERSON to GROUP."""
    _member(session, "PUT", group, person, "added to")


@admin.command("remove-member")
@click.argument("group")
@click.argument("person")
@asks
def remove_member(session: Session, group: str, person: str) -> None:
    """Remove PERSON from GROUP."""
    _member(session, "DELETE", group, person, "removed from")


def _member(session: Session, method: str, group: str, person: str, verb: str) -> None:
    found, who = names.group(session.api, group), names.person(session.api, person)
    session.api.change(method, f"/groups/{part(found['id'])}/members/{part(who['id'])}")
    answer = {"group": {"id": found["id"], "name": found["name"]}, "person": {"id": who["id"], "name": who["name"]}}
    session.show(answer, lambda: [clean(f"{who['name']} {verb} {found['name']}.")])


@admin.command("give")
@click.argument("app")
@click.argument("person")
@click.option("--reason", "-m", required=True, help="They and the owner get it by email.")
@click.option("--field", "-f", "given", multiple=True, metavar="NAME=VALUE", help="A field, by its name.")
@asks
def give(session: Session, app: str, person: str, reason: str, given: Sequence[str]) -> None:
    """Give PERSON access to APP without a request."""
    fields = fields_of(given)
    found, who = names.app(session.api, app, manage=True), names.person(session.api, person)
    body = {"app": found["id"], "person": who["id"], "reason": reason, "fields": fields}
    made = session.api.post("/grants", body)
    session.show(made, lambda: [clean(f"{who['name']} has access to {found['name']}.")])


@admin.command("remove")
@click.argument("app")
@click.argument("person")
@click.option("--reason", "-m", required=True, help="They and the owner get it by email.")
@asks
def remove(session: Session, app: str, person: str, reason: str) -> None:
    """Remove the access of PERSON to APP."""
    found, who = names.app(session.api, app, manage=True), names.person(session.api, person)
    held = list(session.api.items("/grants", app=found["id"], person=who["id"], state="active", limit=1))
    if not held:
        raise Failure(Exit.NOT_FOUND, f"{who['name']} has no access to {found['name']}.")
    done = session.api.post(f"/grants/{part(held[0]['id'])}/removal", {"reason": reason})
    session.show(done, lambda: [clean(f"Access of {who['name']} to {found['name']} removed.")])
