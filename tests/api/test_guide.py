"""docs/api.md: every example of it runs, one after the other, against a real installation."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.site import Shared, Site
from webapp.workflow.scopes import Scope

GUIDE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    shared = Shared()
    yield shared.join()
    shared.leave()


def run(words: list[str], environment: dict[str, str], script: str = "") -> str:
    done = subprocess.run(words, env=environment, input=script, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_every_example_runs(site: Site) -> None:
    blocks = BLOCK.findall(GUIDE)
    make, keep, *others = blocks
    environment = os.environ | {
        "COUNTERSIGN_EMBEDDED": "1",
        "COUNTERSIGN_DATA": str(site.data),
        "BASE_URL": site.address,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    token = run(["bash", "-e"], environment, make[1]).strip().splitlines()[-1]
    assert token.startswith("csn_")
    assert re.sub(r"=\S+", "=", keep[1]).split() == ["export", "COUNTERSIGN=", "export", "TOKEN="]
    environment |= {"COUNTERSIGN": f"{site.address}/api/v1", "TOKEN": token}
    said = [
        run(["bash", "-e"], environment, text) if kind == "sh" else run([sys.executable, "-"], environment, text)
        for kind, text in others
    ]
    me, asked, waiting, listed = said
    assert json.loads(me)["person"]["email"] == "rita@example.com"
    assert json.loads(asked)["app"]["name"] == "Benevity" and json.loads(asked)["state"] == "pending"
    assert json.loads(asked)["id"] in [one["id"] for one in json.loads(waiting)["items"]]
    assert f"{json.loads(asked)['reference']} Benevity pending" in listed


def test_every_scope_is_in_the_table() -> None:
    table = GUIDE.partition("## Scopes")[2].partition("## ")[0]
    assert set(re.findall(r"`([a-z]+(?::[a-z]+)?)`", table)) == {str(one) for one in Scope}
