"""No Python file grows so long that nobody reads it."""

from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
# Lines of a file.
LIMITS = {"webapp": 400, "countersign_cli": 400, "bench": 400, ".": 400, "migrations": 500, "tests": 400}


def lines_of_files(folder: str) -> dict[str, int]:
    """Path from the project's root → number of lines."""
    paths = (PROJECT / folder).glob("*.py" if folder == "." else "**/*.py")
    return {path.relative_to(PROJECT).as_posix(): len(path.read_text().splitlines()) for path in paths}


@pytest.mark.parametrize("folder", LIMITS)
def test_no_file_is_longer_than_the_limit(folder: str) -> None:
    found = lines_of_files(folder)
    assert found
    assert {file: lines for file, lines in found.items() if lines > LIMITS[folder]} == {}
