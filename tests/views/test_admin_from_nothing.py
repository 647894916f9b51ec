"""A company that starts empty: its first admin sets up a person, a group and an app that people can ask for."""

from __future__ import annotations

from tests.helpers import factories
from tests.helpers.lookups import app_called, group_called, now, person_called, policy_of
from tests.helpers.pages import markup


def test_from_an_admin_alone_to_an_app_that_can_be_requested(app, login_as):
    admin = login_as(factories.person("Adam Weiss", admin=True))
    admin.post("/admin/people", {"name": "Ana Moreau", "email": "ana@example.com"})
    admin.post("/admin/people", {"name": "Rita Lindqvist", "email": "rita@example.com"})
    admin.post("/admin/groups", {"name": "Finance"})
    finance, ana = group_called("Finance"), person_called("Ana Moreau")
    admin.post(f"/admin/groups/{finance.public_id}/members", {"person": ana.public_id})
    created = admin.post("/admin/apps", {"name": "Salesforce"})
    page = created.headers["Location"]
    assert "This app has no approver, so it cannot be requested." in markup(admin.get(page))
    refused = admin.post(f"{page}/requestable", {"on": "1", "was": "off"})
    assert refused.status_code == 409
    saved = admin.post(f"{page}/steps/new", {"step": f"group:{finance.public_id}"})
    assert saved.status_code == 303
    assert admin.post(f"{page}/requestable", {"on": "1", "was": "off"}).status_code == 303
    salesforce = app_called("Salesforce")
    assert now(salesforce).requestable and policy_of(salesforce).steps[0].approver.group == finance.id
    request = factories.request(person_called("Rita Lindqvist"), salesforce)
    assert now(request).state == "pending"
    assert factories.rows("invitations", f"person_id = {ana.id} AND live") == 1
