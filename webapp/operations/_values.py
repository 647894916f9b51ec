"""The values of an app's fields, as people fill them in and as the audit log keeps them."""

from collections.abc import Mapping
from typing import Any

from webapp.text import clean, sha256
from webapp.workflow.entitlements import Given, SetValue, Sheet, to_json
from webapp.workflow.policy import Policy


def cleaned(given: Given) -> Given:
    return {key: [clean(text) for text in texts] for key, texts in given.items()}


def taken(sheet: Sheet, values: dict[str, SetValue], filled: dict[str, SetValue]) -> dict[str, SetValue]:
    """The values once one person has filled in their fields: what they left empty is empty."""
    emptied = {one.entitlement.id for one in sheet.writable} - set(filled)
    return {key: one for key, one in (values | filled).items() if key not in emptied}


def for_the_record(policy: Policy, values: Mapping[str, SetValue]) -> dict[str, Any]:
    """Values as the audit record keeps them: of free text the SHA-256 only."""
    plain = to_json(values)
    for entitlement in policy.entitlements:
        if entitlement.kind == "text" and entitlement.id in plain:
            plain[entitlement.id]["value"] = sha256(str(plain[entitlement.id]["value"]))
    return plain
