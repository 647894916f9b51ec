"""The webhook viewer: what a demo delivered to itself. It exists only where the Mailbox does."""

from webapp.hookviewer.receive import bp

__all__ = ["bp"]
