"""Settings, Webhooks: the apps of a webhook are chosen by the picker."""

from __future__ import annotations

import html
import re

from tests.helpers import factories, lookups, pages
from tests.views.test_admin_webhooks import LIST, admin, app_value, form, hook, page_of, stored, was
from webapp import clock
from webapp.database.transactions import choose
from webapp.extensions import db

__all__ = ["admin", "hook"]


def test_apps_are_chosen_by_the_picker_without_a_script(admin, ana):
    figma, figjam = factories.app("Figma", ana), factories.app("FigJam", ana)
    before = lookups.everything()
    sent = form(apps=[app_value(figma)], every="", events=["access.given"])
    found = pages.flat(admin.post(LIST, sent | {"q": "figj", "find": "1"}))
    assert f'name="take" value="{app_value(figjam)}"' in found and 'value="Service desk"' in found
    assert 'name="apps" value="' + app_value(figma) in found and 'value="access.given" checked' in found
    both = pages.flat(admin.post(LIST, sent | {"q": "figj", "take": app_value(figjam)}))
    assert all(f'name="apps" value="{app_value(one)}"' in both for one in (figma, figjam))
    assert 'value="figj"' not in both
    twice = pages.flat(admin.post(LIST, sent | {"take": app_value(figma)}))
    assert twice.count(f'name="apps" value="{app_value(figma)}"') == 1
    none = pages.flat(admin.post(LIST, sent | {"drop": app_value(figma)}))
    assert f'name="apps" value="{app_value(figma)}"' not in none
    assert lookups.everything() == before


def test_the_picker_keeps_what_the_settings_were_drawn_with(admin, hook, ana):
    figma = factories.app("Figma", ana)
    drawn = was(admin, hook)
    admin.post(page_of(hook), form(name="Theirs", was=drawn))
    answer = admin.post(page_of(hook), form(name="Mine", was=drawn, take=app_value(figma)))
    found = pages.flat(answer)
    assert f'name="apps" value="{app_value(figma)}"' in found and 'value="Mine"' in found
    # Else the change of others would be overwritten unseen.
    assert html.unescape(re.search(r'name="was" value="([^"]*)"', answer.text)[1]) == drawn
    assert stored().name == "Theirs" and stored().app_ids == ()


def test_an_archived_app_stays_a_chip_and_is_not_found(admin, adam, ana):
    figma = factories.app("Figma", ana)
    hook = factories.webhook(adam, apps=[figma])
    choose("write")
    db.session.get_one(type(figma), figma.id).archived_at = clock.now()
    db.session.commit()
    page = pages.words(admin.get(page_of(hook)))
    assert "Figma archived" in page
    assert "Figma" not in admin.get("/admin/choices?field=apps&q=figma").text
    assert (
        admin.post(page_of(hook), form(name="Desk", apps=[app_value(figma)], was=was(admin, hook))).status_code == 303
    )
    assert stored().app_ids == (figma.id,)


def test_only_admins_find_apps_and_people_for_a_channel(admin, login_as, ana):
    factories.app("Figma", ana)
    for field in ("apps", "whom"):
        assert "Figma" in admin.get(f"/admin/choices?field={field}&q=fig").text
        assert login_as(ana).get(f"/admin/choices?field={field}&q=fig").status_code == 404
    assert "Figma" not in admin.get("/admin/choices?field=step&q=fig").text
