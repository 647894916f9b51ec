"""Countersign and the bare app in one process, so that both have the same server, database and machine."""

from collections.abc import Iterable
from typing import Any

import bench.bare
from webapp import create_app
from webapp.config import Settings
from webapp.runtime import jsonlog

jsonlog.configure()
_settings = Settings.from_env()
_countersign = create_app(_settings)
_bare = bench.bare.create_app(_settings.database_url)


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"].startswith("/bare/"):
        environ["PATH_INFO"] = environ["PATH_INFO"][5:]
        return _bare(environ, start_response)
    return _countersign(environ, start_response)
