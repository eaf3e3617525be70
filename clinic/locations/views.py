"""Public pages, and the settings of each site."""

from flask import Blueprint

bp = Blueprint("locations", __name__, template_folder="templates")
