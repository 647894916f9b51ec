from .views import bp as bp
