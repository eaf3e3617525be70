"""The released summary, options and the care plan."""

from flask import Blueprint

from clinic.care import models as models

bp = Blueprint("care", __name__, template_folder="templates")
