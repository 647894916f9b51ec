"""The library, set up once: what is announced, how strict it is, and one call from bytes to bytes."""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache

from scim2_models import (
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    ETag,
    Filter,
    InvalidValueException,
    Patch,
    ResourceType,
    SCIMException,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
)
from scim2_server.handler import ScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.service import ScimService

from webapp.operations.directory_sync import NO_EMAIL
from webapp.queries.directories import Pusher
from webapp.web.incoming import LARGEST_BODY
from webapp.web.security import SAFE

from .schema import Enterprise, Group, User
from .storage import Storage

# Resources in one answer, and operations in one Bulk call.
MOST_RESULTS = 200
MOST_OPERATIONS = 200


@cache
def _service() -> ScimService:
    config = ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(
            supported=True,
            max_operations=MOST_OPERATIONS,
            max_payload_size=LARGEST_BODY["application/scim+json"],
        ),
        filter=Filter(supported=True, max_results=MOST_RESULTS),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=False),
        etag=ETag(supported=True),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="Bearer token",
                description="The token that the page Directory shows once.",
            )
        ],
    )
    provider = ScimProvider(
        models=[User, Enterprise, Group],
        resource_types=[ResourceType.from_resource(User[Enterprise]), ResourceType.from_resource(Group)],
        config=config,
        # As Entra ID needs it: it adds to entries that are not there, removes by value, and sends more than we keep.
        policy=ScimPolicy(
            unknown=ScimPolicy.Unknown.ignore,
            remove_value_as_filter=ScimPolicy.RemoveValue.apply,
            unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
        ),
    )
    return ScimService(provider)


def handle(
    by: Pusher, method: str, path: str, *, base_url: str, query: dict[str, str], headers: list[tuple[str, str]],
    body: bytes, now: datetime,
) -> tuple[ScimResponse, Sequence[tuple[str, str, str]]]:  # fmt: skip
    """Answers one call; returns with it what was refused: (call, name, sentence). An answer of 400 or more is one of a
    call whose transaction the caller undoes. Raises the database's errors."""
    writes = method not in SAFE and not path.endswith("/.search")
    storage = Storage(by, f"{method} {path.strip('/').partition('/')[0]}", writes=writes, now=now)
    service = _service()
    if method == "PATCH":
        body = _with_whole_managers(body)
    request = ScimRequest(method, base_url, path, query, headers, body, by)
    try:
        answer: ScimResponse = ScimHandler(service, storage).handle(request)
    except SCIMException as error:
        if "'emails' is required" in str(error.detail):
            error = InvalidValueException(detail=NO_EMAIL)
        if not storage.refused:
            storage.note_refusal(error)
        answer = service.error_response(error)
    if storage.broken is not None:
        raise storage.broken
    return answer, storage.refused


def _with_whole_managers(body: bytes) -> bytes:
    """Entra ID sends a manager as the bare id, or as a list of one: both become what the schema says. A body that is
    not as expected stays as it is, for the library to refuse."""
    if b"anager" not in body:
        return body
    try:
        given = json.loads(body)
        operations = given["Operations"]
    except (ValueError, KeyError, TypeError):
        return body
    for one in operations if isinstance(operations, list) else ():
        if isinstance(one, dict) and str(one.get("path", "")).lower().rpartition(":")[2] == "manager":
            value = one.get("value")
            if isinstance(value, list) and len(value) == 1:
                value = value[0]
            one["value"] = {"value": value} if isinstance(value, str) else value
            if one["value"] is None:
                del one["value"]
    return json.dumps(given).encode()
