"""Mistakes on the screens of tokens and webhooks."""

from tests.mutants.change import Change, Mutant

MUTANTS = [
    Mutant(
        "a-token-form-sent-twice",
        "Reloading the answer with a new token makes a second token and shows it.",
        "tests/views/test_auth_tokens.py",
        [Change("webapp/operations/tokens.py::create", "if unique:", "if False:")],
    ),
    Mutant(
        "the-token-of-another",
        "Everybody may end everybody's tokens on their account page.",
        "tests/views/test_auth_tokens.py",
        [
            Change(
                "webapp/queries/tokens.py::own",
                "ApiToken.public_id == public_id, ApiToken.person_id == person_id",
                "ApiToken.public_id == public_id",
            )
        ],
    ),
    Mutant(
        "a-leaked-token-comes-back",
        "A whole token that was typed comes back on the page.",
        "tests/views/test_admin_api.py",
        [
            Change(
                "webapp/admin/api.py::_leak",
                'tokens.beginning(tokens.found_in(request.form.get("leaked", "")))',
                'tokens.found_in(request.form.get("leaked", ""))',
            )
        ],
    ),
    Mutant(
        "one-of-several-tokens-ends",
        "If several tokens begin with what was typed, the newest of them ends.",
        "tests/views/test_admin_api.py",
        [
            Change("webapp/web/token_forms.py::leaked", "if len(found) > 1:", "if False:"),
        ],
    ),
    Mutant(
        "a-leak-for-nobody-to-know",
        "The owner of a token that an admin ends as leaked hears that it was ended by hand.",
        "tests/views/test_admin_api.py",
        [Change("webapp/admin/api.py::end_leaked_token", "leaked=True", "leaked=False")],
    ),
    Mutant(
        "a-chat-address-shown-again",
        "The address of a chat channel, with which anyone can write there, is on its page.",
        "tests/views/test_admin_chat.py",
        [
            Change(
                "webapp/admin/endpoint_forms.py::stored",
                '"" if endpoint.is_chat else _address(endpoint)',
                "_address(endpoint)",
            )
        ],
    ),
    Mutant(
        "the-delivery-of-another-webhook",
        "A delivery is found below every webhook, and sent again to the wrong one.",
        "tests/views/test_admin_webhooks.py",
        [
            Change(
                "webapp/queries/delivery_lines.py::one",
                "Delivery.endpoint_id == endpoint.id, Delivery.public_id == public_id",
                "Delivery.public_id == public_id",
            )
        ],
    ),
]
