"""What a person agreed to: on their own pages, to change it; on the record, with version and date."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from markupsafe import Markup

from clinic.errors import Conflict, Invalid
from clinic.intake import operations, presenter, queries
from clinic.locations import queries as locations
from clinic.patients import chart
from clinic.patients import queries as patients
from clinic.patients.models import LinkPurpose
from clinic.patients.views import current_actor_of
from clinic.web import access, context, i18n
from clinic.web.access import current_patient

HOME_ORDER = 88  # on the patient's home: among what always stands there
RECORD_ORDER = 29  # on the staff's record: below the form

bp = Blueprint("intake_consents", __name__, template_folder="templates")


@bp.route("/me/consents", methods=["GET", "POST"])
@access.patient(LinkPurpose.SIGN_IN)
def mine() -> Any:
    """Every consent text with the answer to it. A yes can be taken back here, and given again."""
    patient_id = current_patient().patient_id
    assert patient_id is not None
    patient = patients.get(patient_id)
    if request.method == "POST":
        answer = request.form.get("answer")
        try:
            if answer not in ("yes", "no"):
                raise Invalid("yes or no", fields=["answer"])
            operations.change_consent(
                patient.id,
                request.form.get("consent", ""),
                answer == "yes",
                language=i18n.language(),
                by=current_actor_of(patient),
            )
        except (Invalid, Conflict):
            flash(_("That could not be changed. Please call the clinic."), "error")
        else:
            flash(_("Saved. It counts from now on."))
        return redirect(url_for(".mine"))
    return render_template(
        "intake/my_consents.html",
        patient=patient,
        rows=presenter.consent_rows(patient.id),
        has_form=queries.newest_of(patient.id) is not None,
        tabs=chart.tabs(""),
    )


def home_section(patient_id: int) -> Markup | None:
    """On the patient's home: the way to what was agreed."""
    if queries.newest_of(patient_id) is None:
        return None
    return context.rendered("intake/home_consents.html")


def record_section(patient_id: int) -> Markup | None:
    """On the record: each consent with version and date; it holds nothing clinical, so any staff may see it."""
    if not queries.consent_answers(patient_id):
        return None
    return context.rendered(
        "intake/consents_section.html", rows=presenter.consent_rows(patient_id), tz=locations.clinic_tz()
    )


chart.add_home(HOME_ORDER, home_section)
chart.add_section(RECORD_ORDER, record_section)
