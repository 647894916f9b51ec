"""After each test of an operation the audit record holds, and tells no names, addresses or free text."""

from collections.abc import Iterator

import pytest

from tests.helpers import personal_data
from webapp.database.transactions import choose
from webapp.extensions import db
from webapp.record import audit


@pytest.fixture(autouse=True)
def the_record_holds(request: pytest.FixtureRequest) -> Iterator[None]:
    if "app" not in request.fixturenames:
        yield
        return
    request.getfixturevalue("app")
    yield
    db.session.rollback()
    choose("read")
    assert audit.verify()[1] is None
    assert personal_data.leaked_personal_data() == []
    choose("write")
