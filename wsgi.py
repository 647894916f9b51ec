"""The WSGI entry point: `gunicorn wsgi:app`, `flask --app wsgi …`."""

import sys

from webapp import create_app
from webapp.config import Settings, SettingsError
from webapp.runtime import jsonlog

jsonlog.configure()
try:
    settings = Settings.from_env()
    jsonlog.configure(settings.log_level)
    app = create_app(settings)
except SettingsError as error:
    sys.exit(f"Countersign cannot start. {error}")
