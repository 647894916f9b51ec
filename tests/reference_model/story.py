"""Random stories, told to the model and to Countersign alike; after each event both have to say the same.

Hypothesis makes the stories and, when one breaks a promise, shortens it to the few events that matter.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.reference_model.reference import Model
from tests.reference_model.terms import FINAL, Refused, Who

PEOPLE = ("rita", "ana", "ben", "chloe", "otto", "adam", "ada")
GROUPS = ("finance", "platform")
APPS = ("salesforce", "zoom", "figma")

names = st.sampled_from(PEOPLE)
whos = st.one_of(st.tuples(st.just("person"), names), st.tuples(st.just("group"), st.sampled_from(GROUPS)))
numbers = st.integers(0, 999)
reasons = st.sampled_from(("Because.", "Because.", "Because.", ""))
seats = st.sampled_from(("A", "B", "C"))
rarely = st.sampled_from((False,) * 9 + (True,))
steps = st.lists(
    st.tuples(whos, st.integers(1, 5), st.booleans()), min_size=1, max_size=3, unique_by=lambda step: step[0]
)
outcome = st.tuples(st.booleans(), st.booleans(), st.sampled_from(([], ["it@example.com"])))
rules = st.fixed_dictionaries(
    {
        "approval": st.sampled_from((True,) * 7 + (False,)),
        "steps": steps,
        "requester sets seat": st.booleans(),
        "mail": st.fixed_dictionaries({"approved": outcome, "denied": outcome, "expired": outcome}),
    }
)

apps = st.sampled_from(APPS)
groups = st.sampled_from(GROUPS)
ways = st.sampled_from(("finish", "finish", "approve", "cancel"))


def events(**weights: tuple[int, tuple[Any, ...]]) -> st.SearchStrategy[tuple[Any, ...]]:
    """(name of an event, its values…), each as often as its weight says."""
    return st.one_of([st.tuples(st.just(name), *values) for name, (weight, values) in weights.items()
                      for _ in range(weight)])  # fmt: skip


ASKING_AND_DECIDING: dict[str, tuple[int, tuple[Any, ...]]] = {
    "submit": (6, (names, apps, seats, rarely, numbers)),
    "approve": (8, (numbers, names, numbers, seats)),
    "deny": (2, (numbers, names, numbers, reasons)),
    "cancel": (1, (numbers,)),
    "pass_days": (3, (st.integers(1, 3),)),
    "sweep": (1, ()),
    "save_rule": (3, (names, apps, rules)),
    "approval_off": (1, (names, apps, ways, reasons)),
    "set_owner": (1, (names, apps, st.one_of(st.none(), whos))),
    "member": (3, (names, groups, names)),
    "deactivate": (1, (names, names)),
    "reactivate": (2, (names, numbers)),
    "set_admin": (1, (names, names)),
}
DECISIONS = events(**ASKING_AND_DECIDING)
EVERYTHING = events(
    **ASKING_AND_DECIDING,
    add=(2, (names, apps)),
    archive=(1, (names, apps)),
    archive_group=(2, (names, groups)),
    remind=(1, (numbers,)),
    new_code=(1, (numbers, names)),
    deliver_emails=(2, ()),
    admin_cancel=(1, (names, numbers, reasons)),
    reassign=(2, (names, numbers, whos, reasons)),
    extend=(1, (names, numbers, st.integers(1, 6), reasons)),
    remove_grant=(1, (names, numbers, reasons)),
    grant_access=(2, (names, names, apps, seats, reasons)),
    remove_all=(1, (names, names, reasons)),
    give_back=(1, (names, numbers)),
)


def new_model() -> Model:
    model = Model()
    model.people = {name: {"active": True, "admin": name in ("adam", "ada")} for name in PEOPLE}
    model.groups = {"finance": {"ben", "chloe"}, "platform": {"ana", "chloe", "otto"}}
    mail = {"approved": (True, False, []), "denied": (True, True, []), "expired": (True, True, ["it@example.com"])}

    def app(owner: Who | None, *steps: Any, approval: bool = True) -> dict[str, Any]:
        rule = {"approval": approval, "steps": list(steps), "requester sets seat": False, "mail": mail}
        return {"owner": owner, "rule": rule, "archived": False, "opened by": None, "shown by": None}

    model.apps = {
        "salesforce": app(("person", "otto"), (("person", "ana"), 3, False)),
        "zoom": app(("group", "platform"), (("group", "finance"), 1, True), (("person", "rita"), 2, True)),
        "figma": app(None, (("person", "adam"), 1, False), approval=False),
    }
    return model


class Decisions(RuleBasedStateMachine):
    """What both the pure core and the database know: asking, deciding, and who may."""

    told: ClassVar[Counter[str]] = Counter()  # events and how they went, of all stories of this process

    def __init__(self, system: Any) -> None:
        super().__init__()
        self.system = system
        self.model = new_model()
        self.ended: dict[int, str] = {}
        self.system.start(self.model)

    def both(self, what: str, **values: Any) -> None:
        """Tells the model and the system. What the model refuses, the system has to refuse for one of its reasons."""
        try:
            getattr(self.model, what)(**values)
        except Refused as refused:
            expected = refused.reasons
        else:
            expected = frozenset()
        if "conflict" in expected and not self.system.knows_conflicts:
            return
        answer = self.system.do(what, **values)
        self.told[f"{what}: {answer or 'done'}"] += 1
        if expected:
            assert answer in expected, f"{what} {values}: {answer or 'was done'}; the model refuses: {set(expected)}"
        else:
            assert answer is None, f"{what} {values} was refused ({answer}); the model sees no reason"

    def pick(self, number: int) -> int:
        """Mostly a request that is pending, of the others now and then one."""
        pending = [place for place, one in enumerate(self.model.requests) if one["state"] == "pending"]
        if pending and number % 4:
            return pending[number % len(pending)]
        return number % len(self.model.requests)

    def somebody(self, number: int, name: str, which: int) -> str:
        """Mostly somebody who may decide; else anybody, or the one who asks."""
        request = self.model.requests[number]
        step = self.model.open_step(request)
        able = sorted(self.model.deciders(step["approver"], request)[1]) if step else []
        if able and which // 7 % 4 != 3:
            return able[hash_of(name) % len(able)]
        return str(request["person"]) if which // 28 % 2 else name

    def seen(self, number: int, which: int) -> int:
        """Mostly the step that is open; else one that the person has had on the screen for too long."""
        request = self.model.requests[number]
        places = [place for place, step in enumerate(request["steps"]) if step["state"] == "open"]
        return places[0] if places and which % 6 else which % len(request["steps"])

    def admin(self, name: str) -> str:
        admins = sorted(self.model.admins())
        return name if name in admins else admins[hash_of(name) % len(admins)]

    def teardown(self) -> None:
        self.told["stories"] += 1

    @initialize(rule=rules)
    def a_first_request(self, rule: dict[str, Any]) -> None:
        self.both("save_rule", actor="adam", app="zoom", rule={**rule, "approval": True})
        self.both("submit", person="rita", app="zoom", seat="B", stale=False)

    # One rule for all: Hypothesis leaves whole rules out of a story, and most stories need all of these.
    @rule(event=DECISIONS)
    def happens(self, event: tuple[Any, ...]) -> None:
        what, *values = event
        getattr(self, what)(*values)

    def submit(self, person: str, app: str, seat: str, stale: bool, which: int) -> None:
        """Mostly something that can be asked for."""
        able = [
            (name, wanted)
            for name, one in self.model.people.items()
            for wanted in APPS
            if one["active"] and self.model.apps[wanted]["rule"]["approval"] and not self.model.apps[wanted]["archived"]
            and not self.model.has(name, wanted) and not self.model.has_asked(name, wanted)
        ]  # fmt: skip
        if able and which % 5:
            person, app = able[which % len(able)]
        self.both("submit", person=person, app=app, seat=seat, stale=stale)

    def approve(self, number: int, name: str, which: int, seat: str) -> None:
        place = self.pick(number)
        person, seen = self.somebody(place, name, which), self.seen(place, which)
        self.both("approve", person=person, number=place, seen=seen, seat=seat)

    def deny(self, number: int, name: str, which: int, reason: str) -> None:
        place = self.pick(number)
        person, seen = self.somebody(place, name, which), self.seen(place, which)
        self.both("deny", person=person, number=place, seen=seen, reason=reason)

    def cancel(self, number: int) -> None:
        place = self.pick(number)
        self.both("cancel", person=self.model.requests[place]["person"], number=place)

    def pass_days(self, days: int) -> None:
        self.both("pass_days", days=days)

    def sweep(self) -> None:
        self.both("sweep")

    def save_rule(self, actor: str, app: str, rule: dict[str, Any]) -> None:
        # No page leads to the rules of an archived app, or lets somebody choose an archived group.
        named = {name for (kind, name), _, _ in rule["steps"] if kind == "group"}
        if not self.model.apps[app]["archived"] and not named & self.model.archived:
            self.both("save_rule", actor=self.admin(actor), app=app, rule=rule)

    def approval_off(self, actor: str, app: str, way: str, reason: str) -> None:
        if self.model.apps[app]["rule"]["approval"] and not self.model.apps[app]["archived"]:
            self.both("approval_off", actor=self.admin(actor), app=app, way=way, reason=reason)

    def set_owner(self, actor: str, app: str, owner: Who | None) -> None:
        if not self.model.apps[app]["archived"] and self.can_be_chosen(owner):
            self.both("set_owner", actor=self.admin(actor), app=app, owner=owner)

    def can_be_chosen(self, who: Who | None) -> bool:
        return who is None or who[0] == "person" or who[1] not in self.model.archived

    def member(self, actor: str, group: str, person: str) -> None:
        word = "remove_member" if person in self.model.groups[group] else "add_member"
        self.both(word, actor=self.admin(actor), group=group, person=person)

    def deactivate(self, actor: str, person: str) -> None:
        self.both("deactivate", actor=self.admin(actor), person=person)

    def reactivate(self, actor: str, which: int) -> None:
        """Mostly somebody who is away."""
        away = [name for name, one in self.model.people.items() if not one["active"]] or list(PEOPLE)
        self.both("reactivate", actor=self.admin(actor), person=away[which % len(away)])

    def set_admin(self, actor: str, person: str) -> None:
        self.both("set_admin", actor=self.admin(actor), person=person, admin=not self.model.people[person]["admin"])

    @invariant()
    def both_say_the_same(self) -> None:
        self.found = self.system.look()
        expected = self.system.expected(self.model)
        for what, wanted in expected.items():
            assert self.found[what] == wanted, f"{what}: there is {self.found[what]}; the model says {wanted}"

    @invariant()
    def what_has_ended_stays_as_it_ended(self) -> None:
        for number, request in enumerate(self.found["requests"]):
            if request["state"] in FINAL:
                assert self.ended.setdefault(number, request["state"]) == request["state"]
                assert not [step for step in request["steps"] if step["state"] in ("open", "waiting")]
            else:
                assert number not in self.ended
                assert [step["state"] for step in request["steps"]].count("open") == 1


class Operations(Decisions):
    """Everything that people, admins, time and the worker do, through the real operations."""

    def __init__(self, system: Any) -> None:
        super().__init__(system)
        self.versions: dict[int, tuple[int, Any]] = {}
        self.revisions: dict[int, int] = {}
        self.returned: Counter[tuple[str, str]] = Counter()

    @rule(event=EVERYTHING)
    def happens(self, event: tuple[Any, ...]) -> None:
        what, *values = event
        getattr(self, what)(*values)

    def add(self, person: str, app: str) -> None:
        self.both("add", person=person, app=app)

    def remind(self, number: int) -> None:
        place = self.pick(number)
        self.both("remind", person=self.model.requests[place]["person"], number=place)

    def new_code(self, number: int, name: str) -> None:
        place = self.pick(number)
        person = self.somebody(place, name, number)
        step = self.model.open_step(self.model.requests[place])
        if step is None or step["asked"].get(person, (False, 0))[1] < 3:  # three a day is another test's
            self.both("new_code", person=person, number=place)

    def deliver_emails(self) -> None:
        self.both("deliver_emails")

    def admin_cancel(self, actor: str, number: int, reason: str) -> None:
        self.both("admin_cancel", actor=self.mostly_admin(actor), number=self.pick(number), reason=reason)

    def reassign(self, actor: str, number: int, to: Who, reason: str) -> None:
        if self.can_be_chosen(to):
            self.both("reassign", actor=self.mostly_admin(actor), number=self.pick(number), to=to, reason=reason)

    def archive(self, actor: str, app: str) -> None:
        word = "restore_app" if self.model.apps[app]["archived"] else "archive_app"
        self.both(word, actor=self.admin(actor), app=app)

    def archive_group(self, actor: str, group: str) -> None:
        self.both("archive_group", actor=self.admin(actor), group=group)

    def extend(self, actor: str, number: int, days: int, reason: str) -> None:
        place = self.pick(number)
        step = self.model.open_step(self.model.requests[place])
        if step is not None and step["due"] == self.model.today + days:
            days += 1  # the same day would be a matter of milliseconds
        self.both("extend", actor=self.mostly_admin(actor), number=place, days=days, reason=reason)

    def remove_grant(self, actor: str, number: int, reason: str) -> None:
        if self.model.grants:
            live = [place for place, grant in enumerate(self.model.grants) if grant["live"]]
            place = live[number % len(live)] if live and number % 5 else number % len(self.model.grants)
            self.both("remove_grant", actor=self.admin(actor), number=place, reason=reason)

    def grant_access(self, actor: str, person: str, app: str, seat: str, reason: str) -> None:
        self.both("grant_access", actor=actor, person=person, app=app, seat=seat, reason=reason)

    def remove_all(self, actor: str, person: str, reason: str) -> None:
        self.both("remove_all", actor=self.admin(actor), person=person, reason=reason)

    def give_back(self, person: str, number: int) -> None:
        """Mostly somebody's own app that they have."""
        if self.model.grants:
            live = [place for place, grant in enumerate(self.model.grants) if grant["live"]]
            place = live[number % len(live)] if live and number % 5 else number % len(self.model.grants)
            grant = self.model.grants[place]
            if self.returned[grant["person"], grant["app"]] < 3:  # three a day is another test's
                who = person if number % 7 == 6 else grant["person"]
                self.returned[grant["person"], grant["app"]] += grant["live"] and who == grant["person"]
                self.both("give_back", person=who, number=place)

    def mostly_admin(self, name: str) -> str:
        return name if name == "otto" else self.admin(name)

    @invariant()
    def nobody_decided_their_own_or_twice(self) -> None:
        for request in self.found["requests"]:
            for step in request["steps"]:
                assert len(step["decisions"]) <= 1
                for person, verdict, channel in step["decisions"]:
                    assert person != request["person"]
                    assert step["state"] == verdict
                    assert channel in ("browser", "admin")

    @invariant()
    def grants_are_the_approvals_and_the_direct_adds(self) -> None:
        grants = self.found["grants"]
        live = [(app, person) for app, person, _, is_live, _ in grants if is_live]
        assert len(live) == len(set(live)), "somebody has an app twice"
        given = {number for _, _, number, _, _ in grants if number is not None}
        approved = {number for number, one in enumerate(self.found["requests"]) if one["state"] == "approved"}
        assert given <= approved
        for number in approved - given:  # these brought what the person had up to date
            request = self.found["requests"][number]
            assert (request["app"], request["person"]) in {(app, person) for app, person, _, _, _ in grants}

    @invariant()
    def one_pending_for_each_app_and_person(self) -> None:
        pending = [(one["app"], one["person"]) for one in self.found["requests"] if one["state"] == "pending"]
        assert len(pending) == len(set(pending))

    @invariant()
    def the_version_moves_with_everything_and_the_rule_never(self) -> None:
        for number, request in enumerate(self.found["requests"]):
            told = [
                (step["state"], step["approver"], step["tier"], sorted(step["asked"].items()))
                for step in request["steps"]
            ]
            picture = (request["state"], request["seat"], told)
            version, before = self.versions.get(number, (0, None))
            now, revision = self.found["versions"][number], self.found["revisions"][number]
            assert now >= version
            assert picture == before or now > version or only_new_rounds(before, picture)
            self.versions[number] = (now, picture)
            assert self.revisions.setdefault(number, revision) == revision

    @invariant()
    def the_record_holds_and_tells_how_it_stands(self) -> None:
        self.system.check_audit_log()

    def teardown(self) -> None:
        super().teardown()
        self.system.check_audit_log(whole=True)


def only_new_rounds(before: Any, after: Any) -> bool:
    """Nothing but the rounds of invitations: a new code is no transition of the request."""

    def plain(picture: Any) -> Any:
        state, seat, steps = picture
        return state, seat, [(*step[:3], [(name, live) for name, (live, _) in step[3]]) for step in steps]

    return before is not None and plain(before) == plain(after)


def hash_of(name: str) -> int:
    """The same in every process, other than hash()."""
    return sum(map(ord, name))
