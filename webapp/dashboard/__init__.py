from . import logo as logo
from .views import bp as bp
