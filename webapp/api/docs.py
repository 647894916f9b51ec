"""The readable page about the API, and the document that it is made from."""

import json
import re
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, render_template, request
from markupsafe import Markup

from webapp.extensions import settings
from webapp.web.problems import BY_STATUS, PROBLEMS
from webapp.web.signin import anyone

from ._callers import CALLS
from ._document import TAGS, document
from ._operation import OPERATIONS, Operation, bp

pages = Blueprint("api_docs", __name__, url_prefix="/api")

_JSON = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?')
# What a tag is about, in a sentence under its heading.
ABOUT = {
    "step_in": "What admins do to a pending request of somebody else, each with a reason that everybody on it reads.",
    "pictures": "Uploaded pictures. The body is the file; the answer is what shows it.",
    "me": "Who the token stands for.",
    "requests": "One app, requested by a person, on its way through the steps of its rule.",
    "decisions": "Approve and deny, as the person whose token it is.",
    "apps": "What the catalog holds, and the apps that you own.",
    "policies": "Who approves an app, and what happens then.",
    "fields": "What a grant of an app carries: role, licence, region.",
    "grants": "Who has which app.",
    "people": "Accounts. For admins.",
    "people_import": "People and groups from a CSV file. For admins.",
    "groups": "Groups and their members. For admins.",
    "tokens": "Tokens are made on a page, never by a token.",
    "notices": "The email log. For admins.",
    "webhooks": "Where events are sent. For admins.",
    "deliveries": "What was sent to a webhook, and what it answered. For admins.",
    "chat_channels": "Who is told in Slack or Microsoft Teams. For admins.",
    "audit": "Every change, in order, sealed. For admins.",
    "organisation": "The settings of the installation. For admins.",
    "device_codes": "How a terminal gets its token: a code that its person approves in the browser.",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A line of a table: a header, a parameter or a field of a body."""

    name: str
    kind: str
    required: bool
    words: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One operation as the page shows it."""

    id: str
    method: str
    path: str
    summary: str
    words: str
    scope: str
    status: int
    refusals: list[tuple[int, str]]
    query: list[Parameter]
    headers: list[Parameter]
    body: list[Parameter]
    curl: Markup
    answer: Markup | None


@bp.get("/openapi.json")
@anyone
def openapi() -> Response:
    """The document, for programs that read it."""
    response = Response(json.dumps(document(), ensure_ascii=False, indent=1), content_type="application/json")
    response.add_etag()
    response.make_conditional(request)
    return response


@pages.get("/docs")
@anyone
def page() -> str:
    """Quick start, rules for all calls, each operation, and the kinds of refusals."""
    groups = [(tag, title, ABOUT[tag], [_entry(one) for one in OPERATIONS if one.tag == tag])
              for tag, title in TAGS.items()]  # fmt: skip
    return render_template(
        "api/docs.html",
        version=document()["info"]["version"],
        address=f"{settings().base_url}/api/v1",
        groups=[one for one in groups if one[3]],
        calls=CALLS,
        kinds=PROBLEMS,
        refusal=highlighted(_REFUSAL),
    )


_REFUSAL = {
    "type": "/api/docs#invalid",
    "title": PROBLEMS["invalid"][1],
    "status": 422,
    "detail": "Choose Role.",
    "errors": [{"field": "fields.Role", "detail": "Choose Role."}],
}


def _entry(of: Operation) -> Entry:
    written = document()["paths"][of.path][of.method.lower()]
    parameters = written["parameters"]
    content: dict[str, Any] = written["responses"][str(of.status)].get("content", {})
    return Entry(
        id=written["operationId"], method=of.method, path=of.path, summary=of.summary, words=of.description,
        scope=of.scope.value if of.scope is not None else "", status=of.status,
        refusals=[(status, PROBLEMS[BY_STATUS[status]][1]) for status in of.statuses[1:] if status not in _ALWAYS],
        query=[_parameter(one) for one in parameters if one["in"] == "query"],
        headers=[_parameter(one) for one in parameters if one["in"] == "header"],
        body=_fields(written), curl=_curl(of, written),
        answer=highlighted(content["application/json"]["example"]) if "application/json" in content else None,
    )  # fmt: skip


# Of each call; the page says them once.
_ALWAYS = (401, 403, 429, 500, 503)


def _parameter(written: dict[str, Any]) -> Parameter:
    return Parameter(written["name"], _kind(written["schema"]), written["required"], written.get("description", ""))


def _fields(written: dict[str, Any]) -> list[Parameter]:
    """The fields of the body."""
    if "application/json" not in written.get("requestBody", {}).get("content", {}):
        return []
    schema = _resolved(written["requestBody"]["content"]["application/json"]["schema"])
    required = schema.get("required", ())
    return [
        Parameter(name, _kind(one), name in required, _resolved(one).get("description", ""))
        for name, one in schema.get("properties", {}).items()
    ]


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        found: dict[str, Any] = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def _kind(schema: dict[str, Any]) -> str:
    """A schema in words: "text, up to 200"."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(one) for one in schema["anyOf"] if one.get("type") != "null"))
    if "$ref" in schema:
        return "object"
    if "enum" in schema:
        return ", ".join(str(one) for one in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if "x-extensible-enum" in schema:
        return ", ".join(schema["x-extensible-enum"])
    if schema.get("format") == "date-time":
        return "time"
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_kind(schema['items'])}"
    words = {"string": "text", "integer": "number", "boolean": "true or false"}.get(kind, kind)
    limit = schema.get("maxLength", schema.get("maximum"))
    return f"{words}, up to {limit}" if limit else words


def _curl(of: Operation, written: dict[str, Any]) -> Markup:
    method = "" if of.method == "GET" else f"-X {of.method} "
    lines = [f"curl {method}$COUNTERSIGN{of.path}"]
    if of.audience != "anyone":
        lines.append('  -H "Authorization: Bearer $TOKEN"')
    if of.needs_match:
        lines.append("  -H 'If-Match: \"5f0c2b9a71d83e46\"'")
    if "requestBody" not in written:
        return Markup("{}").format(" \\\n".join(lines))
    if of.method == "POST":
        lines.append('  -H "Idempotency-Key: $(uuidgen)"')
    if of.takes:
        lines += [f'  -H "Content-Type: {of.takes[0]}"', f"  --data-binary @picture.{of.takes[0].rpartition('/')[2]}"]
        return Markup("{}").format(" \\\n".join(lines))
    lines.append('  -H "Content-Type: application/json"')
    example = written["requestBody"]["content"]["application/json"]["example"]
    return Markup("{} \\\n  -d '{}'").format(" \\\n".join(lines), highlighted(example))


def highlighted(value: Any) -> Markup:
    """JSON with its names and its texts marked."""
    made, end = Markup(""), 0
    text = json.dumps(value, ensure_ascii=False, indent=2)
    for match in _JSON.finditer(text):
        made += text[end : match.start()]
        mark = Markup("<b>{}</b>{}") if match[2] else Markup("<i>{}</i>{}")
        made += mark.format(match[1], match[2] or "")
        end = match.end()
    return made + text[end:]
