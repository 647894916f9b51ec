"""An app's icon: one of the set, an uploaded picture, or else the first letters of its name."""

import hashlib
from datetime import datetime

from sqlalchemy import delete, exists, or_, select

from webapp.extensions import db
from webapp.models import App, Icon
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.workflow.actor import AnyActor

from ._sql import unless_taken
from .apps import hold
from .errors import Conflict


def choose(app: App, icon: str, *, actor: AnyActor, now: datetime) -> None:
    """One of the set by its name, "" for the first letters. An uploaded picture is dropped."""
    hold(app)
    _change(app, icon=icon, picture=None, actor=actor, now=now)


def upload(app: App, body: bytes, content_type: str, *, actor: AnyActor, now: datetime) -> None:
    """A picture that was made by `pictures.square`. The choice from the set stays, for when the picture goes.

    Raises Conflict.
    """
    hold(app)
    digest = hashlib.sha256(body).hexdigest()
    # The new one and the one that goes, in the same order for everybody: two who swap pictures do not wait in a circle.
    held = db.session.scalars(
        select(Icon).where(or_(Icon.sha256 == digest, Icon.id == app.icon_id)).order_by(Icon.id).with_for_update()
    ).all()
    picture = next((one for one in held if one.sha256 == digest), None)
    if picture is None:
        picture = Icon(content_type=content_type, sha256=digest, body=body)
        with unless_taken(Conflict("Someone else uploaded the same picture at this moment. Upload it again.")):
            db.session.add(picture)
    _change(app, icon=app.icon, picture=picture, actor=actor, now=now)


def _change(app: App, *, icon: str, picture: Icon | None, actor: AnyActor, now: datetime) -> None:
    before, old = _plain(app), app.icon_id
    app.icon = icon
    app.icon_id, app.icon_hash = (picture.id, picture.sha256) if picture is not None else (None, "")
    after = _plain(app)
    if before == after:
        return
    if old is not None and old != app.icon_id:
        _drop_unused(old)
    audit.record(
        EventKind.APP_CHANGED,
        at=now,
        actor=actor,
        app=app.id,
        before={key: before[key] for key in before if before[key] != after[key]},
        after={key: after[key] for key in after if before[key] != after[key]},
    )


def _drop_unused(icon_id: int) -> None:
    """Deletes a picture that no app shows any more."""
    db.session.flush()
    # A transaction that is about to use the picture has locked its row, so the next statement sees that use.
    db.session.execute(select(Icon.id).where(Icon.id == icon_id).with_for_update())
    db.session.execute(delete(Icon).where(Icon.id == icon_id, ~exists().where(App.icon_id == icon_id)))


def _plain(app: App) -> dict[str, str]:
    return {"icon": app.icon, "picture": app.icon_hash}
