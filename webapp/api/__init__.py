"""The REST API under /api/v1: each file a resource, each call the operation that a screen calls, too."""

# Each registers its calls.
from . import (  # noqa: F401
    apps,
    audit,
    decisions,
    device_codes,
    fields,
    grants,
    groups,
    me,
    notices,
    organisation,
    people,
    policies,
    requests,
    tokens,
)
from ._operation import bp
from .docs import pages

__all__ = ["bp", "pages"]
