"""Checks the size and the characters of queries and forms before anything else reads them.

Afterwards they hold only text that can be normalised in linear time and stored on both databases. A view that reads
another format (JSON) has to call `fault` and `storable` itself.
"""

from collections.abc import Iterable

from flask import Flask, Request, Response, abort, request
from werkzeug.datastructures import ImmutableMultiDict, MultiDict

from webapp.text import MARKS_LIMIT, has_too_many_marks, storable
from webapp.web import error_pages
from webapp.web.security import own_path

# In bytes. A picture is up to 512 kB, with a margin for the sentence that says so; a form of ours,
# with everything carried along, a few kB.
LARGEST_BODY = {
    "multipart/form-data": 1024 * 1024,
    "application/x-www-form-urlencoded": 256 * 1024,
    **dict.fromkeys(("image/png", "image/jpeg", "image/webp", "image/gif"), 768 * 1024),
    "application/scim+json": 1024 * 1024,  # a group with its thousands of members
}
LARGEST_OTHER_BODY = 64 * 1024
# The one call of the API that takes a file.
LARGEST_FILE_BODY = {"/api/v1/people/import": 2 * 1024 * 1024}
LONGEST_QUERY = 8 * 1024
FIELDS_LIMIT = 5000
# In characters. The longest text that any field takes is 5,000; what was typed beyond a field's own limit still comes
# back with the sentence of that field.
LONGEST_FIELD = 20_000
# Fields whose values are never shown again.
_SECRET = (
    "password",
    "again",
    "current",
    "your_password",
    "your_passkey",
    "credential",
    "code",
    "recovery",
    "setup",
    "csrf_token",
)


def init(app: Flask) -> None:
    """To be called before the extensions that read forms."""
    app.before_request(look)


def look() -> Response | None:
    """Refuse input that is too large or unreadable with a sentence; remove characters that no text needs."""
    if _unstorable(request.path):
        abort(404)  # no address of ours holds such a character
    largest = LARGEST_FILE_BODY.get(request.path, LARGEST_OTHER_BODY)
    request.max_content_length = LARGEST_BODY.get(request.mimetype, largest)
    if len(request.query_string) > LONGEST_QUERY:
        return error_pages.answer(414, "The address is too long. Shorten the search and try again.")
    if _pairs_in_body(request) > FIELDS_LIMIT:
        return error_pages.answer(413, f"The form has more than {FIELDS_LIMIT:,} fields. Send it in smaller parts.")
    request.args = _storable(request.args)
    request.form = _storable(request.form)
    for message in fault_in(request.args), fault_in(request.form):
        if message:
            return _refused(message)
    return None


def _refused(message: str) -> Response:
    """A page with what was typed and a link back to the form."""
    back = own_path(request.referrer)
    return error_pages.answer(
        422, f"{message} Nothing was saved.", title="This text cannot be used", next_url=back,
        next_label="Back to the form" if request.form and back != "/" else "", typed=_typed(request.form),
    )  # fmt: skip


def fault(text: str, *, compared: bool = False) -> str:
    """What is wrong with one text, or ""; `compared`: it is only compared with another one."""
    if compared:
        return ""
    if len(text) > LONGEST_FIELD:
        return f"Use {LONGEST_FIELD:,} characters or fewer in one field. You entered {len(text):,}."
    if has_too_many_marks(text):
        return (
            f"One letter has more than {MARKS_LIMIT} accents or other combining marks. Remove some of them, then try "
            "again."
        )
    return ""


def fault_in(values: MultiDict[str, str]) -> str:
    """The first thing that is wrong with a query or a form, or ""."""
    for name, value in values.items(multi=True):
        if message := fault(name) or fault(value, compared=_is_compared(name)):
            return message
    return ""


def _is_compared(name: str) -> bool:
    """What a form was drawn with is compared and never normalised: only the limit of the whole body holds for it."""
    return name == "was" or name.startswith("was-")


def _pairs_in_body(given: Request) -> int:
    """How many fields there are, counted before they are parsed. Of a multipart body Werkzeug counts the parts."""
    if given.mimetype != "application/x-www-form-urlencoded":
        return 0
    body = given.get_data()
    # A body that does not say its length is cut at the limit without a word.
    if (given.content_length or 0) < len(body) == given.max_content_length:
        abort(413)
    return body.count(b"&") + 1


def _storable(values: MultiDict[str, str]) -> ImmutableMultiDict[str, str]:
    if any(_unstorable(text) for text in _texts(values)):
        values = MultiDict((storable(name), storable(value)) for name, value in values.items(multi=True))
    return ImmutableMultiDict(values)


def _texts(values: MultiDict[str, str]) -> Iterable[str]:
    for name, value in values.items(multi=True):
        yield name
        yield value


def _unstorable(text: str) -> bool:
    return storable(text) is not text


def _typed(form: MultiDict[str, str]) -> list[str]:
    """The texts typed into a form, so that they are not lost with the refusal; keys and choices are left out."""
    values = [
        value
        for name, value in form.items(multi=True)
        if name not in _SECRET and not _is_compared(name) and (" " in value.strip() or fault(value))
    ]
    return list(dict.fromkeys(values))
