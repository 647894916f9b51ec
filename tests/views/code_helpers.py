"""What the tests of approval codes share."""

from __future__ import annotations

import re

from tests.helpers import pages


def focused(answer):
    """The ids of what the page gives the focus to, and so scrolls to, by itself."""
    return re.findall(r'<[^>]* id="([^"]*)"[^>]* autofocus[ >]', pages.source(answer))
