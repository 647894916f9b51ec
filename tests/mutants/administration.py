"""Mistakes in what programs administer: people, tokens and the audit log."""

from tests.mutants.change import Change, Mutant

MUTANTS = [
    Mutant(
        "a-change-of-something-else",
        "A program changes a person without having read what somebody else changed meanwhile.",
        "tests/api/test_people.py",
        [
            Change(
                "webapp/api/_operation.py::must_match",
                "if not request.if_match.contains(etag(adapter(kind).dump_json(present))):",
                "if not request.if_match:",
            ),
        ],
    ),
    Mutant(
        "a-token-ends-all-others",
        "A token that was made for reading ends the other tokens of its person.",
        "tests/api/test_tokens.py",
        [Change("webapp/api/tokens.py::revoke", "found.public_id != caller.token_key and", "False and")],
    ),
    Mutant(
        "tokens-of-services-for-everybody",
        "Everybody who has a token sees the tokens of services.",
        "tests/api/test_tokens.py",
        [
            Change(
                "webapp/api/tokens.py::_manages",
                "caller.is_admin and Scope.SETTINGS_ADMIN in caller.scopes",
                "True",
            ),
        ],
    ),
    Mutant(
        "an-admin-of-yesterday",
        "The token of somebody who is no admin any more lists and changes people.",
        "tests/api/test_people.py",
        [
            Change(
                "webapp/api/_operation.py::_check_audience",
                'elif of.audience == "admins":\n    abort(404)',
                'elif of.audience == "admins":\n    pass',
            )
        ],
    ),
    Mutant(
        "a-key-of-the-tables-among-the-facts",
        "The audit log of the API tells the integers inside that entries of tomorrow hold.",
        "tests/api/test_audit.py",
        [
            Change(
                "webapp/record/entry_facts.py::_one",
                "value if key in _NUMBERS else _LEFT_OUT",
                "value",
            ),
        ],
    ),
    Mutant(
        "reading-the-check-writes",
        "Whoever asks whether the log is intact leaves an entry in it, and a page that is only read writes.",
        "tests/api/test_audit.py",
        [
            Change(
                "webapp/api/audit.py::look",
                "return Check.of(verification.check(newest=query.newest))",
                "found = verification.check(newest=query.newest)\nverification.note(found, actor=caller, "
                "now=clock.now())\n__import__('webapp.delivery.outbox', fromlist=['commit']).commit()\n"
                "return Check.of(found)",
            ),
        ],
    ),
    Mutant(
        "a-token-filter-that-filters-nothing",
        "The entries of one token are asked for, and those of all are shown.",
        "tests/api/test_audit.py tests/views/test_admin_audit_list.py",
        [Change("webapp/record/entries.py::_matching", "Event.token_id == wanted.token", "True")],
    ),
    Mutant(
        "removed-without-being-listed",
        "Access to apps that the caller did not list is removed, too.",
        "tests/api/test_people.py tests/operations/test_grants.py",
        [
            Change(
                "webapp/operations/grants.py::remove_all",
                "{one.public_id for one in grants} != set(shown)",
                "False",
            ),
        ],
    ),
    Mutant(
        "a-page-that-begins-anew",
        "The pages of people begin again after a name that two of them share.",
        "tests/api/test_people.py",
        [Change("webapp/api/_paging.py::by_name", "(last.sort_key, last.id)", "(last.sort_key, 0)")],
    ),
]
