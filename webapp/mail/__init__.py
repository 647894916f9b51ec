"""The mails: one function for each kind, their words, and how they are put together for the mail server."""

from webapp.mail.kinds import MAILS, render
from webapp.mail.mime import BadSender, Mail, Unmailable

__all__ = ["MAILS", "BadSender", "Mail", "Unmailable", "render"]
