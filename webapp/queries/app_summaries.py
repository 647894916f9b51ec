"""An app as lists and chains show it."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from webapp.models import App
from webapp.models.apps import icon_url
from webapp.text import hue

# The columns that `app_summary` needs, for any select.
APP_COLUMNS = (App.public_id.label("app_public_id"), App.name.label("app_name"), App.icon.label("app_icon"),
           App.icon_hash.label("app_icon_hash"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class AppSummary:
    """Name and picture of an app; `icon` is a name in the sprite, `icon_url` an uploaded picture's, or ""."""

    public_id: str
    name: str
    icon: str
    hue: int
    icon_url: str


def app_summary(row: Row[*tuple[Any, ...]]) -> AppSummary:
    """From a row that selected APP_COLUMNS."""
    public_id: str = row.app_public_id
    return AppSummary(public_id, row.app_name, row.app_icon, hue(public_id), icon_url(public_id, row.app_icon_hash))
