"""The same mail server and worker processes as in tests/worker."""

from tests.worker.conftest import smtp, worker

__all__ = ["smtp", "worker"]
