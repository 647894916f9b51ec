"""The comments of one request, as programs list them."""

from sqlalchemy import select

from webapp.extensions import db
from webapp.models import Comment, Person


def of_request(request_id: int, *, before: int | None, limit: int) -> list[tuple[Comment, Person]]:
    """Newest first, those with a smaller id than `before`, with who wrote each."""
    query = select(Comment, Person).join(Person, Person.id == Comment.person_id).where(Comment.request_id == request_id)
    if before is not None:
        query = query.where(Comment.id < before)
    return [(row[0], row[1]) for row in db.session.execute(query.order_by(Comment.id.desc()).limit(limit))]
