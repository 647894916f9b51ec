"""People from a CSV file through the API."""

from __future__ import annotations

from collections.abc import Callable

from tests.api.conftest import Program
from tests.helpers.factories import Company
from tests.helpers.lookups import now, person_called

Make = Callable[..., Program]
CSV = "email,name,department\nkim@example.com,Kim,IT\nrita@example.com,Rita Lindqvist,Sales\nnobody,Ann,\n"


def test_a_dry_run_says_what_would_change_and_its_stamp_imports_it(program: Make, company: Company) -> None:
    adam = program("adam")
    shown = adam.post("/people/import", {"csv": CSV})
    assert shown.status_code == 200
    found = shown.json
    assert [found[key] for key in ("applied", "new", "changed", "same", "refused")] == [False, 1, 1, 0, 1]
    assert [(one["number"], one["result"]) for one in found["lines"]] == [(4, "refused"), (2, "new"), (3, "changed")]
    assert found["lines"][2]["changes"] == [{"label": "Department", "before": "", "after": "Sales"}]
    assert person_called("Kim") is None
    done = adam.post("/people/import", {"csv": CSV, "dry_run": False, "stamp": found["stamp"]})
    assert done.status_code == 200 and done.json["applied"] and now(company.rita).department == "Sales"
    late = adam.post("/people/import", {"csv": CSV, "dry_run": False, "stamp": found["stamp"]})
    assert late.status_code == 409
    again = adam.post("/people/import", {"csv": CSV, "dry_run": False})
    assert [again.json[key] for key in ("new", "changed", "same", "refused")] == [0, 0, 2, 1]


def test_a_large_file_is_taken_and_one_that_is_none_refused(program: Make) -> None:
    adam = program("adam")
    large = "email,name,about\n" + "".join(f"p{one}@example.com,Person,{'x' * 60}\n" for one in range(1500))
    assert adam.post("/people/import", {"csv": large}).json["new"] == 1500
    refused = adam.post("/people/import", {"csv": "name\nAnn\n"})
    assert refused.status_code == 422 and refused.json["errors"][0]["field"] == "file"


def test_others_may_not_import(program: Make) -> None:
    assert program("rita").post("/people/import", {"csv": CSV}).status_code in (403, 404)
