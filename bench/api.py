"""Calls of the API over HTTP, beside a bare view with one query and a bare form."""

import json
from itertools import cycle

from bench import data
from bench.client import Answer, Client
from bench.stack import Site, bare_cookie, serve
from bench.web import BARE_FORM, Task, Timing, askers_for, interleaved
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Person
from webapp.operations import tokens

BARE_LIST = "bare list: 1 SELECT of 50 rows, json.dumps"
ROWS = 50


def calls(site: Site, *, rounds: int) -> tuple[dict[str, Timing], dict[str, Timing]]:
    """(the list of 50 requests, submitting one), each with its floor."""
    each = 2
    with site.app.app_context():
        wanted = iter(data.add_askable(site.company, (rounds + 2) * each))
        reader = _token(site.company.otto)
        writers = [_token(next(site.askers)) for _ in range(askers_for((rounds + 2) * each))]
        admin = _token(site.company.adam)
        db.session.remove()
        db.engine.dispose()
    with serve(site) as port:
        bare, plain = Client(port), Client(port, bare_cookie(port))
        everything, askers = Client(port, token=admin), cycle([Client(port, token=one) for one in writers])
        mine = Client(port, token=reader)

        def submit() -> Answer:
            body = json.dumps({"app": next(wanted), "message": "For my work."})
            return next(askers).post_json("/api/v1/requests", body)

        reading = interleaved(
            [
                Task(BARE_LIST, lambda: bare.get("/bare/items.json")),
                Task(f"GET /requests of an admin, {ROWS} rows",
                     lambda: everything.get(f"/api/v1/requests?limit={ROWS}")),
                Task("GET /me", lambda: mine.get("/api/v1/me")),
            ],
            rounds=rounds, each=each,
        )  # fmt: skip
        writing = interleaved(
            [
                Task(BARE_FORM, lambda: plain.post("/bare/orders", "item=1&message=For+my+work."), 303),
                Task("POST /requests", submit, 201),
            ],
            rounds=rounds, each=each,
        )  # fmt: skip
    return reading, writing


def _token(person_id: int) -> str:
    choose("write")
    person = db.session.get_one(Person, person_id)
    scopes = ["requests:read", "requests:write"]
    _, secret = tokens.create(name="bench", scopes=scopes, days=1, actor=person, now=clock.now(), person=person)
    outbox.commit()
    return secret
