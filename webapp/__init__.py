"""Countersign: app requests and approvals."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from webapp.config import Settings


def create_app(settings: Settings | None = None, *, web: bool = True) -> Flask:
    """The application for these settings, or for the environment's; `web` False: without static files, for a worker.

    Raises SettingsError.
    """
    # Imported here, so that the supervisor and the mail sink, which need no Flask, start in a moment.
    from webapp.config import Settings
    from webapp.wiring import wire

    return wire(settings or Settings.from_env(), web=web)
