"""Each change leaves its line in the record: what was done, by whom, to which app, request and person."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tests.helpers import factories, lookups
from tests.helpers.factories import Company, approver, case_of, step_id
from tests.helpers.lookups import events
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import ApiToken, Delivery, Endpoint, EndpointSecret, Grant, Notice, Organisation, Person
from webapp.operations import (
    approval_codes,
    apps,
    comments,
    endpoints,
    entitlements,
    expiry,
    grants,
    groups,
    icons,
    mails,
    organisation,
    people,
    requests,
    returns,
    rule_steps,
    step_in,
    tokens,
)
from webapp.record.events import EventKind
from webapp.workflow.actor import AnyActor
from webapp.workflow.states import Verdict

ELSEWHERE = {
    "grant.failed", "grant.provisioning",  # only the demo company has grants that something else provides
    "grant.updated",  # test_decide.py
    "audit.verified",  # tests/views/test_admin_audit_list.py
    "delivery.held", "delivery.let_go", "delivery.dropped",  # tests/webhooks/test_restored.py
    "directory.created", "directory.changed", "directory.paused", "directory.resumed",
    "directory.removed",  # tests/views/test_admin_directories.py
    "factor.added", "factor.removed", "factor.reset", "recovery_codes.made", "recovery_code.used",
    "passkey.refused",  # tests/views/test_auth_factors.py and test_auth_passkeys.py
    "identity.linked", "identity.unlinked", "provider.created", "provider.changed", "provider.group_added",
    "provider.group_removed",  # tests/sso and tests/views/test_admin_sign_in.py
}  # fmt: skip


@contextmanager
def line(kind: str, actor: Person | None, **about: Any) -> Iterator[None]:
    """Exactly one line of this kind by this person comes of what is done inside, about what is named; others may."""
    choose("write")
    ids = {name: one.id for name, one in about.items()}
    by = actor.id if actor is not None else None
    before = len(events())
    choose("write")
    yield
    outbox.commit()
    new = [one for one in events()[before:] if one["kind"] == kind]
    assert [one["actor"] for one in new] == [by], new
    assert {name: (new[0] | new[0]["facts"])[name] for name in ids} == ids


def changes_of_an_app(of: Company) -> None:
    made = factories.app("Salesforce", of.ana, of.ben)
    source = factories.app("Jira", of.otto)
    now = clock.now
    details = {"name": "Salesforce", "description": "", "category": "", "launch_url": ""}
    with line("app.changed", of.adam, app=made):
        apps.change_details(made, **details | {"description": "For sales"}, actor=of.adam, now=now())
    with line("app.changed", of.adam, app=made):
        apps.set_note(made, note="Read this first.", actor=of.adam, now=now())
    with line("app.changed", of.adam, app=made):
        apps.set_requestable(made, requestable=False, actor=of.adam, now=now())
    with line("app.changed", of.adam, app=made):
        apps.set_owner(made, owner=approver(of.chloe), actor=of.adam, now=now())
    with line("app.changed", of.adam, app=made):
        apps.set_audience(made, groups=[of.finance.id], actor=of.adam, now=now())
    with line("app.changed", of.adam, app=made):
        icons.choose(made, "key", actor=of.adam, now=now())
    with line("policy.saved", of.adam, app=made):
        rule_steps.order(made, [step_id(made, of.ben), step_id(made, of.ana)], actor=of.adam, now=now())
    field: dict[str, Any] = {"name": "Seat", "options": (), "required": False, "default": (), "help": "",
                             "requester": "write", "actor": of.adam}  # fmt: skip
    with line("field.created", of.adam, app=made):
        first = entitlements.create(made, kind="text", now=now(), **field)
    second = entitlements.create(made, kind="text", now=now(), **field | {"name": "Cost centre"})
    outbox.commit()
    with line("field.changed", of.adam, app=made):
        entitlements.edit(made, first.public_id, now=now(), **field | {"help": "By the window?"})
    with line("fields.ordered", of.adam, app=made):
        entitlements.order(made, [second.public_id, first.public_id], actor=of.adam, now=now())
    with line("field.archived", of.adam, app=made):
        entitlements.archive(made, first.public_id, actor=of.adam, now=now())
    with line("field.restored", of.adam, app=made):
        entitlements.restore(made, first.public_id, actor=of.adam, now=now())
    with line("policy.copied", of.adam, app=made):
        rule = apps.rule_to_change(source)
        entitlements.copy_rules(made, source, rule, with_fields=False, actor=of.adam, now=now())
    with line("app.archived", of.adam, app=made):
        apps.archive(made, actor=of.adam, now=now())
    with line("app.restored", of.adam, app=made):
        apps.restore(made, actor=of.adam, now=now())
    with line("app.created", of.adam):
        apps.create(name="GitHub", actor=of.adam, now=now())


def changes_of_people(of: Company) -> None:
    now = clock.now
    with line("person.created", of.adam):
        new = people.invite(email="new@example.com", name="Nora New", actor=of.adam, now=now())
    with line("person.invited", of.adam, person=new):
        people.send_invitation_again(new, actor=of.adam, now=now())
    with line("password.set", of.otto, person=of.otto):
        people.set_password(of.otto.id, hash="x" * 20, round=of.otto.password_round, now=now())
    with line("password.link_mailed", of.adam, person=of.otto):
        people.reset_password(of.otto, actor=of.adam, now=now())
    with line("person.changed", of.adam, person=of.otto):
        people.change_details(of.otto, name="Otto Brandt", email=of.otto.email, about="IT", actor=of.adam, now=now())
    with line("person.changed", of.adam, person=of.otto):
        people.set_admin(of.otto, is_admin=True, actor=of.adam, now=now())
    with line("person.changed", of.otto, person=of.otto):
        people.change_settings(of.otto, time_zone="Asia/Tokyo", now=now())
    with line("person.changed", of.otto, person=of.otto):
        people.change_theme(of.otto, theme="dark", now=now())
    with line("session.started", of.otto, person=of.otto):
        session = people.start_session(
            of.otto.id, kind="sign_in", browser="", address="", lasts=timedelta(hours=1), now=now()
        )
    with line("session.proved", of.otto, person=of.otto):
        people.reauthenticate(session.public_id, person_id=of.otto.id, now=now())
    with line("session.ended", of.otto, person=of.otto):
        people.end_session(session.public_id, person_id=of.otto.id, now=now())
    factories.session_of(of.otto)
    with line("session.ended", of.adam, person=of.otto):
        people.sign_out(of.otto, actor=of.adam, now=now())
    with line("person.deactivated", of.adam, person=of.otto):
        people.deactivate(of.otto, actor=of.adam, now=now())
    with line("person.reactivated", of.adam, person=of.otto):
        people.reactivate(of.otto, actor=of.adam, now=now())
    with line("group.created", of.adam):
        made = groups.create(name="Sales", actor=of.adam, now=now())
    with line("group.changed", of.adam, group=made):
        groups.rename(made, name="Sellers", actor=of.adam, now=now())
    with line("group.member_added", of.adam, group=made, person=of.otto):
        groups.add_member(made, of.otto, actor=of.adam, now=now())
    with line("group.member_removed", of.adam, group=made, person=of.otto):
        groups.remove_member(made, of.otto, actor=of.adam, now=now())
    with line("group.archived", of.adam, group=made):
        groups.archive(made, actor=of.adam, now=now())


def life_of_requests(of: Company) -> None:
    now = clock.now
    free, asked = factories.app("Free"), factories.app("Salesforce", of.ana, of.finance)
    with line("grant.added", of.rita, app=free, person=of.rita):
        grant = grants.add_directly(free, factories.revision_of(free), actor=of.rita, now=now())
    with line("grant.removed", of.adam, app=free, person=of.rita):
        grants.remove(grant, actor=of.adam, reason="No longer needed.", now=now())
    again = factories.grant(of.rita, free)
    with line("grant.removed", of.rita, app=free, person=of.rita):
        returns.give_back(again, actor=of.rita, reason="No longer needed.", now=now())
    with line("grant.added", of.adam, app=free, person=of.otto):
        rule = factories.revision_of(free)
        grants.give(free, rule, person=of.otto, actor=of.adam, given={}, reason="New.", now=now())
    held = db.session.scalars(select(Grant.public_id).where(Grant.person_id == of.otto.id)).all()
    with line("grant.removed", of.adam, app=free, person=of.otto):
        grants.remove_all(of.otto, shown=held, actor=of.adam, reason="Gone.", now=now())
    with line("request.submitted", of.rita, app=asked, person=of.rita):
        made = requests.submit(asked, factories.revision_of(asked), actor=of.rita, message="Hi", given={}, now=now())
    about: dict[str, Any] = {"request": made, "app": asked}
    with line("request.commented", of.ana, **about):
        comments.add(case_of(made), actor=of.ana, body="What for?", now=now())
    later = now() + timedelta(days=2)
    with line("request.reminded", of.rita, **about):
        requests.remind(case_of(made), actor=of.rita, now=later)
    later += timedelta(minutes=11)
    with line("code.mailed_again", of.ana, request=made):
        approval_codes.mail_same_code(case_of(made), lookups.invitation(made, of.ana), now=later)
    with line("code.renewed", of.ana, request=made, person=of.ana):
        approval_codes.mail_new_code(case_of(made), lookups.invitation(made, of.ana), now=later)
    with line("code.closed", None, request=made, person=of.ana):
        tried = lookups.invitation(made, of.ana)
        for _ in range(5):
            approval_codes.count_wrong_code(case_of(made), tried, now=now())
    with line("step.extended", of.adam, person=of.rita, **about):
        step_in.extend(case_of(made), days="30", actor=of.adam, reason="On leave.", now=now())
    with line("step.reassigned", of.adam, person=of.rita, **about):
        step_in.reassign(case_of(made), to=approver(of.otto), name="Otto", actor=of.adam, reason="Gone.", now=now())
    with line("step.approved", of.otto, person=of.rita, **about):
        factories.decide(made, of.otto)
    with line("step.reassigned", None, request=made):
        groups.remove_member(of.finance, of.chloe, actor=of.adam, now=now())
    with line("grant.added", of.ben, person=of.rita, **about):
        factories.decide(made, of.ben)
    made = factories.request(of.rita, factories.app("Jira", of.ana))
    with line("step.denied", of.ana, request=made, person=of.rita):
        factories.decide(made, of.ana, Verdict.DENIED)
    made = factories.request(of.rita, factories.app("GitHub", of.ana, of.otto))
    with line("step.opened", None, request=made):
        factories.decide(made, of.ana)
    made = factories.request(of.rita, factories.app("Figma", of.ana))
    with line("request.cancelled", of.rita, request=made, person=of.rita):
        requests.cancel(case_of(made), actor=of.rita, now=now())
    made = factories.request(of.rita, factories.app("Miro", of.ana))
    factories.overdue(made)
    with line("request.expired", None, request=made, person=of.rita):
        expiry.expire_overdue(now=now())


def mails_and_the_company(of: Company) -> None:
    now = clock.now
    made = factories.request(of.rita, factories.app("Salesforce", of.ana))
    with line("mail.held", None):
        mails.hold(now=now())
    with line("mail.let_go", of.adam):
        mails.release(actor=of.adam, now=now())
    mails.hold(now=now())
    outbox.commit()
    with line("mail.dropped", of.adam):
        mails.discard(None, actor=of.adam, now=now())
    notice = db.session.query(Notice).filter(Notice.request_id == made.id).populate_existing().one()
    with line("mail.sent_again", of.adam, request=made, person=of.ana):
        notice.state = "dead"
        mails.send_again(notice, actor=of.adam, now=now())
    with line("mail.tried_now", of.adam, request=made, person=of.ana):
        notice = db.session.query(Notice).filter(Notice.request_id == made.id).populate_existing().one()
        notice.due_at += timedelta(minutes=9)
        mails.try_now(notice, actor=of.adam, now=now())
    with line("mail.all_tried_again", of.adam):
        notice.state = "dead"
        mails.try_all_again(select(Notice.id), actor=of.adam, now=now())
    with line("mail.tested", of.adam, person=of.adam):
        mails.send_test(actor=of.adam, now=now())
    ours = db.session.query(Organisation).one()
    with line("organisation.changed", None):
        organisation.change(ours, name=None, time_zone="Asia/Tokyo", sender=None, now=now())
    with line("organisation.changed", of.adam):
        organisation.change(ours, name=None, time_zone=None, sender=None, outcome_domains="partner.example",
                            actor=of.adam, now=now())  # fmt: skip
    with line("organisation.changed", of.adam):
        organisation.hide_first_steps(ours, actor=of.adam, now=now())


def api_tokens(of: Company) -> None:
    now = clock.now

    def make(person: Person | None, by: AnyActor) -> ApiToken:
        return tokens.create(name="laptop", scopes=["requests:read"], days=30, actor=by, now=now(), person=person)[0]

    with line("token.created", of.rita, person=of.rita):
        mine = make(of.rita, of.rita)
    with line("token.revoked", of.adam, person=of.rita):
        tokens.revoke(mine, actor=of.adam, now=now(), leaked=True)
    with line("token.created", of.adam):
        make(None, of.adam)


def endpoints_of_all_kinds(of: Company) -> None:
    now = clock.now

    def add(**given: Any) -> Endpoint:
        values = {"name": "Desk", "address": "https://hooks.example.com/in"}
        return endpoints.create(**values, **given, actor=of.adam, now=now())[0]

    with line("endpoint.created", of.adam):
        hook = add(kind="webhook")
    with line("endpoint.created", of.adam, person=of.ana):
        add(kind="slack", person=of.ana)
    with line("endpoint.changed", of.adam):
        endpoints.change(hook, name="Service desk", events=["access.given"], actor=of.adam, now=now())
    with line("endpoint.tested", of.adam):
        endpoints.send_test(hook, actor=of.adam, now=now())
    with line("endpoint.paused", of.adam):
        endpoints.pause(hook, actor=of.adam, now=now())
    with line("endpoint.resumed", of.adam):
        endpoints.resume(hook, actor=of.adam, now=now())
    with line("endpoint.paused", None):
        endpoints.pause_failing(hook.id, "It answered “410 Gone”.", now=now())
    with line("endpoint.secret_changed", of.adam):
        endpoints.rotate_secret(hook, actor=of.adam, now=now())
    with line("endpoint.secret_ended", of.adam):
        old = db.session.scalars(select(EndpointSecret).where(EndpointSecret.retires_at.is_not(None))).one()
        endpoints.end_secret(hook, old, actor=of.adam, now=now())
    with line("delivery.sent_again", of.adam):
        delivery = db.session.scalars(select(Delivery)).first()
        assert delivery is not None
        delivery.state = "dead"
        endpoints.send_again(delivery, hook, actor=of.adam, now=now())
    with line("endpoint.removed", of.adam):
        endpoints.remove(hook, actor=of.adam, now=now())


@pytest.mark.parametrize(
    "story",
    [changes_of_an_app, changes_of_people, life_of_requests, mails_and_the_company, api_tokens, endpoints_of_all_kinds],
)
def test_each_change_leaves_its_line(company: Company, story: Callable[[Company], None]) -> None:
    story(company)


def test_no_kind_of_line_is_left_out() -> None:
    told = set(re.findall(r'with line\("([a-z._]+)"', Path(__file__).read_text()))
    assert set(EventKind) - ELSEWHERE - told == set()
