"""Signatures of ID tokens: whose are taken, and whose are not."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jws

from tests.helpers.factories import Company
from webapp.models import Provider
from webapp.sso import provider as calls

from .conftest import Visitor, claims_of
from .strict import EC_KEY, OTHER_KEY, PROVIDER_KEY, StrictProvider

pytestmark = pytest.mark.both_engines
Visit = Callable[..., Visitor]


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def parts(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return ".".join(encoded(json.dumps(one).encode()) for one in (header, claims))


def unsigned(claims: dict[str, Any]) -> str:
    return f"{parts({'alg': 'none', 'kid': 'first'}, claims)}."


def signed_with_public_key(claims: dict[str, Any]) -> str:
    """HS256, with the provider's public key as the secret."""
    said = parts({"alg": "HS256", "kid": "first"}, claims)
    return f"{said}.{encoded(hmac.digest(PROVIDER_KEY.as_pem(private=False), said.encode(), 'sha256'))}"


def signed_by_another(claims: dict[str, Any]) -> str:
    head = {"alg": "RS256", "kid": "first"}
    return jws.serialize_compact(head, json.dumps(claims).encode(), OTHER_KEY, algorithms=["RS256"])


def brings_its_own_key(claims: dict[str, Any]) -> str:
    head = {"alg": "RS256", "kid": "second", "jwk": OTHER_KEY.as_dict(private=False)}
    return jws.serialize_compact(head, json.dumps(claims).encode(), OTHER_KEY, algorithms=["RS256"])


def not_a_token(claims: dict[str, Any]) -> str:
    return "a.b.c"


@pytest.mark.parametrize(
    "encode", [unsigned, signed_with_public_key, signed_by_another, brings_its_own_key, not_a_token]
)
def test_a_token_that_the_provider_did_not_sign_signs_nobody_in(
    encode: Callable[[dict[str, Any]], str],
    company: Company,
    provider: Provider,
    strict: StrictProvider,
    visitor: Visit,
) -> None:
    strict.claims = claims_of(company.rita)
    strict.encode = encode
    browser = visitor()
    assert browser.come(provider).status_code == 400
    assert browser.who() is None


@pytest.mark.parametrize(("algorithm", "key"), [("PS256", PROVIDER_KEY), ("ES256", EC_KEY)])
def test_the_other_two_algorithms_are_taken(
    algorithm: str, key: Any, company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims, strict.algorithm, strict.key = claims_of(company.rita), algorithm, key
    browser = visitor()
    browser.come(provider)
    assert browser.who() == company.rita.name


@pytest.mark.parametrize("algorithm", ["RS384", "PS512"])
def test_an_algorithm_that_is_not_on_our_list_is_refused(
    algorithm: str, company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims, strict.algorithm = claims_of(company.rita), algorithm
    assert visitor().come(provider).status_code == 400


def test_a_new_key_of_the_provider_is_fetched(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict.claims = claims_of(company.rita)
    visitor().come(provider)
    strict.keys, strict.key = [OTHER_KEY], OTHER_KEY
    refused = visitor()
    assert refused.come(provider).status_code == 400  # asked again once in half a minute only
    monkeypatch.setattr(calls, "KEYS_AGAIN", 0.0)
    browser = visitor()
    browser.come(provider)
    assert browser.who() == company.rita.name
    strict.key = PROVIDER_KEY  # which it shows no more
    assert visitor().come(provider).status_code == 400
