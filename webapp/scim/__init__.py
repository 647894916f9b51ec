"""SCIM 2.0: a directory, such as Entra ID or Okta, pushes people and groups. The library that speaks it takes 30 MB, so
it is imported with the first call that has a valid token."""

from .views import bp

__all__ = ["bp"]
