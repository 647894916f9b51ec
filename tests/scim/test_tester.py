"""Everything that scim2-tester checks of a server."""

from typing import Any

from flask import Flask
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_tester import Status, check_server

from tests.helpers.lookups import events
from webapp.extensions import db
from webapp.record import audit

from .conftest import Pusher


def test_all_that_the_tester_checks_holds_and_the_audit_log_is_whole(app: Flask, entra: Pusher) -> None:
    def answer(environ: Any, start_response: Any) -> Any:
        db.session.rollback()  # as the end of the request before would have done
        return app(environ, start_response)

    client = WSGISCIMClient(
        answer, base_url="http://localhost/scim/v2", headers={"Authorization": f"Bearer {entra.secret}"}
    )
    results = list(check_server(client))
    wrong = [f"{one.title}: {one.reason}" for one in results if one.status not in (Status.SUCCESS, Status.ACCEPTABLE)]
    assert not wrong, "\n".join(wrong)
    assert len(results) > 70
    assert events("person.created") and events("group.created")
    assert audit.verify()[1] is None
