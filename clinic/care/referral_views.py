"""Staff: referrals to and from the clinic, with their letter."""

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from markupsafe import Markup

from clinic import clock
from clinic.care import (
    forms,
    history,
    queries,
    referring,
)
from clinic.care.blueprint import bp
from clinic.care.models import Referral, ReferralDirection
from clinic.care.staff_pages import CLINICAL, DESK, lay_fault, patient_of, tz_of
from clinic.eligibility.letters import ReferrerLetter, referrer_letter
from clinic.eligibility.packets import OUTSIDE
from clinic.errors import Conflict, Invalid
from clinic.intake import queries as intake
from clinic.locations import queries as locations
from clinic.patients import chart
from clinic.patients import operations as patient_operations
from clinic.patients.models import Patient
from clinic.tasks.models import Task, TaskKind
from clinic.tasks.today import TARGETS, Target
from clinic.web import access, context
from clinic.web.access import current_actor, current_staff
from clinic.web.pdf import attachment


@bp.get("/staff/patients/<int:patient_id>/referrals")
@access.staff(*DESK)
def referrals(patient_id: int) -> Any:
    """Who sent the person, whom we refer to, and where each stands."""
    return _referrals_page(patient_of(patient_id))


def _referrals_page(patient: Patient, form: Any = None, problem: str = "", status: int = 200) -> Any:
    patient_operations.note_view(patient.id, part="referrals", by=current_actor())
    rows, now = queries.referrals(patient.id), clock.now()
    return render_template(
        "care/referrals.html",
        patient=patient,
        rows=rows,
        form=form,
        new=form or forms.ReferralForm(formdata=None, direction=str(ReferralDirection.OUT)),
        about=forms.about_words(),
        states=forms.STATE_WORDS,
        next_of=referring.NEXT,
        patience=referring.PATIENCE,
        days={row.id: (now - row.state_since).days for row in rows},
        age={row.id: ((row.closed_at or now) - row.added_at).days for row in rows},
        problem=problem,
        is_clinical=current_staff().has(*CLINICAL),
        tz=tz_of(patient),
    ), status


@bp.post("/staff/patients/<int:patient_id>/referrals/add")
@access.staff(*DESK)
def add_referral(patient_id: int) -> Any:
    """Write a referral down."""
    patient, form = patient_of(patient_id), forms.ReferralForm()
    if not form.validate_on_submit():
        return _referrals_page(patient, form, status=422)
    try:
        referring.add(patient.id, form.command(), staff_id=current_staff().id, by=current_actor())
    except Invalid as error:
        lay_fault(form, error)
        return _referrals_page(patient, form, status=422)
    flash("Written down.")
    return redirect(url_for(".referrals", patient_id=patient.id))


@bp.post("/staff/referrals/<int:referral_id>/move")
@access.staff(*DESK)
def move_referral(referral_id: int) -> Any:
    """One step on, closed with what came of it, or the person's consent."""
    row = queries.referral(referral_id)
    patient = patient_of(row.patient_id)
    to, seen = request.form.get("to", ""), request.form.get("seen", "")
    try:
        if to in ("share", "keep"):
            referring.set_consent(referral_id, may_share=to == "share", by=current_actor())
        elif to == "closed":
            referring.close(referral_id, outcome=request.form.get("words", ""), seen=seen, by=current_actor())
        else:
            referring.move(referral_id, to, seen=seen, by=current_actor())
    except (Invalid, Conflict) as error:
        return _referrals_page(patient, problem=error.message, status=422 if isinstance(error, Invalid) else 409)
    flash("Saved.")
    return redirect(url_for(".referrals", patient_id=patient.id))


