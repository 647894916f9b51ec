"""The answer of a dialog is valid only for the question that was shown.

A hidden field holds a stamp, a hash of the facts that the dialog showed. The view compares it in the transaction that
acts on the answer; when a fact has changed, the question is asked again with what was typed.
"""

import hashlib
import json

from flask import request

FIELD = "asked"
CHANGED = "This has changed since you opened the page. Nothing was saved. Check it and confirm again."


def stamp(*facts: object) -> str:
    """Return the value of the hidden field; the facts have to be plain JSON."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def is_answer_to(question: str) -> bool:
    return request.form.get(FIELD, "") == question


def is_outdated(question: str) -> bool:
    """Whether the form was drawn for another question. A form without the field carries all facts itself."""
    return request.form.get(FIELD, question) != question
