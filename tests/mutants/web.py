"""Mistakes in requests and answers over HTTP, in what comes in, and in the checks of a start."""

from tests.mutants.change import Change, Mutant

MUTANTS = [
    Mutant(
        "a-get-that-writes",
        "Pages that are only read may write to the database.",
        "tests/test_transactions.py tests/views/test_approver_link.py",
        [
            Change(
                "webapp/web/security.py::choose_transaction_mode",
                '"read" if request.method in SAFE else "write"',
                '"write"',
            ),
        ],
    ),
    Mutant(
        "an-open-redirect",
        'After signing in, "next" leads to another site.',
        "tests/views/test_auth_sign_in.py tests/test_hostile_input.py",
        [
            Change(
                "webapp/web/security.py::local_path",
                'not target.startswith("/") or target.startswith("//")',
                'not target.startswith("/")',
            ),
        ],
    ),
    Mutant(
        "a-view-without-csrf",
        "Approving from a link needs no CSRF token.",
        "tests/test_routes.py::test_each_unsafe_route_refuses_a_missing_token_and_another_site",
        [
            Change(
                "webapp/approver/views.py::approve_by_link",
                '@bp.post("/decide/<token>/approval")',
                '@bp.post("/decide/<token>/approval")\n@__import__("webapp.extensions", fromlist=["csrf"]).csrf.exempt',
            ),
        ],
    ),
    Mutant(
        "a-form-without-its-token",
        "A page draws a form without its CSRF token, so that it can never be sent.",
        "tests/views/test_admin_requests.py",
        [
            Change(
                "templates/admin/requests_manage.html",
                'action="{{ url }}/cancellation"> {{ csrf() }}',
                'action="{{ url }}/cancellation">',
            ),
        ],
    ),
    Mutant(
        "a-session-that-is-not-renewed",
        "What a browser carried before the sign-in stays: a session that somebody else set, and its CSRF token.",
        "tests/views/test_auth_sign_in.py",
        [Change("webapp/web/signin.py::begin", 'session.clear()\ng.pop("csrf_token", None)', "pass")],
    ),
    Mutant(
        "the-right-before-the-password",
        "After the question for the password nobody checks again whether the person has the right.",
        "tests/views/test_rights_held.py",
        [Change("webapp/web/signin.py::recheck_right", "g.check_audience()", "db.session().info[_HELD] = True")],
    ),
    Mutant(
        "no-limit-without-the-broker",
        "While the broker is down, passwords can be tried without a limit.",
        "tests/views/test_auth_limits.py tests/faults",
        [
            Change(
                "webapp/web/attempts.py::Counters.take",
                "self._take_in_memory(windows) if answer is None else int(cast(int, answer))",
                "int(answer or 0)",
            ),
        ],
    ),
    Mutant(
        "an-answer-to-another-question",
        "The answer about pending requests is accepted, even when the question has changed since.",
        "tests/views/test_admin_pending.py",
        [
            Change(
                "webapp/admin/pending.py::_answered",
                "not questions.is_answer_to(_stamp(what, app, seen))",
                "False",
            ),
        ],
    ),
    Mutant(
        "any-host-sets-the-cookie",
        "Another site below the same domain can set the session's cookie.",
        "tests/attack/test_hosts.py::test_over_https_each_cookie_is_secure_out_of_reach_of_scripts_and_of_other_hosts",
        [Change("webapp/web/cookies.py::name", 'f"__Host-{plain}" if secure else plain', "plain")],
    ),
    Mutant(
        "what-comes-in-is-not-bounded",
        "Queries and forms reach the views as they come, of any length and with NUL.",
        "tests/test_incoming.py tests/attack/test_addresses.py",
        [Change("webapp/wiring.py::wire", "incoming.init(app)", "pass")],
    ),
    Mutant(
        "any-run-of-marks-is-normalised",
        "A text is normalised before its runs of marks are cut, which takes quadratic time.",
        "tests/test_incoming.py",
        [
            Change(
                "webapp/text.py::clean",
                'unicodedata.normalize("NFC", thinned(text))',
                'unicodedata.normalize("NFC", text)',
            ),
        ],
    ),
    Mutant(
        "another-domain-is-mailed",
        "An address with an ß in its domain is taken as one with ss.",
        "tests/test_addresses.py",
        [
            Change(
                "webapp/addresses.py::_domain",
                "idna.uts46_remap(domain, std3_rules=True, transitional=False)",
                'idna.uts46_remap(domain, std3_rules=True, transitional=False).replace("ß", "ss")',
            ),
        ],
    ),
    Mutant(
        "a-name-turns-our-words",
        "A name that turns the reading direction is put out as it is, and turns the words around it.",
        "tests/test_bidi.py",
        [Change("webapp/web/isolation.py::finalize", "isolated(str(value))", "str(value)")],
    ),
    Mutant(
        "slow-connections-are-never-cut",
        "A connection that sends its headers or body too slowly is never cut.",
        "tests/embedded/test_server.py",
        [
            Change(
                "webapp/embedded/channel.py::Channel.cut_if_slow",
                "if waited > longest:",
                'if waited > longest and doing == "idle":',
            ),
        ],
    ),
    Mutant(
        "a-newer-database-is-taken",
        "The code runs on a database of a newer version.",
        "tests/test_database_faults.py tests/test_checks.py",
        [
            Change(
                "webapp/database/schema.py::state",
                '"older" if present is None or present in known else "newer"',
                '"older" if present is None or present in known else "ok"',
            ),
        ],
    ),
]
