"""The webhook viewer: what a demo delivered to itself. It exists only where the Mailbox does."""

from . import views as views
from .receive import bp as bp
