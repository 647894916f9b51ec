"""The REST API under /api/v1: each file a resource, each call the operation that a screen calls, too."""

from . import apps, decisions, device_codes, fields, groups, me, people, requests  # noqa: F401  each registers its calls
from ._operation import bp
from .docs import pages

__all__ = ["bp", "pages"]
