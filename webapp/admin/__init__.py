"""The admin's side. Each module adds its views to the blueprint."""

from . import api as api
from . import app_activity as app_activity
from . import apps as apps
from . import audit as audit
from . import copying as copying
from . import endpoints as endpoints
from . import fields as fields
from . import first_steps as first_steps
from . import grants as grants
from . import groups as groups
from . import icons as icons
from . import leaving as leaving
from . import mails as mails
from . import organisation as organisation
from . import outcomes as outcomes
from . import overview as overview
from . import pending as pending
from . import people as people
from . import picker as picker
from . import previews as previews
from . import reporting as reporting
from . import requests as requests
from . import simulation as simulation
from . import steps as steps
from . import webhooks as webhooks
from .views import bp as bp
