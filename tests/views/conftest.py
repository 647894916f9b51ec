"""What tests of several views ask for."""

import pytest
from sqlalchemy import select

from tests.helpers import factories
from webapp.extensions import db
from webapp.models import Notice


@pytest.fixture
def mail(rita, ana):
    """The mail that asks Ana."""
    made = factories.request(rita, factories.app("Figma", ana))
    return db.session.scalars(select(Notice).where(Notice.request_id == made.id)).one()
