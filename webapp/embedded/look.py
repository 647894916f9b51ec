"""`python -m webapp.embedded.look`: prints why the web cannot start on its database and exits with 1, or is silent.

A process of its own: what it takes to ask would stay in gunicorn's main process for good.
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
