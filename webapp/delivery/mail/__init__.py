"""The mails: one function for each kind, their words, and how they are put together for the mail server."""

from webapp.delivery.mail.kinds import render
from webapp.delivery.mail.mime import BadSender, Mail, Unmailable

__all__ = ["BadSender", "Mail", "Unmailable", "render"]
