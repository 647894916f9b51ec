"""What is no token is refused before a provider is called."""

from flask.testing import FlaskClient

from tests.helpers import factories
from tests.helpers.factories import Company


def test_a_text_that_is_no_token_calls_nobody(client: FlaskClient, company: Company) -> None:
    provider = factories.provider(company.adam)  # nothing answers at its address
    for text in ("a", "a.b", "a.b.c.d"):
        answer = client.post(f"/sso/{provider.public_id}/back-channel-logout", data={"logout_token": text})
        assert answer.status_code == 400 and "not a signed token" in answer.text
