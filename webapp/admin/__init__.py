"""The admin's side. Each module adds its views to the blueprint."""

from . import apps as apps
from . import audit as audit
from . import fields as fields
from . import groups as groups
from . import mails as mails
from . import pending as pending
from . import people as people
from . import steps as steps
from .views import bp as bp
