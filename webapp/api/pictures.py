"""Uploaded pictures: the icon of an app, and the logo of the organisation."""

from flask import request

from webapp import clock
from webapp.operations import icons
from webapp.operations import organisation as company
from webapp.operations.errors import Invalid
from webapp.queries import organisation as queries
from webapp.queries.tokens import Caller
from webapp.web import access, pictures
from webapp.web.pictures import BadPicture
from webapp.workflow.scopes import Scope

from ._operation import must_match, operation
from .apps import App, answer_of
from .organisation import Organisation


def _picture(caller: Caller) -> bytes | str:
    """The file that was sent, as it is kept, or why it is refused: decoding takes too long for the transaction."""
    try:
        return pictures.square(request.get_data())
    except BadPicture as error:
        return str(error)


def _kept(found: bytes | str) -> bytes:
    if isinstance(found, str):
        raise Invalid(picture=found)
    return found


@operation("PUT", "/apps/{app}/picture", scope=Scope.APPS_ADMIN, audience="owners_of_app", answer=App,
           takes=pictures.CONTENT_TYPES, before=_picture, needs_match=True)  # fmt: skip
def upload_icon(caller: Caller, *, app: str, found: bytes | str) -> App:
    """Upload the icon of an app.

    A PNG, JPEG, WebP or GIF of up to 512 kB and 2,048 pixels on a side. It is kept as a square of 128 pixels, without
    what else is in the file. `If-Match` takes the ETag of the app."""
    row = access.app_to_change(app)
    must_match(App, answer_of(app, caller))
    icons.upload(row, _kept(found), pictures.CONTENT_TYPE, actor=caller, now=clock.now())
    return answer_of(app, caller)


@operation("DELETE", "/apps/{app}/picture", scope=Scope.APPS_ADMIN, audience="owners_of_app", answer=App,
           needs_match=True)  # fmt: skip
def remove_icon(caller: Caller, *, app: str) -> App:
    """Remove the uploaded icon of an app.

    It shows its icon of the set again, or its first letters."""
    row = access.app_to_change(app)
    must_match(App, answer_of(app, caller))
    icons.choose(row, row.icon, actor=caller, now=clock.now())
    return answer_of(app, caller)


@operation("PUT", "/organisation/logo", scope=Scope.SETTINGS_ADMIN, audience="admins", answer=Organisation,
           takes=pictures.CONTENT_TYPES, before=_picture, needs_match=True)  # fmt: skip
def upload_logo(caller: Caller, *, found: bytes | str) -> Organisation:
    """Upload the logo of the organisation.

    A picture like the icon of an app. `If-Match` takes the ETag of the organisation."""
    ours = queries.load(hold=True)
    must_match(Organisation, Organisation.of(ours))
    company.change_logo(ours, _kept(found), actor=caller, now=clock.now())
    return Organisation.of(ours)


@operation("DELETE", "/organisation/logo", scope=Scope.SETTINGS_ADMIN, audience="admins", answer=Organisation,
           needs_match=True)  # fmt: skip
def remove_logo(caller: Caller) -> Organisation:
    """Remove the logo of the organisation.

    Pages show Countersign’s own mark again."""
    ours = queries.load(hold=True)
    must_match(Organisation, Organisation.of(ours))
    company.change_logo(ours, None, actor=caller, now=clock.now())
    return Organisation.of(ours)
