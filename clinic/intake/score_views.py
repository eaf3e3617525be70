"""Enter and correct scores on a person's record; their items are never shown."""

from datetime import date
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from markupsafe import Markup
from wtforms import DateField, HiddenField, IntegerField, RadioField, TextAreaField
from wtforms.fields import SelectChoice
from wtforms.validators import InputRequired, Length, NumberRange, ValidationError

from clinic import clock, instruments
from clinic.errors import Conflict, Invalid, NotFound
from clinic.intake import queries, scores, scores_entry
from clinic.intake.models import ScreenScore
from clinic.intake.scores import Entry
from clinic.patients import chart
from clinic.patients import queries as patients
from clinic.patients.models import Patient
from clinic.staff.models import Role
from clinic.staff.queries import staff_names
from clinic.web import access, context
from clinic.web.access import current_actor, current_staff

CLINICAL = (Role.NURSE, Role.THERAPIST, Role.PRESCRIBER)
SECTION_ORDER = 29  # on the record: below the history, above what was made of it
SHOWN = 6
YES_NO = [SelectChoice("yes", "Yes"), SelectChoice("no", "No")]

bp = Blueprint("scores", __name__, template_folder="templates")


class ScoreForm(FlaskForm):
    """One score of one instrument. `today` is the date on the person's wall."""

    taken_on = DateField("Date taken", validators=[InputRequired("Give the date on which it was taken.")])
    note = TextAreaField("Note", validators=[Length(max=scores_entry.MAX_NOTE, message="At most 500 characters.")])
    corrects = HiddenField()
    today: date | None = None

    def validate_taken_on(self, field: DateField) -> None:
        if field.data and self.today and field.data > self.today:
            raise ValidationError("This day is still to come.")


def form_of(entry: Entry, today: date, **values: Any) -> ScoreForm:
    """The form of an instrument: its total, or its parts, within the range that its file gives."""
    fault = f"A whole number from {entry.low} to {entry.high}."
    number = [InputRequired(fault), NumberRange(entry.low, entry.high, fault)]

    class Made(ScoreForm):
        pass

    if entry.parts:
        Made.yes_count = IntegerField(f"Answers of yes ({entry.low} to {entry.high})", number)
        Made.same_time = RadioField(
            "Several of them at the same time", [InputRequired("Choose yes or no.")], choices=YES_NO
        )
        levels = [SelectChoice(level, level.capitalize()) for level in entry.parts[scores.MDQ_PROBLEM]]
        Made.problem_level = RadioField(
            "How much of a problem they made", [InputRequired("Choose one of the levels.")], choices=levels
        )
    else:
        Made.total = IntegerField(f"Total ({entry.low} to {entry.high})", number)
    made = Made(**values)
    made.today = today
    return made


@bp.route("/staff/patients/<int:patient_id>/scores", methods=["GET", "POST"])
@access.staff(*CLINICAL)
def listing(patient_id: int) -> Any:
    """Choose an instrument, enter its score; what was entered so far."""
    patient = patients.get_for(current_staff(), patient_id)
    entry = _entry(request.args.get("instrument", ""))
    corrected = _corrected(patient, entry)
    form = None
    if entry is not None:
        form = form_of(entry, clock.today(patient.tz), **_present(corrected))
        if form.validate_on_submit() and _keep(patient, entry, form, corrected):
            return redirect(url_for(".listing", patient_id=patient.id))
    rows = queries.every_score(patient.id)
    page = render_template(
        "intake/staff_scores.html",
        patient=patient,
        entries=scores.entries(),
        entry=entry,
        form=form,
        corrected=corrected,
        rows=rows,
        bands={row.id: scores.band_of(row) for row in rows},
        names=staff_names([row.entered_by for row in rows]),
    )
    return page, 422 if request.method == "POST" else 200


def _entry(key: str) -> Entry | None:
    if key and key not in scores.entries():
        raise NotFound("this score is not entered here")
    return scores.entries().get(key)


def _corrected(patient: Patient, entry: Entry | None) -> ScreenScore | None:
    """The entry that this one takes the place of, where the address names one."""
    score_id = request.args.get("corrects", type=int)
    if score_id is None or entry is None:
        return None
    found = next((row for row in queries.screen_scores(patient.id) if row.id == score_id), None)
    if found is None or found.instrument != entry.key:
        raise NotFound("This score was corrected already, or is not there.")
    return found


def _present(row: ScreenScore | None) -> dict[str, Any]:
    if row is None:
        return {}
    parts = dict(row.parts or {})
    if scores.MDQ_SAME_TIME in parts:
        parts[scores.MDQ_SAME_TIME] = "yes" if parts[scores.MDQ_SAME_TIME] else "no"
    return {"total": row.total, "taken_on": row.taken_on, "note": row.note, **parts}


def _keep(patient: Patient, entry: Entry, form: Any, corrected: ScreenScore | None) -> bool:
    parts = None
    if entry.parts:
        parts = {
            scores.MDQ_COUNT: form.yes_count.data,
            scores.MDQ_SAME_TIME: form.same_time.data == "yes",
            scores.MDQ_PROBLEM: form.problem_level.data,
        }
    try:
        scores_entry.enter_score(
            patient.id,
            entry.key,
            None if parts else form.total.data,
            parts,
            form.taken_on.data,
            staff_id=current_staff().id,
            by=current_actor(),
            note=form.note.data or "",
            corrects=corrected.id if corrected is not None else None,
        )
    except (Conflict, Invalid) as error:
        form.form_errors.append(error.message)
        return False
    flash(f"{entry.name}: kept." + (" The history is assessed again." if queries.latest_submitted(patient.id) else ""))
    return True


def section(patient_id: int) -> Markup:
    """On the record: the newest score of each instrument with its date, beside the depression score of the form."""
    rows = {row.instrument: row for row in sorted(queries.screen_scores(patient_id), key=lambda row: row.taken_on)}
    sent = queries.latest_submitted(patient_id)
    return context.rendered(
        "intake/staff_scores_section.html",
        patient_id=patient_id,
        rows=[(scores.entries()[key].name, row, scores.band_of(row)) for key, row in rows.items()][-SHOWN:],
        own=_own_scores((sent.record or {}) if sent is not None else {}),
    )


def _own_scores(record: dict[str, Any]) -> list[tuple[str, Any, str, date | None]]:
    """Name, total, band and date of the questionnaires that the person filled in."""
    found = []
    on = date.fromisoformat(record["as_of"]) if record.get("as_of") else None
    if record.get("phq9"):
        said = instruments.score("phq9", record["phq9"])
        if said["total"] is not None:
            found.append((instruments.load("phq9").name, said["total"], said.get("band") or "", on))
    for key in ("gad7", "pcptsd5"):
        total = (record.get("scores") or {}).get(key)
        if total is not None:
            found.append((instruments.load(key).name, total, instruments.band(key, total) or "", on))
    return [(name, total, band.replace("_", " "), day) for name, total, band, day in found]


chart.add_section(SECTION_ORDER, section, CLINICAL)
