"""Small commands that stand in for the parts of the stack."""

import sys

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)",
]
FAILING = [sys.executable, "-c", "raise SystemExit(3)"]
