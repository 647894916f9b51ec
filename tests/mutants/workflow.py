"""Mistakes in who decides, when, and what a decision does to a request."""

from tests.mutants.change import Change, Mutant

MUTANTS = [
    Mutant(
        "self-approval-through-a-group",
        "Whoever requests an app may decide as a member of the approving group.",
        "tests/workflow tests/operations/test_decide_refusals.py",
        [
            Change(
                "webapp/workflow/state_machine.py::decide",
                "_refuse_requester(request, actor)",
                "if actor not in deciders:\n    _refuse_requester(request, actor)",
            ),
            Change(
                "webapp/workflow/approvers.py::who_decides",
                "if person not in without",
                "if person not in without or approver.group is not None",
            ),
        ],
    ),
    Mutant(
        "an-empty-chain-approves",
        "A rule that requires approval and has no step lets everybody through.",
        "tests/operations/test_submit.py tests/workflow",
        [
            Change("webapp/workflow/approvers.py::require_deciders", "not found or any", "any"),
            Change(
                "webapp/operations/requests.py::submit",
                "_invitations.create_steps(request.id, policy, deciders[0], now=now)",
                "if not policy.steps:\n"
                "    request.state = RequestState.APPROVED.value\n"
                "    db.session.add(Grant(app_id=app.id, person_id=person.id, request_id=request.id, created_at=now))\n"
                "    return request\n"
                "_invitations.create_steps(request.id, policy, deciders[0], now=now)",
            ),
        ],
    ),
    Mutant(
        "the-last-step-is-skipped",
        "When one step is left, the request is approved without it.",
        "tests/workflow tests/operations/test_decide.py",
        [Change("webapp/workflow/state_machine.py::decide", "if not waiting:", "if len(waiting) <= 1:")],
    ),
    Mutant(
        "one-approval-is-enough",
        "A step closes with the first approval, however many it needs.",
        "tests/workflow",
        [Change("webapp/workflow/state_machine.py::decide", "step.approvals + 1 < step.needed", "step.approvals < 0")],
    ),
    Mutant(
        "one-person-approves-twice",
        "A person's second approval of a step counts like another person's.",
        "tests/workflow",
        [Change("webapp/workflow/state_machine.py::decide", "actor in step.verdicts", "actor in ()")],
    ),
    Mutant(
        "anybody-decides",
        "Anybody who sees a request may decide it, as long as the step has an approver.",
        "tests/workflow",
        [Change("webapp/workflow/state_machine.py::decide", "actor not in deciders", "not deciders")],
    ),
    Mutant(
        "approved-after-its-time",
        "An overdue step can be decided until a sweep ends the request.",
        "tests/operations/test_decide_refusals.py tests/operations/test_races.py",
        [
            Change(
                "webapp/workflow/state_machine.py::decide",
                'if step.overdue:\n    raise Settled("The deadline for this decision has passed.")\n',
                "",
            ),
            Change(
                "webapp/operations/_transition.py::_IN_TIME",
                "Step.state == StepState.OPEN.value, Step.due_at > db_now()",
                "Step.state == StepState.OPEN.value",
            ),
        ],
    ),
    Mutant(
        "only-the-page-knows-the-time",
        "The deadline is compared when the request is loaded, and not again when it is decided.",
        "tests/test_clocks.py tests/operations/test_races.py tests/operations/test_decide_refusals.py",
        [
            Change(
                "webapp/operations/_transition.py::_IN_TIME",
                "Step.state == StepState.OPEN.value, Step.due_at > db_now()",
                "Step.state == StepState.OPEN.value",
            ),
        ],
    ),
    Mutant(
        "a-hidden-field-is-shown",
        "A step reads the fields that its rule does not mention.",
        "tests/workflow tests/operations/test_decide.py",
        [
            Change(
                "webapp/workflow/policy.py::Policy._sheet",
                "visibility.get(one.id, Visibility.HIDDEN)",
                "visibility.get(one.id, Visibility.READ)",
            ),
        ],
    ),
    Mutant(
        "a-field-to-read-can-be-written",
        "A field that a step may only read takes the value that the step sends.",
        "tests/workflow tests/operations/test_decide.py",
        [
            Change(
                "webapp/workflow/entitlements.py::fill",
                "one.visibility is not Visibility.WRITE",
                "one.visibility is Visibility.HIDDEN",
            ),
        ],
    ),
    Mutant(
        "approve-after-deny",
        "A decision does not check whether the request was decided in the meantime.",
        "tests/operations/test_races.py::test_of_two_at_once_exactly_one_wins",
        [
            Change(
                "webapp/operations/_transition.py::_PENDING",
                "update(AccessRequest).where(AccessRequest.state == RequestState.PENDING.value)",
                "update(AccessRequest)",
            ),
            Change(
                "webapp/operations/_transition.py::_SEEN",
                'AccessRequest.id == bindparam("request"), AccessRequest.version == bindparam("seen")',
                'AccessRequest.id == bindparam("request")',
            ),
            Change(
                "webapp/operations/_transition.py::transition",
                '"request": case.request.id, "seen": case.request.version',
                '"request": case.request.id',
            ),
            Change(
                "webapp/operations/_transition.py::hold",
                "request=case.request.id, seen=case.request.version",
                "request=case.request.id",
            ),
        ],
    ),
    Mutant(
        "a-version-that-does-not-move",
        "Approving one step of several leaves the version of the request as it was.",
        "tests/operations/test_decide.py tests/operations/test_races.py",
        [
            Change(
                "webapp/operations/_transition.py::_NEXT",
                '"state": bindparam("new_state")',
                '"state": bindparam("new_state"), "version": AccessRequest.version '
                '+ __import__("sqlalchemy").case((bindparam("new_state") == "pending", 0), else_=1)',
            ),
        ],
    ),
    Mutant(
        "a-policy-edit-changes-pending-requests",
        "A pending request follows the rule of today instead of the rule that it was submitted under.",
        "tests/operations/test_decide.py",
        [
            Change(
                "webapp/queries/cases.py::_REQUEST",
                "PolicyRevision.id == AccessRequest.policy_revision_id",
                "PolicyRevision.id == App.policy_revision_id",
            ),
        ],
    ),
    Mutant(
        "an-expiry-that-ends-what-was-decided",
        "Expiry ends every request whose step was due, also one that was decided in time.",
        "tests/operations/test_expire.py",
        [
            Change(
                "webapp/operations/expiry.py::expire_overdue",
                "and_(Step.request_id == AccessRequest.id, Step.state == StepState.OPEN.value)",
                "and_(Step.request_id == AccessRequest.id)",
            ),
            Change(
                "webapp/operations/expiry.py::expire_overdue",
                "Step.due_at <= db_now(), AccessRequest.state == RequestState.PENDING.value",
                "Step.due_at <= db_now(), AccessRequest.state != RequestState.EXPIRED.value",
            ),
            Change(
                "webapp/operations/expiry.py::expire_overdue",
                "with suppress(Settled):\n    outcomes[id] = state_machine.expire(request)",
                "try:\n"
                "    outcomes[id] = state_machine.expire(request)\n"
                "except Settled:\n"
                "    outcomes[id] = state_machine.Outcome(RequestState.EXPIRED, ())",
            ),
            Change(
                "webapp/operations/expiry.py::expire_overdue",
                "rows = [row for row in overdue if row.id in expired]",
                "rows = [row for row in overdue if row.id in expired and pending[row.id].steps]",
            ),
            Change(
                "webapp/operations/_transition.py::transition_all",
                "_PENDING.where",
                "update(AccessRequest).values(version=AccessRequest.version + 1).where",
            ),
        ],
    ),
    Mutant(
        "a-grant-without-its-entitlements",
        "Approved access is granted without the values that the approvers chose.",
        "tests/operations/test_decide.py",
        [
            Change(
                "webapp/operations/grants.py::grant_from_request",
                'state="active", values_json=dump_values(values)',
                'state="active"',
            ),
        ],
    ),
]
