"""The audit record: chained entries, signed copies of its head, and the sentences that tell it."""
