"""Every route of the pages, with the status that each role gets: tests/test_routes.py reads it."""

from __future__ import annotations

from dataclasses import dataclass, field

ROLES = ("nobody", "outsider", "requester", "approver", "owner", "admin")
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Row:
    """One method of one route: where it is asked, with which form, and the status for each of ROLES in order."""

    method: str
    rule: str
    statuses: str
    at: str = ""
    form: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.method} {self.rule}"


def get(rule: str, statuses: str, at: str = "") -> Row:
    return Row("GET", rule, statuses, at or rule)


def post(rule: str, statuses: str, at: str = "", **form: str) -> Row:
    return Row("POST", rule, statuses, at or rule, form)


PASSKEYS = "/account/security/passkeys"

ANYONE = "200 200 200 200 200 200"
PEOPLE = "303 200 200 200 200 200"
OWNERS = "303 404 404 404 200 200"
ADMINS = "303 404 404 404 404 200"
ADMINS_GO = "303 404 404 404 404 303"
ADMINS_STALE = "303 404 404 404 404 409"
APP_OWNERS = OWNERS
APP_OWNERS_GO = "303 404 404 404 303 303"
APP_OWNERS_STALE = "303 404 404 404 409 409"
# ---------------------------------------------------- nobody outsider requester approver owner admin
TABLE = (
    # The process
    get("/healthz", ANYONE),
    get("/readyz", ANYONE),
    # The door
    get("/sign-in", "200 303 303 303 303 303"),
    post("/sign-in", "422 422 422 422 422 422"),
    get("/sign-in/code", "303 303 303 303 303 303"),
    post("/sign-in/code", "303 303 303 303 303 303"),
    post("/sign-in/passkey/options", ANYONE),
    post("/sign-in/passkey", "422 422 422 422 422 422"),
    post("/sign-out", "303 303 303 303 303 303"),
    get("/password/forgot", ANYONE),
    post("/password/forgot", "422 422 422 422 422 422"),
    get("/password/<token>", ANYONE, "/password/{password}"),
    post("/password/<token>", "422 422 422 422 422 422", "/password/{password}"),
    # The API: its calls are in tests/api/test_routes.py
    get("/api/docs", ANYONE),
    # The account
    get("/account", PEOPLE),
    get("/account/security", PEOPLE),
    get("/account/sessions", PEOPLE),
    get("/account/security/authenticator", PEOPLE),
    post("/account/security/authenticator", "303 409 409 409 409 409"),
    post("/account/security/authenticator/removal", "303 409 409 409 409 409"),
    get("/account/security/passkeys/new", PEOPLE),
    post("/account/security/passkeys", "303 422 422 422 422 422", name="Laptop"),
    post("/account/security/passkeys/options", PEOPLE),
    post(f"{PASSKEYS}/<public_id>/removal", "303 409 409 409 409 409", f"{PASSKEYS}/x/removal"),
    post("/account/proof/options", PEOPLE),
    post("/account/security/recovery-codes", "303 409 409 409 409 409"),
    post("/account/password", "303 422 422 422 422 422"),
    post("/account/time-zone", "303 303 303 303 303 303", time_zone="Europe/Paris"),
    post("/account/theme", "303 303 303 303 303 303", theme="dark"),
    post("/account/proof", "303 401 401 401 401 401"),
    post("/account/sessions/<public_id>/ending", "303 404 303 404 404 404", "/account/sessions/{session}/ending"),
    post("/account/sessions/ending", "303 303 303 303 303 303"),
    # Terminals that sign in
    get("/device", PEOPLE),
    get("/device/done", PEOPLE),
    post("/device/<code>/approval", "303 303 303 303 303 303", "/device/{device}/approval", scope="requests:read"),
    post("/device/<code>/denial", "303 303 303 303 303 303", "/device/{device}/denial"),
    get("/account/tokens", PEOPLE),
    get("/account/tokens/new", PEOPLE),
    post("/account/tokens", "303 200 200 200 200 200", name="phone", scopes="requests:read", ends="{soon}"),
    get("/account/tokens/<public_id>/ending", "303 404 200 404 404 404", "/account/tokens/{token}/ending"),
    post("/account/tokens/<public_id>/ending", "303 404 303 404 404 404", "/account/tokens/{token}/ending"),
    # The dashboard
    get("/", PEOPLE),
    get("/requests", PEOPLE),
    get("/search", PEOPLE, "/search?q=a"),
    get("/apps/<public_id>", "303 404 200 404 404 404", "/apps/{held}"),
    post("/apps/<public_id>/return", "303 404 303 404 404 404", "/apps/{held}/return"),
    get("/requests/<public_id>", "303 404 200 200 200 200", "/requests/{request}"),
    get("/requests/<public_id>/cancellation", "303 404 200 403 403 403", "/requests/{request}/cancellation"),
    post("/requests/<public_id>/cancellation", "303 404 303 403 403 403", "/requests/{request}/cancellation"),
    post("/requests/<public_id>/reminder", "303 404 303 403 403 403", "/requests/{request}/reminder"),
    post("/requests/<public_id>/comments", "303 404 303 303 303 303", "/requests/{request}/comments", comment="Hm."),
    get("/logo", "303 404 404 404 404 404"),
    # The catalog
    get("/catalog", PEOPLE),
    post("/catalog/<public_id>/grant", "303 303 303 303 303 303", "/catalog/{free}/grant"),
    get("/catalog/<public_id>/request", PEOPLE, "/catalog/{wanted}/request"),
    post("/catalog/<public_id>/request", "303 303 303 303 303 303", "/catalog/{wanted}/request", message="Please."),
    get("/apps/<public_id>/icon", ANYONE, "/apps/{wanted}/icon?v=0000000000000000"),
    # Approvals
    get("/approvals", PEOPLE),
    get("/approvals/decided", PEOPLE),
    get("/approvals/<public_id>", "303 404 200 200 200 200", "/approvals/{request}"),
    post("/requests/<public_id>/approval", "303 404 403 303 403 403", "/requests/{request}/approval"),
    post("/requests/<public_id>/denial", "303 404 403 303 403 403", "/requests/{request}/denial", reason="No."),
    get("/decide/<token>", ANYONE, "/decide/{link}"),
    post("/decide/<token>/approval", "422 403 403 303 403 403", "/decide/{link}/approval"),
    post("/decide/<token>/denial", "422 403 403 303 403 403", "/decide/{link}/denial", reason="No."),
    post("/decide/<token>/code", "200 403 403 200 403 403", "/decide/{link}/code"),
    # Admin
    get("/admin", "303 404 404 404 302 302"),
    get("/admin/first-steps", ADMINS),
    post("/admin/first-steps/hiding", ADMINS_GO),
    get("/admin/overview", OWNERS),
    get("/admin/apps", OWNERS),
    get("/admin/apps/new", ADMINS),
    post("/admin/apps", ADMINS_GO, name="Zoom"),
    get("/admin/apps/<public_id>", APP_OWNERS, "/admin/apps/{wanted}"),
    post("/admin/apps/<public_id>/details/<part>", APP_OWNERS_STALE, "/admin/apps/{wanted}/details/name", was="{}"),
    post("/admin/apps/<public_id>/icon", APP_OWNERS_STALE, "/admin/apps/{wanted}/icon", was="{}"),
    post("/admin/apps/<public_id>/picture", "303 404 404 404 422 422", "/admin/apps/{wanted}/picture"),
    post("/admin/apps/<public_id>/requestable", APP_OWNERS_GO, "/admin/apps/{wanted}/requestable", was="on"),
    post("/admin/apps/<public_id>/approval-required", APP_OWNERS_GO, "/admin/apps/{free}/approval-required", was="off"),
    post("/admin/apps/<public_id>/comment-required", APP_OWNERS_GO, "/admin/apps/{free}/comment-required", was="off"),
    post("/admin/apps/<public_id>/assurance", APP_OWNERS_GO,
         "/admin/apps/{wanted}/assurance", assurance="sign_in", was='{"assurance": "code"}'),
    post("/admin/apps/<public_id>/audience", APP_OWNERS_STALE, "/admin/apps/{wanted}/audience",
         audience="group:{group}"),
    post("/admin/apps/<public_id>/note", APP_OWNERS_GO, "/admin/apps/{wanted}/note",
         note="For us.", was='{"note": ""}'),
    post("/admin/apps/<public_id>/owner", ADMINS_STALE, "/admin/apps/{wanted}/owner"),
    post("/admin/apps/<public_id>/steps/<step_id>/approver", APP_OWNERS_STALE,
         "/admin/apps/{wanted}/steps/x/approver", approver="person:{invited}"),
    post("/admin/apps/<public_id>/steps/new", APP_OWNERS_GO, "/admin/apps/{wanted}/steps/new", step="person:{invited}"),
    post("/admin/apps/<public_id>/steps/order", APP_OWNERS_STALE, "/admin/apps/{wanted}/steps/order", order="x"),
    post("/admin/apps/<public_id>/steps/<step_id>/removal", APP_OWNERS_STALE,
         "/admin/apps/{wanted}/steps/x/removal"),
    post("/admin/apps/<public_id>/steps/<step_id>/time-limit", APP_OWNERS_STALE,
         "/admin/apps/{wanted}/steps/x/time-limit", days="5"),
    post("/admin/apps/<public_id>/visibility", APP_OWNERS_GO, "/admin/apps/{wanted}/visibility"),
    get("/admin/apps/<public_id>/mails/<kind>", APP_OWNERS, "/admin/apps/{wanted}/mails/denied"),
    get("/admin/apps/<public_id>/mails/<kind>/body", APP_OWNERS, "/admin/apps/{wanted}/mails/denied/body"),
    post("/admin/apps/<public_id>/outcomes/<state>/<part>", APP_OWNERS_STALE,
         "/admin/apps/{wanted}/outcomes/denied/words", words="No."),
    get("/admin/apps/<public_id>/what-would-happen", APP_OWNERS,
        "/admin/apps/{wanted}/what-would-happen?person=person:{invited}"),
    post("/admin/apps/<public_id>/rules", APP_OWNERS_STALE, "/admin/apps/{wanted}/rules", source="{free}"),
    get("/admin/apps/<public_id>/requests", APP_OWNERS, "/admin/apps/{asked}/requests"),
    get("/admin/apps/<public_id>/people", APP_OWNERS, "/admin/apps/{free}/people"),
    get("/admin/apps/<public_id>/people.csv", APP_OWNERS, "/admin/apps/{free}/people.csv"),
    get("/admin/apps/<public_id>/grants/new", APP_OWNERS, "/admin/apps/{free}/grants/new?person=person:{invited}"),
    post("/admin/apps/<public_id>/grants", APP_OWNERS_GO,
         "/admin/apps/{free}/grants", person="person:{invited}", rules="1", reason="New."),
    get("/admin/apps/<public_id>/grants/<grant_id>/removal", APP_OWNERS, "/admin/apps/{free}/grants/{grant}/removal"),
    post("/admin/apps/<public_id>/grants/<grant_id>/removal", APP_OWNERS_GO,
         "/admin/apps/{free}/grants/{grant}/removal", reason="Moved."),
    get("/admin/apps/<public_id>/archive", ADMINS, "/admin/apps/{wanted}/archive"),
    post("/admin/apps/<public_id>/archive", ADMINS_STALE, "/admin/apps/{wanted}/archive"),
    post("/admin/apps/<public_id>/restoration", "303 404 404 404 404 404", "/admin/apps/{wanted}/restoration"),
    post("/admin/apps/<public_id>/fields", APP_OWNERS_GO, "/admin/apps/{wanted}/fields", name="Role", kind="text"),
    post("/admin/apps/<public_id>/fields/order", APP_OWNERS_GO, "/admin/apps/{wanted}/fields/order", order=""),
    post("/admin/apps/<public_id>/fields/<field_id>/<part>", APP_OWNERS_STALE,
         "/admin/apps/{wanted}/fields/000000000000/help", help="Ask."),
    post("/admin/apps/<public_id>/fields/<field_id>/archive", APP_OWNERS_STALE,
         "/admin/apps/{wanted}/fields/000000000000/archive"),
    post("/admin/apps/<public_id>/fields/<field_id>/restoration", APP_OWNERS_STALE,
         "/admin/apps/{wanted}/fields/000000000000/restoration"),
    post("/admin/apps/<public_id>/time-limit", APP_OWNERS_GO,
         "/admin/apps/{wanted}/time-limit", days="5", was='{"days": "3"}'),
    get("/admin/choices", OWNERS, "/admin/choices?field=owner"),
    get("/admin/people", ADMINS),
    get("/admin/people/new", ADMINS),
    post("/admin/people", ADMINS_GO, name="Nils Holm", email="nils@example.com"),
    get("/admin/people/<public_id>", ADMINS, "/admin/people/{invited}"),
    get("/admin/people/<public_id>/details", ADMINS, "/admin/people/{invited}/details"),
    post("/admin/people/<public_id>/details", ADMINS_STALE, "/admin/people/{invited}/details", was="{}"),
    get("/admin/people/<public_id>/grants/<grant_id>/removal", ADMINS, "/admin/people/{member}/grants/{grant}/removal"),
    post("/admin/people/<public_id>/grants/<grant_id>/removal", ADMINS_GO,
         "/admin/people/{member}/grants/{grant}/removal", reason="Moved."),
    get("/admin/people/<public_id>/grants/removal", ADMINS, "/admin/people/{member}/grants/removal"),
    post("/admin/people/<public_id>/grants/removal", ADMINS_GO,
         "/admin/people/{member}/grants/removal", shown="{grant}", reason="Moved."),
    get("/admin/people/<public_id>/password-reset", ADMINS, "/admin/people/{member}/password-reset"),
    post("/admin/people/<public_id>/password-reset", ADMINS_GO, "/admin/people/{member}/password-reset"),
    post("/admin/people/<public_id>/sessions/ending", ADMINS_GO, "/admin/people/{requester}/sessions/ending"),
    post("/admin/people/<public_id>/admin", ADMINS_GO, "/admin/people/{invited}/admin", on="1", was="off"),
    get("/admin/people/<public_id>/deactivation", ADMINS, "/admin/people/{invited}/deactivation"),
    post("/admin/people/<public_id>/deactivation", ADMINS_GO, "/admin/people/{invited}/deactivation"),
    post("/admin/people/<public_id>/reactivation", ADMINS_GO, "/admin/people/{gone}/reactivation"),
    post("/admin/people/<public_id>/invitation", ADMINS_GO, "/admin/people/{invited}/invitation"),
    get("/admin/groups", ADMINS),
    get("/admin/groups/new", ADMINS),
    post("/admin/groups", ADMINS_GO, name="Legal"),
    get("/admin/groups/<public_id>", ADMINS, "/admin/groups/{group}"),
    get("/admin/groups/<public_id>/name", ADMINS, "/admin/groups/{group}/name"),
    post("/admin/groups/<public_id>/name", ADMINS_GO, "/admin/groups/{group}/name", name="Money", was="Finance"),
    get("/admin/groups/<public_id>/archive", ADMINS, "/admin/groups/{group}/archive"),
    post("/admin/groups/<public_id>/archive", ADMINS_GO, "/admin/groups/{group}/archive"),
    post("/admin/groups/<public_id>/members", ADMINS_GO, "/admin/groups/{group}/members", person="{invited}"),
    post(
        "/admin/groups/<public_id>/members/<person_id>/removal",
        ADMINS_GO,
        "/admin/groups/{group}/members/{member}/removal",
    ),
    get("/admin/requests", ADMINS),
    get("/admin/requests.csv", ADMINS),
    get("/admin/requests/<public_id>", ADMINS, "/admin/requests/{request}"),
    post("/admin/requests/<public_id>/cancellation", ADMINS_GO, "/admin/requests/{request}/cancellation", reason="No."),
    post("/admin/requests/<public_id>/reassignment", ADMINS_GO,
         "/admin/requests/{request}/reassignment", reason="Away.", decider="person:{invited}"),
    post("/admin/requests/<public_id>/extension", ADMINS_GO,
         "/admin/requests/{request}/extension", reason="Away.", days="30"),
    get("/admin/mail", ADMINS),
    get("/admin/mail/<public_id>", ADMINS, "/admin/mail/{notice}"),
    get("/admin/mail/<public_id>/body", ADMINS, "/admin/mail/{notice}/body"),
    post("/admin/mail/<public_id>/attempt", ADMINS_STALE, "/admin/mail/{notice}/attempt"),
    post("/admin/mail/attempts", ADMINS_GO),
    post("/admin/mail/test", ADMINS_GO),
    post("/admin/mail/<public_id>/sending", ADMINS_STALE, "/admin/mail/{notice}/sending"),
    post("/admin/mail/<public_id>/dropping", ADMINS_STALE, "/admin/mail/{notice}/dropping"),
    post("/admin/mail/held/sending", ADMINS_GO),
    post("/admin/mail/held/dropping", ADMINS_GO),
    get("/admin/audit", ADMINS),
    get("/admin/audit.csv", ADMINS),
    post("/admin/audit/verification", ADMINS_GO),
    get("/admin/organisation", ADMINS),
    post("/admin/organisation", ADMINS_STALE, was="{}"),
    post("/admin/organisation/logo", "303 404 404 404 404 422"),
    post("/admin/organisation/logo/removal", "303 404 404 404 404 303", was=""),
    get("/admin/api", ADMINS),
    post("/admin/api/people/<part>", ADMINS_GO, "/admin/api/people/days", days="30", was="90"),
    get("/admin/api/tokens", ADMINS),
    get("/admin/api/tokens/new", ADMINS),
    post("/admin/api/tokens", "303 404 404 404 404 200", name="Sync", scopes="people:read", ends="{soon}"),
    get("/admin/api/tokens/<public_id>", ADMINS, "/admin/api/tokens/{token}"),
    get("/admin/api/tokens/<public_id>/ending", ADMINS, "/admin/api/tokens/{token}/ending"),
    post("/admin/api/tokens/<public_id>/ending", ADMINS_GO, "/admin/api/tokens/{token}/ending"),
    post("/admin/api/leak", "303 404 404 404 404 422", leaked="csn_0000"),
    get("/admin/webhooks", ADMINS),
    get("/admin/webhooks/new", ADMINS),
    post("/admin/webhooks", "303 404 404 404 404 200", name="Ledger", address="https://ledger.example.com/", every="1"),
    get("/admin/chat", ADMINS),
    get("/admin/chat/preview", ADMINS),
    post("/admin/chat", ADMINS_GO, kind="slack", name="#it", address="https://hooks.slack.com/services/T/B/x",
         events="waiting"),
    get("/admin/endpoints/<public_id>", ADMINS, "/admin/endpoints/{endpoint}"),
    post("/admin/endpoints/<public_id>", ADMINS_STALE, "/admin/endpoints/{endpoint}", name="Ledger", was="{}"),
    post("/admin/endpoints/<public_id>/pause", ADMINS_GO, "/admin/endpoints/{endpoint}/pause"),
    post("/admin/endpoints/<public_id>/resumption", ADMINS_STALE, "/admin/endpoints/{endpoint}/resumption"),
    post("/admin/endpoints/<public_id>/test", ADMINS_GO, "/admin/endpoints/{endpoint}/test"),
    get("/admin/endpoints/<public_id>/removal", ADMINS, "/admin/endpoints/{endpoint}/removal"),
    post("/admin/endpoints/<public_id>/removal", ADMINS_GO, "/admin/endpoints/{endpoint}/removal"),
    post("/admin/endpoints/<public_id>/secrets", "303 404 404 404 404 200", "/admin/endpoints/{endpoint}/secrets"),
    post("/admin/endpoints/<public_id>/secrets/<secret_id>/ending", ADMINS_STALE,
         "/admin/endpoints/{endpoint}/secrets/{secret}/ending"),
    get("/admin/endpoints/<public_id>/deliveries/<delivery_id>", ADMINS,
        "/admin/endpoints/{endpoint}/deliveries/{delivery}"),
    post("/admin/endpoints/<public_id>/deliveries/<delivery_id>/sending", ADMINS_GO,
         "/admin/endpoints/{endpoint}/deliveries/{delivery}/sending"),
    post("/admin/endpoints/<public_id>/deliveries/<delivery_id>/dropping", ADMINS_GO,
         "/admin/endpoints/{endpoint}/deliveries/{delivery}/dropping"),
    post("/admin/endpoints/<public_id>/held/sending", ADMINS_GO, "/admin/endpoints/{endpoint}/held/sending"),
    post("/admin/endpoints/<public_id>/held/dropping", ADMINS_GO, "/admin/endpoints/{endpoint}/held/dropping"),
    # The Mailbox, which is there on a loopback address only
    get("/mailbox", ANYONE),
    get("/mailbox/<mail_id>", ANYONE, "/mailbox/{mail}"),
    get("/mailbox/<mail_id>/body", ANYONE, "/mailbox/{mail}/body"),
    get("/mailbox/<mail_id>/text", ANYONE, "/mailbox/{mail}/text"),
    post("/mailbox/emptying", "303 303 303 303 303 303"),
    # It takes what is signed with the secret of an endpoint.
    post("/webhook-viewer/in", "400 400 400 400 400 400"),
    get("/webhook-viewer", ANYONE),
    get("/webhook-viewer/<hook_id>", ANYONE, "/webhook-viewer/{hook}"),
    get("/webhook-viewer/<hook_id>/body", ANYONE, "/webhook-viewer/{hook}/body"),
    post("/webhook-viewer/emptying", "303 303 303 303 303 303"),
)  # fmt: skip
# What an admin may do with an older sign-in, too, and why. Anything else below /admin that changes something, and
# every table to take along, asks for a password given in the last 15 minutes.
WITHOUT_PASSWORD = {
    "POST /admin/api/tokens/<public_id>/ending": "takes rights away, and has to be quick",
    "POST /admin/endpoints/<public_id>/test": "a message that says that it is a test",
    "POST /admin/endpoints/<public_id>/deliveries/<delivery_id>/sending": "what was due to that system anyway",
    "POST /admin/endpoints/<public_id>/deliveries/<delivery_id>/dropping": "as of the emails that are on hold",
    "POST /admin/endpoints/<public_id>/held/sending": "as of the emails that are on hold",
    "POST /admin/endpoints/<public_id>/held/dropping": "as of the emails that are on hold",
    "POST /admin/api/leak": "takes rights away, and has to be quick",
    "POST /admin/first-steps/hiding": "a matter of taste",
    "POST /admin/mail/test": "a mail to oneself",
    "POST /admin/mail/<public_id>/attempt": "a mail that was due to that person anyway",
    "POST /admin/mail/attempts": "mails that were due to those people anyway",
    "POST /admin/mail/<public_id>/sending": "a mail that was due to that person anyway",
    "POST /admin/mail/<public_id>/dropping": "a mail that somebody has had already",
    "POST /admin/mail/held/sending": "mails that were due to those people anyway",
    "POST /admin/mail/held/dropping": "mails that people have had already",
    "POST /admin/audit/verification": "only reads, and writes down that it did",
}
