"""What leaves the product: the outbox, the jobs of the worker that empties it, and emails."""
