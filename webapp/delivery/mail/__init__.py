"""Emails: a function that renders each kind, their words, MIME and SMTP."""

from webapp.delivery.mail.kinds import render, shown
from webapp.delivery.mail.mime import BadSender, Mail, Unmailable

__all__ = ["BadSender", "Mail", "Unmailable", "render", "shown"]
