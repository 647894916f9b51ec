"""The OpenAPI 3.1 document, made from the registered operations: it cannot say what the guard does not do."""

import re
from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter

from webapp.web.problems import CONTENT_TYPE

from ._operation import OPERATIONS, Operation
from ._replays import HEADER

VERSION = "1.0.0"
INTRODUCTION = """\
Everything that a person can do in Countersign, a program can do by the same rules.

Send a token with each call: `Authorization: Bearer csn_…`. It acts as its person, with the rights that this person has
now, and with no more than its scopes. Service tokens have no person and never decide.

Bodies and answers are JSON in UTF-8; unknown fields are refused. Times are UTC. States and kinds may grow within v1:
take an unknown one as "something else". Lists have `items` and `next`; the address of the next page is in the `Link`
header. What can be changed has an `ETag`; send it as `If-Match`. Each change takes an `Idempotency-Key`, kept for 24
hours. Refusals are problems (RFC 9457), with the sentence that a person would read."""
TAGS = {
    "me": "Me",
    "requests": "Requests",
    "decisions": "Decisions",
    "step_in": "Stepping in",
    "apps": "Apps",
    "policies": "Rules of apps",
    "fields": "Fields of apps",
    "grants": "Access",
    "people": "People",
    "people_import": "Import of people",
    "groups": "Groups",
    "tokens": "Tokens",
    "notices": "Emails",
    "webhooks": "Webhooks",
    "deliveries": "Deliveries of webhooks",
    "pictures": "Pictures",
    "chat_channels": "Chat channels",
    "audit": "Audit log",
    "organisation": "Organisation",
    "device_codes": "Signing a terminal in",
}
_SCHEMAS = "#/components/schemas/"
_PROBLEM = {
    "type": "object",
    "description": "A refusal: RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "Names the kind of refusal.", "examples": ["/api/docs#invalid"]},
        "title": {"type": "string", "examples": ["Some of it does not fit"]},
        "status": {"type": "integer", "examples": [422]},
        "detail": {"type": "string", "description": "A sentence for people.", "examples": ["Enter a comment."]},
        "errors": {
            "type": "array",
            "description": "What is wrong with each field.",
            "items": {
                "type": "object",
                "required": ["field", "detail"],
                "properties": {
                    "field": {"type": "string", "examples": ["message"]},
                    "detail": {"type": "string", "examples": ["Enter a reason. The approver needs it to decide."]},
                },
            },
        },
        "reference": {"type": "string", "description": "For an admin, where something went wrong."},
        "error": {"type": "string", "description": "While a terminal signs in: the word of RFC 8628."},
    },
}


@cache
def document() -> dict[str, Any]:
    """The whole document; built once. The address of the server is left out, because it is known only to the caller."""
    schemas = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Countersign API", "version": VERSION, "description": INTRODUCTION},
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "tags": [{"name": TAGS[tag]} for tag in dict.fromkeys(one.tag for one in _ordered())],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "An API token of Countersign, csn_…"}
            },
        },
    }


def _ordered() -> list[Operation]:
    order = list(TAGS)
    return sorted(OPERATIONS, key=lambda one: order.index(one.tag))


def _schemas() -> dict[str, Any]:
    """Every body and answer with all that they are made of, by name, each with an example."""
    wanted: list[tuple[Any, Any, TypeAdapter[Any]]] = []
    for one in OPERATIONS:
        if one.body is not None:
            wanted.append((one.body, "validation", TypeAdapter(one.body)))
        if one.answer is not None:
            wanted.append((one.answer, "serialization", TypeAdapter(one.answer)))
    _, made = TypeAdapter.json_schemas(wanted, ref_template=f"{_SCHEMAS}{{model}}")
    schemas: dict[str, Any] = dict(sorted(made["$defs"].items())) | {"Problem": _PROBLEM}
    for schema in schemas.values():
        _tidy(schema)
    for schema in schemas.values():
        schema["examples"] = [example(schema, schemas)]
    return schemas


