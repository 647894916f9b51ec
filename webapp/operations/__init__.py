"""Every write: load → workflow → apply + Event + Notice. Nothing here commits (outbox.commit does).

The transaction's mode must be "write"; actor and time are arguments.
"""
