from . import logo as logo
from . import my_app as my_app
from . import search as search
from .views import bp as bp
