"""The Mailbox: every email of an installation without a mail server."""

from webapp.mailbox.views import bp

__all__ = ["bp"]
