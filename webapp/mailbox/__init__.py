"""The Mailbox: every mail of an installation without a mail server."""

from webapp.mailbox.views import bp

__all__ = ["bp"]
