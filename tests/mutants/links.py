"""Mistakes in links, codes, passwords and remembered browsers."""

from tests.mutants.change import Change, Mutant

MUTANTS = [
    Mutant(
        "a-link-of-one-step-decides-another",
        "A link that was sent for the first step decides the second.",
        "tests/views/test_approver_link.py tests/views/test_approver_decide.py tests/views/test_approver_code.py "
        "tests/views/test_approver_new_code.py",
        [
            Change(
                "webapp/operations/proofs.py::check",
                "step is not None and step.id == invitation.step_id and not case.is_overdue",
                "step is not None and not case.is_overdue",
            ),
            Change(
                "webapp/operations/proofs.py::check",
                "not is_open or not invitation.live or invitation.round != proof.round",
                "not is_open or invitation.round != proof.round",
            ),
        ],
    ),
    Mutant(
        "the-link-of-a-deactivated-approver-works",
        "The link of an approver who was deactivated still opens the request.",
        "tests/views/test_approver_link.py::test_links_of_somebody_who_left_die_at_the_next_request",
        [
            Change(
                "webapp/web/access.py::behind_link",
                "Invitation.shows_from <= link.round, Person.active",
                "Invitation.shows_from <= link.round",
            ),
        ],
    ),
    Mutant(
        "an-old-address-keeps-its-view",
        "A link that went to an address which was replaced still shows the request.",
        "tests/views/test_seeing.py::test_links_that_went_to_a_replaced_address_show_nothing",
        [
            Change(
                "webapp/web/access.py::behind_link",
                "Invitation.shows_from <= link.round, Person.active",
                "Person.active",
            ),
        ],
    ),
    Mutant(
        "an-old-round-decides",
        "A link of an earlier round decides like the newest.",
        "tests/views/test_approver_link.py::test_coming_back_does_not_wake_the_old_link",
        [
            Change(
                "webapp/operations/proofs.py::check",
                "not invitation.live or invitation.round != proof.round",
                "not invitation.live",
            ),
            Change(
                "webapp/operations/proofs.py::hold",
                "row.round != proof.round or row.wrong_codes >= WRONG_CODES",
                "row.wrong_codes >= WRONG_CODES",
            ),
        ],
    ),
    Mutant(
        "an-old-link-shows-the-form",
        "The page of an earlier link asks for a decision that this link cannot make.",
        "tests/views/test_approver_link.py",
        [
            Change(
                "webapp/web/access.py::Invited.is_newest",
                "self.link.round == self.invitation.round",
                "self.link.round <= self.invitation.round",
            ),
        ],
    ),
    Mutant(
        "codes-guessed-side-by-side",
        "A code decides although others have closed it with wrong codes in the same moment.",
        "tests/operations/test_codes.py::test_a_right_code_that_was_closed_or_renewed_meanwhile_decides_nothing",
        [
            Change(
                "webapp/operations/proofs.py::hold",
                "row.round != proof.round or row.wrong_codes >= WRONG_CODES",
                "row.round != proof.round",
            ),
        ],
    ),
    Mutant(
        "links-die-while-keys-overlap",
        "While an old key and a new one overlap, every sweep mails everybody another link and ends the one before.",
        "tests/operations/test_keys.py",
        [
            Change(
                "webapp/operations/keys.py::renew_orphaned",
                "Invitation.key_id.not_in(keyring().ids)",
                "Invitation.key_id != keyring().current",
            ),
        ],
    ),
    Mutant(
        "a-wrong-code-is-not-counted",
        "Guessing the code has no limit: wrong codes are not counted.",
        "tests/operations/test_codes.py tests/views/test_approver_code.py tests/views/test_approver_new_code.py",
        [
            Change(
                "webapp/operations/approval_codes.py::count_wrong_code",
                "wrong_codes=Invitation.wrong_codes + 1",
                "wrong_codes=Invitation.wrong_codes",
            ),
        ],
    ),
    Mutant(
        "the-count-is-rolled-back-with-the-refusal",
        "The count of wrong codes is rolled back with the transaction that refuses.",
        "tests/views/test_approver_code.py::test_five_wrong_codes_close_the_code_and_keep_it_closed",
        [
            Change(
                "webapp/approver/views.py::_decide",
                "if error.is_counted:\n    outbox.commit()",
                "db.session.rollback()",
            ),
        ],
    ),
    Mutant(
        "sign-in-first-is-forgotten",
        "An app that requires a sign-in accepts the link and the code, too.",
        "tests/views/test_approver_new_code.py"
        "::test_an_app_may_want_a_sign_in_and_one_comes_back_to_exactly_this_request",
        [
            Change(
                "webapp/operations/proofs.py::check",
                "if case.policy.assurance is Assurance.SIGN_IN:\n    raise SignInRequired\n",
                "",
            ),
        ],
    ),
    Mutant(
        "the-remembered-browser-of-anybody",
        "A browser that is remembered for one approver needs no code for another.",
        "tests/views/test_approver_new_code.py::test_it_opens_nothing_else",
        [
            Change(
                "webapp/queries/sessions.py::live_browser",
                "PersonSession.public_id == public_id, PersonSession.person_id == person_id",
                "PersonSession.public_id == public_id",
            )
        ],
    ),
    Mutant(
        "a-password-link-that-works-twice",
        "A mailed link sets the password more than once.",
        "tests/views/test_auth_password_link.py tests/operations/test_people.py",
        [
            Change(
                "webapp/operations/people.py::set_password",
                "password_hash=hash, password_round=Person.password_round + 1",
                "password_hash=hash",
            ),
        ],
    ),
    Mutant(
        "an-old-address-keeps-its-password-link",
        "After an email address was corrected, the link that went to the old one still sets the password.",
        "tests/views/test_admin_person.py::test_another_address_kills_the_links_that_went_to_the_old_one",
        [Change("webapp/operations/people.py::change_details", "person.password_round += 1", "pass")],
    ),
    Mutant(
        "a-reset-loses-against-a-sign-in",
        "A password that is reset while it is being checked begins a session which the reset did not end.",
        "tests/views/test_auth_sign_in.py::test_what_happens_while_the_password_is_checked_wins",
        [
            Change(
                "webapp/operations/people.py::confirm_password",
                "Person.id == person_id, Person.password_round == round, Person.active",
                "Person.id == person_id, Person.active",
            ),
        ],
    ),
    Mutant(
        "an-old-password-keeps-a-browser-known",
        "A browser stays known after the password was changed.",
        "tests/views/test_auth_limits.py::test_a_changed_password_makes_a_browser_a_stranger_again",
        [
            Change(
                "webapp/auth/views.py::sign_in",
                "not (person and device.still_knows(person.password_round))",
                "not person",
            ),
        ],
    ),
]
