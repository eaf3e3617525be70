"""One blueprint for booking, the board, courses and the patient's dates."""

from flask import Blueprint

from clinic.staff.models import Role

DESK = (Role.FRONT_DESK, Role.NURSE, Role.PRESCRIBER, Role.MANAGER)
FLOOR = (*DESK, Role.OPERATOR)

bp = Blueprint("scheduling", __name__, template_folder="templates")