@bp.get("/staff/referrals/<int:referral_id>/letter")
@access.staff(*CLINICAL)
def letter(referral_id: int) -> Any:
    """The letter: the history as it is stored where the person agreed, and nothing about it where not."""
    row = queries.referral(referral_id)
    patient = patient_of(row.patient_id)
    patient_operations.note_view(patient.id, part="letter", by=current_actor())
    sent = intake.latest_submitted(patient.id) if row.may_share else None
    return render_template(
        "care/letter.html",
        patient=patient,
        referral=row,
        about=forms.about_words().get(row.about, row.about),
        told=history.of_record(sent.record or {}) if sent is not None else None,
        today=clock.today(patient.tz),
        profile=locations.profile(),
        writer=current_staff().name,
    )


@bp.get("/staff/referrals/<int:referral_id>/letter.pdf")
@access.staff(*CLINICAL)
def letter_pdf(referral_id: int) -> Any:
    """The same letter as a PDF. Without the person's consent there is none."""
    row = queries.referral(referral_id)
    patient = patient_of(row.patient_id)
    if not row.may_share:
        flash("The person has not agreed that we send anything.", "error")
        return redirect(url_for(".letter", referral_id=referral_id))
    patient_operations.note_view(patient.id, part="letter", by=current_actor())
    sent, profile = intake.latest_submitted(patient.id), locations.profile()
    told = history.of_record(sent.record or {}) if sent is not None else None
    found = ReferrerLetter(
        clinic=profile.name if profile else "",
        clinic_phone=profile.phone if profile else "",
        to_name=row.name,
        to_organization=row.organization or "",
        to_contact=row.contact or "",
        patient=patient.name,
        birth_date=patient.birth_date,
        record_number=patient.record_number,
        subject="The person whom you sent to us" if row.direction == ReferralDirection.IN else "A referral to you",
        paragraphs=tuple(_paragraphs(row, told)),
        facts=tuple(_letter_facts(told)),
        signed_by=current_staff().name,
        issued_at=clock.now(),
        tz=tz_of(patient),
    )
    return attachment(referrer_letter(found), f"{patient.record_number}-letter.pdf")


def _paragraphs(row: Referral, told: history.History | None) -> list[str]:
    if row.direction == ReferralDirection.IN:
        first = "Thank you for sending this person to us."
    else:
        about = forms.about_words().get(row.about, row.about)
        first = f"We refer this person to you for: {about}. {row.reason or ''}".strip()
    told_us = "This is the treatment history as it was told to us." if told else "No history was sent to us so far."
    return [first, told_us, "The person agreed that you receive this letter."]


def _letter_facts(told: history.History | None) -> list[tuple[str, str]]:
    if told is None:
        return []
    medicines = [
        (row.name, "; ".join(part for part in (row.dose, row.weeks, row.when, row.outcome, row.stopped) if part))
        for row in told.medicines
    ]
    return [*medicines, *((one.kind, one.sessions) for one in told.therapies)]


def _referral_section(patient_id: int) -> Markup | None:
    rows = [row for row in queries.referrals(patient_id) if row.closed_at is None]
    now = clock.now()
    return context.rendered(
        "care/_referrals.html",
        patient_id=patient_id,
        rows=rows,
        about=forms.about_words(),
        states=forms.STATE_WORDS,
        days={row.id: (now - row.state_since).days for row in rows},
        patience=referring.PATIENCE,
    )


def _to_referrals(task: Task) -> Target | None:
    if task.patient_id is None:
        return None
    word = forms.STATE_WORDS.get(str(task.subject.get("state")), "")
    return Target(
        url_for("care.referrals", patient_id=task.patient_id),
        "Look",
        f"Nothing moved for a while. It stands at: {word}.",
    )


def _referrer(patient_id: int) -> tuple[str, str | None, int, date] | None:
    """Who sent the person, for a packet's head: the newest referral to the clinic."""
    found = [row for row in queries.referrals(patient_id) if row.direction == ReferralDirection.IN]
    if not found:
        return None
    row = max(found, key=lambda each: each.id)
    return row.name, row.organization, row.id, row.added_at.astimezone(ZoneInfo(locations.clinic_tz())).date()


OUTSIDE["referrer"] = _referrer
chart.add_section(60, _referral_section, DESK)
TARGETS[TaskKind.REFERRAL] = _to_referrals
