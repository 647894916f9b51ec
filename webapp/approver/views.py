from flask import Blueprint

bp = Blueprint("approver", __name__)
