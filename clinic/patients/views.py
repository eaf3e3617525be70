"""Links, the birth-date question, and the patient's own pages."""

from flask import Blueprint

bp = Blueprint("patients", __name__)
