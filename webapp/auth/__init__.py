"""Signing in, the person's own account, and terminals that sign in. Each module adds its views to the blueprint."""

from . import account as account
from . import device as device
from . import factors as factors
from . import passkeys as passkeys
from . import second_step as second_step
from . import tokens as tokens
from .views import bp as bp
