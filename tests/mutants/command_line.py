"""Mistakes in how a terminal signs in, and in what the command line sends and keeps."""

from tests.mutants.change import Change, Mutant

_DEVICE = "tests/views/test_auth_device.py"

MUTANTS = [
    Mutant(
        "more-than-was-shown",
        "Who approves a terminal can be made to give it a scope that the terminal did not ask for and the page did not "
        "show.",
        f"{_DEVICE}::test_what_was_not_shown_cannot_be_given",
        [
            Change(
                "webapp/operations/device_codes.py::approve",
                "if more := set(scopes) - {one.value for one in code.scopes}:",
                "if (more := set(scopes) - {one.value for one in code.scopes}) and False:",
            )
        ],
    ),
    Mutant(
        "a-code-that-works-twice",
        "A terminal that fetches its token twice gets two.",
        f"{_DEVICE}::test_the_token_is_fetched_once",
        [Change("webapp/operations/device_codes.py::fetch", 'values(state="used")', 'values(state="approved")')],
    ),
    Mutant(
        "a-code-without-its-secret",
        "Who knows the id of a code fetches the token of the terminal.",
        f"{_DEVICE}::test_another_secret_fetches_nothing",
        [
            Change(
                "webapp/queries/device_codes.py::of_terminal", "public_id=public_id, hash=hash", "public_id=public_id"
            )
        ],
    ),
    Mutant(
        "a-code-that-never-ends",
        "What was approved but not fetched can be fetched for ever.",
        f"{_DEVICE}::test_what_was_allowed_but_never_fetched_ends_too",
        [
            Change("webapp/api/device_codes.py::fetch", "or row.expires_at <= clock.now()", ""),
            Change("webapp/operations/device_codes.py::fetch", ", _ROWS.c.expires_at > now", ""),
        ],
    ),
    Mutant(
        "a-token-for-who-has-left",
        "A terminal gets the token of a person who was deactivated since they approved it.",
        f"{_DEVICE}::test_who_was_deactivated_since_gets_no_token",
        [Change("webapp/operations/device_codes.py::fetch", "if not person.active:", "if False:")],
    ),
    Mutant(
        "codes-to-be-guessed",
        "A signed-in person may try any number of codes.",
        f"{_DEVICE}::test_nobody_tries_all_codes",
        [Change("webapp/auth/device.py::_waiting", "((10, 15 * 60),)", "((1000000, 15 * 60),)")],
    ),
    Mutant(
        "a-new-key-for-each-try",
        "A call that is repeated because its answer was lost is made twice.",
        "tests/cli/test_calls.py::test_a_lost_answer_is_asked_for_again_and_the_change_is_made_once",
        [
            Change(
                "countersign_cli/api.py::Api._call",
                "if (pause := next(pauses, None)) is None:",
                'sent["Idempotency-Key"] = uuid.uuid4().hex\nif (pause := next(pauses, None)) is None:',
            )
        ],
    ),
    Mutant(
        "a-file-for-everybody",
        "Everybody on the machine reads the file with the tokens.",
        "tests/cli/test_sign_in.py::test_rita_signs_in_by_a_code_that_she_approves_in_the_browser",
        [
            Change(
                "countersign_cli/settings.py::save",
                "os.replace(temporary, file)",
                "os.chmod(temporary, 0o644)\nos.replace(temporary, file)",
            )
        ],
    ),
    Mutant(
        "names-that-move-the-cursor",
        "A name that somebody chose clears the terminal of who lists it, or changes its colours.",
        "tests/cli/test_text.py::test_only_what_can_be_read_is_shown",
        [Change("countersign_cli/text.py::_is_obeyed", "category(sign) in _REMOVED", 'category(sign) == "Cs"')],
    ),
    Mutant(
        "a-plan-that-is-not-compared",
        "What somebody changed on the server after the plan is overwritten.",
        "tests/cli/test_policy.py::test_what_was_changed_since_the_plan_is_not_overwritten",
        [Change("countersign_cli/policy/apply.py::_One._as_planned", "if not now.is_like(there):", "if False:")],
    ),
    Mutant(
        "archived-without-prune",
        "What the files do not name is archived although nobody asked for it.",
        "tests/cli/test_policy.py::test_a_new_file_is_a_new_app_and_a_missing_one_is_archived_by_prune_only",
        [Change("countersign_cli/policy/plan.py::make", "if prune:", "if True:")],
    ),
]
