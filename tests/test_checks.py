"""`flask check`: one line for each thing an installation needs, and the exit code."""

import pytest
from flask import Flask

from tests.conftest import as_if_made_by
from webapp import checks


def check(app: Flask) -> tuple[int, str]:
    done = app.test_cli_runner().invoke(args=["check"])
    return done.exit_code, done.output


def line(output: str, name: str) -> str:
    return next(one for one in output.splitlines() if one.split()[1] == name)


def test_a_whole_installation_is_ok(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "CHECKS", [one for one in checks.CHECKS if one[0] in ("database", "schema")])
    code, output = check(app)
    assert code == 0
    assert all(one.startswith("ok") for one in output.splitlines())
    assert line(output, "schema").startswith("ok")


def test_one_failure_is_a_line_with_what_to_do_and_the_rest_is_looked_at(app: Flask) -> None:
    with as_if_made_by(app, "9999"):
        code, output = check(app)
    assert code == 1
    assert line(output, "schema").startswith("FAILED")
    assert "newer version" in line(output, "schema")
    assert line(output, "database").startswith("ok")
