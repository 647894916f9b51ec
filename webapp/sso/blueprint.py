"""The blueprint of single sign-on."""

from flask import Blueprint

bp = Blueprint("sso", __name__, url_prefix="/sso")
