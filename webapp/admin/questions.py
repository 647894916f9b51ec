"""A dialog's answer is valid for the question that was asked, and for no other.

What a question shows is summed up in a hidden field; the answer is compared with how things stand in the transaction
that would act on it. When something has changed, the question is asked again with what was typed.
"""

import hashlib
import json

from flask import request

FIELD = "asked"
CHANGED = "This has changed since you opened the page. Nothing was saved. Check it and confirm again."


def stamp(*facts: object) -> str:
    """The hidden field: facts are plain JSON."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def is_answer_to(question: str) -> bool:
    return request.form.get(FIELD, "") == question


def is_outdated(question: str) -> bool:
    """The form was drawn for another question. One without the field carries all that it acts on itself."""
    return request.form.get(FIELD, question) != question
