"""The admin's side. Each module adds its views to the blueprint."""

from . import apps as apps
from . import groups as groups
from . import people as people
from .views import bp as bp
