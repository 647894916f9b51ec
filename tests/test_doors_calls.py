"""What a person can do on a screen, a program can do: each form has a call, or a reason why it has none."""

from __future__ import annotations

from tests.helpers.route_table import TABLE, UNSAFE
from webapp.api._operation import OPERATIONS

_OF_THE_PERSON = "of the person alone: a program that could do it would outlive them or lock them out"
_OF_AN_EMAIL = "the way of somebody who follows a link; a program decides with its token"
_SEES = "only how the screens look to this person"
_SHOWS_A_SECRET = "its answer is a token: who makes one looks at a screen"
_DEMO = "of the demo only"
_PROVIDERS = "how people sign in is set up by hand: a program that changed it could let anybody in"
_BY_HAND = "an admin does it for somebody whom they have spoken to"
_CONNECTS = "a directory is connected once, by hand, where its token is shown"

# Forms that no program needs.
WITHOUT_A_CALL = {
    "/sign-in": _OF_THE_PERSON,
    "/sign-out": _OF_THE_PERSON,
    "/password/forgot": _OF_THE_PERSON,
    "/password/<token>": _OF_THE_PERSON,
    "/account/password": _OF_THE_PERSON,
    "/account/time-zone": _SEES,
    "/account/theme": _SEES,
    "/account/proof": _OF_THE_PERSON,
    "/account/sessions/<public_id>/ending": _OF_THE_PERSON,
    "/account/sessions/ending": _OF_THE_PERSON,
    "/account/proof/options": _OF_THE_PERSON,
    "/account/security/authenticator": _OF_THE_PERSON,
    "/account/security/authenticator/removal": _OF_THE_PERSON,
    "/account/security/passkeys": _OF_THE_PERSON,
    "/account/security/passkeys/<public_id>/removal": _OF_THE_PERSON,
    "/account/security/passkeys/options": _OF_THE_PERSON,
    "/account/security/recovery-codes": _OF_THE_PERSON,
    "/sign-in/code": _OF_THE_PERSON,
    "/sign-in/passkey": _OF_THE_PERSON,
    "/sign-in/passkey/options": _OF_THE_PERSON,
    "/admin/people/<public_id>/identities/<identity_id>/removal": _BY_HAND,
    "/admin/people/<public_id>/second-step-reset": _BY_HAND,
    "/admin/sign-in": _PROVIDERS,
    "/admin/sign-in/<public_id>": _PROVIDERS,
    "/admin/sign-in/<public_id>/groups": _PROVIDERS,
    "/admin/sign-in/<public_id>/groups/<row_id>/removal": _PROVIDERS,
    "/admin/sign-in/<public_id>/people": _PROVIDERS,
    "/admin/sign-in/<public_id>/state": _PROVIDERS,
    "/admin/sign-in/passwords": _PROVIDERS,
    "/admin/sign-in/second-step": _PROVIDERS,
    "/sso/<public_id>/back-channel-logout": "a provider calls it",
    "/sso/<public_id>/disconnection": _OF_THE_PERSON,
    "/sso/<public_id>/password": _OF_THE_PERSON,
    "/admin/directory": _CONNECTS,
    "/admin/directory/<public_id>": _CONNECTS,
    "/admin/directory/<public_id>/pause": _CONNECTS,
    "/admin/directory/<public_id>/removal": _CONNECTS,
    "/admin/directory/<public_id>/resumption": _CONNECTS,
    "/admin/directory/<public_id>/tokens": _CONNECTS,
    "/admin/directory/<public_id>/tokens/<token_id>/ending": _CONNECTS,
    "/account/tokens": _SHOWS_A_SECRET,
    "/admin/api/tokens": _SHOWS_A_SECRET,
    "/device/<code>/approval": _OF_THE_PERSON,
    "/device/<code>/denial": _OF_THE_PERSON,
    "/decide/<token>/approval": _OF_AN_EMAIL,
    "/decide/<token>/denial": _OF_AN_EMAIL,
    "/decide/<token>/code": _OF_AN_EMAIL,
    "/admin/first-steps/hiding": _SEES,
    "/mailbox/emptying": _DEMO,
    "/webhook-viewer/in": _DEMO,
    "/webhook-viewer/emptying": _DEMO,
}
_APP, _POLICY, _FIELD = "PATCH /apps/{app}", "PUT /apps/{app}/policy", "PATCH /apps/{app}/fields/{field}"
_PERSON, _HOOK = "PATCH /people/{person}", "PATCH /webhooks/{webhook}"
CALLS = {
    "/admin/directory/csv": "POST /people/import",
    "/admin/directory/csv/import": "POST /people/import",
    "/admin/people/<public_id>/department": _PERSON,
    "/admin/people/<public_id>/manager": _PERSON,
    "/account/tokens/<public_id>/ending": "POST /tokens/{token}/revocation",
    "/apps/<public_id>/return": "POST /grants/{grant}/removal",
    "/requests/<public_id>/cancellation": "POST /requests/{request}/cancellation",
    "/requests/<public_id>/reminder": "POST /requests/{request}/reminders",
    "/requests/<public_id>/comments": "POST /requests/{request}/comments",
    "/catalog/<public_id>/grant": "POST /grants",
    "/catalog/<public_id>/request": "POST /requests",
    "/requests/<public_id>/approval": "POST /requests/{request}/approval",
    "/requests/<public_id>/denial": "POST /requests/{request}/denial",
    "/admin/apps": "POST /apps",
    "/admin/apps/<public_id>/details/<part>": _APP,
    "/admin/apps/<public_id>/icon": _APP,
    "/admin/apps/<public_id>/picture": "PUT /apps/{app}/picture",
    "/admin/apps/<public_id>/requestable": _APP,
    "/admin/apps/<public_id>/approval-required": _POLICY,
    "/admin/apps/<public_id>/comment-required": _POLICY,
    "/admin/apps/<public_id>/assurance": _POLICY,
    "/admin/apps/<public_id>/audience": _APP,
    "/admin/apps/<public_id>/note": _APP,
    "/admin/apps/<public_id>/owner": _APP,
    "/admin/apps/<public_id>/steps/<step_id>/approver": _POLICY,
    "/admin/apps/<public_id>/steps/new": _POLICY,
    "/admin/apps/<public_id>/steps/order": _POLICY,
    "/admin/apps/<public_id>/steps/<step_id>/removal": _POLICY,
    "/admin/apps/<public_id>/steps/<step_id>/time-limit": _POLICY,
    "/admin/apps/<public_id>/visibility": _POLICY,
    "/admin/apps/<public_id>/outcomes/<state>/<part>": _POLICY,
    "/admin/apps/<public_id>/time-limit": _POLICY,
    "/admin/apps/<public_id>/rules": "POST /apps/{app}/policy/copy",
    "/admin/apps/<public_id>/grants": "POST /grants",
    "/admin/apps/<public_id>/grants/<grant_id>/removal": "POST /grants/{grant}/removal",
    "/admin/apps/<public_id>/archive": "POST /apps/{app}/archival",
    "/admin/apps/<public_id>/restoration": "POST /apps/{app}/restoration",
    "/admin/apps/<public_id>/fields": "POST /apps/{app}/fields",
    "/admin/apps/<public_id>/fields/order": "POST /apps/{app}/fields/order",
    "/admin/apps/<public_id>/fields/<field_id>/<part>": _FIELD,
    "/admin/apps/<public_id>/fields/<field_id>/archive": "POST /apps/{app}/fields/{field}/archival",
    "/admin/apps/<public_id>/fields/<field_id>/restoration": "POST /apps/{app}/fields/{field}/restoration",
    "/admin/people": "POST /people",
    "/admin/people/<public_id>/details": _PERSON,
    "/admin/people/<public_id>/admin": _PERSON,
    "/admin/people/<public_id>/grants/<grant_id>/removal": "POST /grants/{grant}/removal",
    "/admin/people/<public_id>/grants/removal": "POST /people/{person}/access-removal",
    "/admin/people/<public_id>/password-reset": "POST /people/{person}/password-reset",
    "/admin/people/<public_id>/sessions/ending": "POST /people/{person}/sessions/ending",
    "/admin/people/<public_id>/deactivation": "POST /people/{person}/deactivation",
    "/admin/people/<public_id>/reactivation": "POST /people/{person}/reactivation",
    "/admin/people/<public_id>/invitation": "POST /people/{person}/invitation",
    "/admin/groups": "POST /groups",
    "/admin/groups/<public_id>/name": "PATCH /groups/{group}",
    "/admin/groups/<public_id>/archive": "POST /groups/{group}/archival",
    "/admin/groups/<public_id>/members": "PUT /groups/{group}/members/{person}",
    "/admin/groups/<public_id>/members/<person_id>/removal": "DELETE /groups/{group}/members/{person}",
    "/admin/requests/<public_id>/cancellation": "POST /requests/{request}/stepping-in/cancellation",
    "/admin/requests/<public_id>/reassignment": "POST /requests/{request}/stepping-in/reassignment",
    "/admin/requests/<public_id>/extension": "POST /requests/{request}/stepping-in/extension",
    "/admin/mail/<public_id>/attempt": "POST /notices/{notice}/attempt",
    "/admin/mail/attempts": "POST /notices/attempts",
    "/admin/mail/test": "POST /notices/test",
    "/admin/mail/<public_id>/sending": "POST /notices/{notice}/resend",
    "/admin/mail/<public_id>/dropping": "POST /notices/{notice}/discarding",
    "/admin/mail/held/sending": "POST /notices/held/sending",
    "/admin/mail/held/dropping": "POST /notices/held/discarding",
    "/admin/audit/verification": "POST /audit/verification",
    "/admin/organisation": "PATCH /organisation",
    "/admin/organisation/logo": "PUT /organisation/logo",
    "/admin/organisation/logo/removal": "DELETE /organisation/logo",
    "/admin/api/people/<part>": "PATCH /organisation",
    "/admin/api/tokens/<public_id>/ending": "POST /tokens/{token}/revocation",
    "/admin/api/leak": "POST /tokens/leak",
    "/admin/webhooks": "POST /webhooks",
    "/admin/chat": "POST /chat-channels",
    "/admin/endpoints/<public_id>": _HOOK,
    "/admin/endpoints/<public_id>/pause": "POST /webhooks/{webhook}/pause",
    "/admin/endpoints/<public_id>/resumption": "DELETE /webhooks/{webhook}/pause",
    "/admin/endpoints/<public_id>/test": "POST /webhooks/{webhook}/test",
    "/admin/endpoints/<public_id>/removal": "DELETE /webhooks/{webhook}",
    "/admin/endpoints/<public_id>/secrets": "POST /webhooks/{webhook}/secrets",
    "/admin/endpoints/<public_id>/secrets/<secret_id>/ending": "DELETE /webhooks/{webhook}/secrets/{secret}",
    "/admin/endpoints/<public_id>/deliveries/<delivery_id>/dropping": (
        "POST /webhooks/{webhook}/deliveries/{delivery}/discarding"
    ),
    # All that are held: each by its own call.
    "/admin/endpoints/<public_id>/held/dropping": "POST /webhooks/{webhook}/deliveries/{delivery}/discarding",
    "/admin/endpoints/<public_id>/held/sending": "POST /webhooks/{webhook}/deliveries/{delivery}/retry",
    "/admin/endpoints/<public_id>/deliveries/<delivery_id>/sending": (
        "POST /webhooks/{webhook}/deliveries/{delivery}/retry"
    ),
}


def test_each_form_has_a_call_or_a_reason() -> None:
    forms = {row.rule for row in TABLE if row.method in UNSAFE}
    assert sorted(forms - set(CALLS) - set(WITHOUT_A_CALL)) == [], "these forms have no call of the API, and no reason"
    assert sorted((set(CALLS) | set(WITHOUT_A_CALL)) - forms) == [], "there are no such forms"
    assert set(CALLS) & set(WITHOUT_A_CALL) == set()


def test_each_of_these_calls_is_there() -> None:
    assert sorted(set(CALLS.values()) - {f"{one.method} {one.path}" for one in OPERATIONS}) == []
