"""The REST API under /api/v1: each file a resource, each call the operation that a screen calls, too."""

# Each registers its calls.
from . import (  # noqa: F401
    apps,
    audit,
    chat_channels,
    decisions,
    deliveries,
    device_codes,
    fields,
    grants,
    groups,
    me,
    notices,
    organisation,
    people,
    people_import,
    pictures,
    policies,
    requests,
    step_in,
    tokens,
    webhooks,
)
from ._operation import bp
from .docs import pages

__all__ = ["bp", "pages"]