def _tidy(schema: Any) -> None:
    """Leaves out the titles, which only repeat the names."""
    if isinstance(schema, dict):
        schema.pop("title", None) if isinstance(schema.get("title"), str) else None
        for one in schema.values():
            _tidy(one)
    elif isinstance(schema, list):
        for one in schema:
            _tidy(one)


def example(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """A value that fits, made from the examples of the parts."""
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return example(schemas[schema["$ref"].removeprefix(_SCHEMAS)], schemas)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return example(schema[key][0], schemas)
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type")
    if kind == "object":
        return {name: example(one, schemas) for name, one in schema.get("properties", {}).items()}
    if kind == "array":
        return [example(schema["items"], schemas)] if "items" in schema else []
    return {"integer": 1, "number": 1.5, "boolean": True, "null": None}.get(kind or "", "text")


def _operation(of: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    scope = f"Scope: `{of.scope.value}`." if of.scope is not None else "No scope is needed."
    made: dict[str, Any] = {
        "operationId": of.name.replace(".", "_"),
        "tags": [TAGS[of.tag]],
        "summary": of.summary,
        "description": f"{of.description} {scope}".strip(),
        "parameters": _parameters(of),
        "responses": {str(status): _response(of, status, schemas) for status in of.statuses},
    }
    if of.body is not None:
        required = any(field.is_required() for field in of.body.model_fields.values())
        made["requestBody"] = {"required": required, "content": {"application/json": _content(of.body, schemas)}}
    if of.takes:
        made["requestBody"] = {"required": True, "content": {kind: {"schema": {}} for kind in of.takes}}
    if of.audience == "anyone":
        made["security"] = []
    return made


def _parameters(of: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "examples": ["7K3F9QX0M2TB"]}}
        for name in re.findall(r"{(\w+)}", of.path)
    ]
    if of.query is not None:
        schema = of.query.model_json_schema(ref_template=f"{_SCHEMAS}{{model}}")
        for name, one in schema["properties"].items():
            _tidy(one)
            description = one.pop("description", "")
            required = name in schema.get("required", ())
            found.append({"name": name, "in": "query", "required": required, "description": description,
                          "schema": one})  # fmt: skip
    if of.changes and of.audience != "anyone":
        found.append({"name": HEADER, "in": "header", "required": False, "schema": {"type": "string", "maxLength": 128},
                      "description": "The same key and call again get the same answer, once done."})  # fmt: skip
    if of.needs_match:
        found.append({"name": "If-Match", "in": "header", "required": True, "schema": {"type": "string"},
                      "description": "The ETag of what you read."})  # fmt: skip
    return found


def _response(of: Operation, status: int, schemas: dict[str, Any]) -> dict[str, Any]:
    phrase = HTTPStatus(status).phrase
    if status >= 400:
        schema = {"$ref": f"{_SCHEMAS}Problem"}
        made: dict[str, Any] = {"description": phrase, "content": {CONTENT_TYPE: {"schema": schema}}}
        if status == 429:
            made["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
        return made
    made = {"description": phrase, "headers": {"RateLimit": {"schema": {"type": "string"}}}}
    if of.streams:
        made["content"] = {of.streams: {"schema": {"type": "string"}}}
    elif of.answer is not None:
        made["content"] = {"application/json": _content(of.answer, schemas, is_list=of.is_list)}
        name = "Link" if of.is_list else "ETag"
        made["headers"][name] = {"schema": {"type": "string"}}
    if status == HTTPStatus.CREATED:
        made["headers"]["Location"] = {"schema": {"type": "string"}}
    return made


def _content(kind: Any, schemas: dict[str, Any], *, is_list: bool = False) -> dict[str, Any]:
    schema: dict[str, Any] = {"$ref": f"{_SCHEMAS}{kind.__name__}"}
    if is_list:
        schema = {
            "type": "object",
            "required": ["items", "next"],
            "properties": {
                "items": {"type": "array", "items": schema},
                "next": {
                    "anyOf": [{"type": "string"}, {"type": "null"}],
                    "description": "The cursor of the next page.",
                    "examples": [None],
                },
            },
        }
    return {"schema": schema, "example": example(schema, schemas)}
