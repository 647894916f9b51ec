"""`python -m webapp.embedded.database_check`: prints why the web cannot start on its database and exits with 1;
prints nothing when it can.

Runs as a process of its own, so that the modules that it imports do not stay in gunicorn's main process.
"""

import sys

from webapp.config import Settings
from webapp.database import schema
from webapp.wiring import database


def main() -> int:
    sentence = schema.problem_at(database(Settings.from_env()))
    print(sentence)
    return 1 if sentence else 0


if __name__ == "__main__":
    sys.exit(main())
