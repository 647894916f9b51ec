"""Mistakes in what is believed of a provider of single sign-on, and in who is let in."""

from tests.mutants.change import Change, Mutant

_FLOW, _PEOPLE = "tests/sso/test_flow.py", "tests/sso/test_people.py"

MUTANTS = [
    Mutant(
        "any-audience-is-taken",
        "A token that the provider made for another application signs somebody in here.",
        f"{_FLOW}::test_a_token_that_does_not_fit_signs_nobody_in",
        [
            Change(
                "webapp/sso/protocol.py::_check_who_and_when",
                "not isinstance(audience, list) or client_id not in audience",
                "not isinstance(audience, list)",
            )
        ],
    ),
    Mutant(
        "the-nonce-is-not-compared",
        "A token of another sign-in, which somebody else has caught, is taken.",
        f"{_FLOW}::test_a_token_that_does_not_fit_signs_nobody_in",
        [
            Change(
                "webapp/sso/protocol.py::check_id_token",
                'hmac.compare_digest(claims["nonce"].encode(), nonce.encode())',
                "True",
            )
        ],
    ),
    Mutant(
        "the-issuer-of-the-answer-is-not-compared",
        "The code of one provider is sent to another one, which can use it.",
        f"{_FLOW}::test_the_answer_of_another_provider_is_not_taken",
        [Change("webapp/sso/protocol.py::check_issuer", "said != metadata.issuer", "False")],
    ),
    Mutant(
        "an-answer-works-twice",
        "Whoever has the address and the cookie of a sign-in can repeat it.",
        f"{_FLOW}::test_an_answer_is_good_once",
        [
            Change(
                "webapp/sso/views.py::callback",
                "flow is None or flow.subject or not flows.is_first_use(flow)",
                "flow is None or flow.subject",
            )
        ],
    ),
    Mutant(
        "a-text-is-a-verified-address",
        "Somebody who writes their own claims is let in as whoever has the address.",
        f"{_PEOPLE}::test_each_way_in_for_each_state_of_a_person",
        [Change("webapp/claims.py::Claims.of", 'raw.get("email_verified") is True', 'raw.get("email_verified")')],
    ),
    Mutant(
        "an-address-makes-an-admin",
        "Whoever is given an admin's address at the provider is that admin here.",
        f"{_PEOPLE}::test_each_way_in_for_each_state_of_a_person",
        [
            Change(
                "webapp/operations/identities.py::_first_time",
                "found.is_admin and _of(provider, found) is None",
                "False",
            )
        ],
    ),
    Mutant(
        "an-old-sign-in-is-a-fresh-one",
        "Whoever sits at an open browser proves to be its owner, as the provider has not asked them.",
        f"{_PEOPLE}::test_signing_in_again_has_to_be_proven",
        [Change("webapp/sso/protocol.py::check_id_token", "at < (fresh_since - SKEW).timestamp()", "False")],
    ),
    Mutant(
        "an-id-token-signs-out",
        "Whoever has an ID token of somebody can end their sessions.",
        "tests/sso/test_sign_out.py::test_a_logout_token_that_does_not_fit_ends_nothing",
        [Change("webapp/sso/protocol.py::check_logout_token", '"nonce" in claims', "False")],
    ),
]
