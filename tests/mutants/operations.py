"""Mistakes in what people, owners and admins may do, and in the transactions that do it."""

from tests.mutants.change import Change, Mutant

MUTANTS = [
    Mutant(
        "a-deactivated-approver-decides",
        "A deactivated person still counts among the approvers.",
        "tests/operations/test_people.py tests/operations/test_decide.py",
        [
            Change(
                "webapp/queries/directory.py::_PERSONS",
                'Person.id.in_(bindparam("persons", expanding=True)), Person.active',
                'Person.id.in_(bindparam("persons", expanding=True))',
            ),
        ],
    ),
    Mutant(
        "an-admin-edits-their-own-case",
        "An admin changes the rule of an app while their own request for it is pending.",
        "tests/views/test_admin_owners.py",
        [
            Change("webapp/operations/apps.py::save_policy", "refuse_own(app, actor)", "pass"),
        ],
    ),
    Mutant(
        "an-admin-gives-their-own-case-away",
        "An admin makes somebody else the owner of an app while their own request for it is pending.",
        "tests/operations/test_apps.py",
        [Change("webapp/operations/apps.py::set_owner", "refuse_own(app, actor)", "pass")],
    ),
    Mutant(
        "an-owner-grants-access-to-themselves",
        "An owner of an app grants themselves access, so that nobody else has approved it.",
        "tests/operations/test_grants.py tests/views/test_admin_grants.py",
        [
            Change(
                "webapp/operations/grants.py::give",
                "if person.id == actor_id:",
                "if person.id == actor_id and not person.active:",
            ),
        ],
    ),
    Mutant(
        "an-owner-opens-the-app-to-herself",
        "Whoever turned approval off adds the app without anybody else's approval.",
        "tests/operations/test_self_opened.py",
        [
            Change(
                "webapp/operations/grants.py::add_directly",
                "own is not None and not own.is_alone",
                "False",
            ),
        ],
    ),
    Mutant(
        "any-later-change-of-a-rule-opens-the-app",
        "Whoever saved the rules of an app last counts as the person who opened it.",
        "tests/operations/test_self_opened.py",
        [Change("webapp/queries/self_opened.py::_author", "author = row.created_by_id", "pass")],
    ),
    Mutant(
        "anybody-gives-an-app-back",
        "Anybody who finds a grant returns the app of another person.",
        "tests/operations/test_returns.py",
        [Change("webapp/operations/returns.py::give_back", "grant.person_id != actor.id", "actor.id is None")],
    ),
    Mutant(
        "requesting-and-cancelling-without-end",
        "Somebody requests and cancels in a loop, and everybody is mailed each time.",
        "tests/operations/test_repeat_limits.py",
        [
            Change(
                "webapp/operations/requests.py::submit",
                "_repeat_limits.check_request(app, eligibility.lately, now=now)",
                "pass",
            ),
        ],
    ),
    Mutant(
        "the-last-admin-goes",
        "The only admin can be deactivated, and nobody can make another.",
        "tests/operations/test_people.py",
        [Change("webapp/operations/people.py::deactivate", "_refuse_if_only_admin(person)", "pass")],
    ),
    Mutant(
        "an-archived-group-leaves-its-decisions",
        "A group is archived, and nobody else is asked to decide its steps.",
        "tests/operations/test_reassigned.py",
        [
            Change(
                "webapp/operations/groups.py::archive",
                "reassign_open_steps(people=members, groups=[group.id], now=now)",
                "pass",
            ),
        ],
    ),
    Mutant(
        "a-returning-approver-finds-the-code-closed",
        "A person who is back in the group gets a new mail whose code earlier wrong codes keep closed.",
        "tests/operations/test_groups.py",
        [
            Change(
                "webapp/operations/_reassign.py::_invite_anew",
                "invitation.live, invitation.round, invitation.wrong_codes = True, invitation.round + 1, 0",
                "invitation.live, invitation.round = True, invitation.round + 1",
            ),
        ],
    ),
    Mutant(
        "a-former-member-goes-on-seeing",
        "A person who left the group goes on seeing its requests.",
        "tests/views/test_seeing.py",
        [
            Change(
                "webapp/queries/visibility.py::was_invited",
                "step.id == invitation.step_id, may_still_see(invitation, step)",
                "step.id == invitation.step_id",
            ),
        ],
    ),
    Mutant(
        "a-former-member-keeps-the-queue",
        "A person who left the group still sees its requests in Approvals.",
        "tests/views/test_approver_queue.py",
        [
            Change(
                "webapp/queries/approvals.py::_WAITING",
                'Invitation.person_id == bindparam("person"), Invitation.live',
                'Invitation.person_id == bindparam("person")',
            ),
        ],
    ),
    Mutant(
        "paging-that-skips-equals",
        "Of several requests with the same deadline the next page leaves some out.",
        "tests/views/test_approver_queue.py tests/queries",
        [
            Change(
                "webapp/queries/approvals.py::_WAITING_LATER",
                '(Step.due_at > bindparam("after_due"))'
                ' | ((Step.due_at == bindparam("after_due")) & (Step.id > bindparam("after_id")))',
                '(Step.due_at > bindparam("after_due")) & (Step.id != bindparam("after_id"))',
            ),
        ],
    ),
    Mutant(
        "a-refused-row-drops-what-was-recorded-before",
        "A refused row drops the audit events of everything that the transaction did before.",
        "tests/operations/test_savepoints.py",
        [
            Change(
                "webapp/database/uncommitted.py::_drop_rolled_back",
                'del session.info.get("uncommitted", [])[_savepoints(session)[savepoint] :]',
                'session.info.pop("uncommitted", None)',
            ),
        ],
    ),
    Mutant(
        "a-refused-row-undoes-the-transaction",
        "A row that exists already undoes the whole transaction.",
        "tests/operations/test_savepoints.py",
        [
            Change(
                "webapp/operations/_sql.py::unless_taken",
                "raise refusal from None",
                "db.session.rollback()\nraise refusal from None",
            ),
        ],
    ),
    Mutant(
        "the-token-is-not-recorded",
        "The audit log does not tell what a program did from what its person did.",
        "tests/operations/test_actor.py",
        [Change("webapp/record/audit.py::canonical", "draft.token is not None", "False")],
    ),
    Mutant(
        "a-token-decides-as-a-browser",
        "A decision by a program is recorded as one from the browser.",
        "tests/operations/test_actor.py",
        [
            Change(
                "webapp/operations/proofs.py::channel_of",
                "proof.channel or actor.channel",
                "proof.channel or Channel.BROWSER",
            ),
        ],
    ),
    Mutant(
        "the-record-after-the-commit",
        "The audit event is written in a transaction of its own, after the change.",
        "tests/test_audit.py tests/faults tests/operations/test_decide.py",
        [
            Change(
                "webapp/delivery/outbox.py::commit",
                "sealed = audit.seal(drafts)",
                "db.session.commit()\nsealed = audit.seal(drafts)",
            ),
        ],
    ),
]
