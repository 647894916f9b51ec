"""Single sign-on with OpenID Connect. What speaks to a provider is imported when one is used."""

from . import logout, views
from .blueprint import bp

__all__ = ["bp", "logout", "views"]
