"""One blueprint for the summary, the plan, referrals, and what anyone may read about treatments."""

from flask import Blueprint

bp = Blueprint("care", __name__, template_folder="templates")
