"""The WSGI entry point: `gunicorn wsgi:app`, `flask --app wsgi …`."""

import sys

from webapp import create_app, logs
from webapp.config import SettingsError

logs.configure()
try:
    app = create_app()
except SettingsError as error:
    sys.exit(f"Countersign cannot start. {error}")
