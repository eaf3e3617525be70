"""The pages of the room: the board, one watched visit, the record of a TMS session, and what a treatment asks for before it."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, redirect, render_template, request, url_for
from markupsafe import Markup

from clinic import clock
from clinic.errors import AlreadyOver, Conflict, Invalid, NotFound, Refused
from clinic.locations import queries as locations
from clinic.locations.models import Location
from clinic.locations.views import SITE_LINKS
from clinic.patients import chart
from clinic.patients import operations as patient_operations
from clinic.patients import queries as patients
from clinic.scheduling import queries as scheduling
from clinic.scheduling.models import SessionState, TreatmentSession
from clinic.staff.models import Role
from clinic.staff.queries import prescribers, staff_names
from clinic.tasks.models import Task, TaskKind
from clinic.tasks.today import TARGETS, Target
from clinic.treatment import (
    forms,
    observing,
    permits,
    presenter,
    queries,
    recording,
    rules,
    telling,
    watching,
)
from clinic.treatment.models import Observation, ObservationState, RecordState
from clinic.web import access, context
from clinic.web.access import current_actor, current_staff

NURSES = (Role.NURSE, Role.PRESCRIBER)
CHAIRSIDE = (Role.OPERATOR, *NURSES)
PERMITS = (*NURSES, Role.FRONT_DESK)
SECTION_ORDER = 22  # on the record: below the courses

bp = Blueprint("treatment", __name__, template_folder="templates")
context.NAV.append(("Observation", "treatment.room", frozenset(map(str, NURSES))))


# -- the board -----------------------------------------------------------------------------------------------------------


@bp.get("/staff/room")
@access.staff(*NURSES)
def room() -> Any:
    """The room of today at one of the caller's sites, soonest duty first."""
    site, sites = _site()
    return render_template(
        "treatment/room.html",
        **_board(site),
        site_choices=[{"value": each.slug, "label": each.name, "current": each.id == site.id} for each in sites],
        site_url=url_for(".room"),
    )


@bp.get("/staff/room/<slug>/now")
@access.staff(*NURSES)
def room_now(slug: str) -> Any:
    """The part of the board that stays fresh."""
    site = locations.get_by_slug(slug)
    if site.id not in current_staff().location_ids:
        raise NotFound("no such site")
    return render_template("treatment/_room.html", **_board(site))


def _site() -> tuple[Location, list[Location]]:
    granted = [site for site in locations.active() if site.id in current_staff().location_ids]
    sites = [site for site in granted if any(device.kind == "chair" for device in site.devices)] or granted
    if not sites:
        raise Refused("no site was granted to you yet: ask a manager")
    wanted = request.args.get("site")
    return next((site for site in sites if site.slug == wanted), sites[0]), sites


def _board(site: Location) -> dict[str, Any]:
    now = clock.now()
    chairs = queries.room(site.id, clock.today(site.tz))
    rows = presenter.rows(chairs, now, site.tz)
    forms_due = queries.forms_due(site.id)
    today = clock.today(site.tz)
    by_session = {chair.session.id: chair for chair in chairs}
    return {
        "site": site,
        "now": now,
        "rows": rows,
        "title": presenter.title(rows, chairs, now, site.tz),
        "watched": presenter.count_watched(chairs),
        "held": [row for row in rows if row.state_word == "On hold"],
        "leaving": [
            (row, watching.missing_to_close(by_session[row.session_id].watched, now))
            for row in rows
            if row.state_word == "Ready to check"
        ],
        "forms": forms_due,
        "late": sum(row[0].form_due_on < today for row in forms_due),
        "today": today,
        "limits": rules.watches()["esketamine"].hold_over,
    }


# -- one watched visit ----------------------------------------------------------------------------------------------------


def _visit(session_id: int) -> tuple[TreatmentSession, str, Observation | None]:
    row = scheduling.session(session_id)
    patients.get_for(current_staff(), row.patient_id)
    modality = queries.protocol_of_session(row).modality
    return row, modality, queries.observation_of(session_id)


@bp.get("/staff/sessions/<int:session_id>/watch")
@access.staff(*NURSES)
def watch(session_id: int) -> Any:
    """One visit: before the dose, readings, the dose, leaving, the form."""
    return _watch_page(session_id)


def _watch_page(session_id: int, problem: str = "", status: int = 200, **given: Any) -> Any:
    row, modality, seen = _visit(session_id)
    rule = rules.watch_of(modality)
    if rule is None:
        raise NotFound("nobody is watched after this treatment")
    patient_operations.note_view(row.patient_id, part="observation", by=current_actor())
    readings = queries.readings_of([seen.id]).get(seen.id, []) if seen is not None else []
    watched = queries.watched(row, modality, seen, readings)
    now, site = clock.now(), locations.get(row.location_id)
    confirmed = queries.confirmed(row.patient_id, modality, seen)
    page = render_template(
        "treatment/watch.html",
        session=row,
        patient=patients.get(row.patient_id),
        site=site,
        protocol=queries.protocol_of_session(row),
        seen=seen,
        stage=seen.state if seen is not None else ObservationState.OPEN,
        readings=readings,
        names=staff_names([reading.recorded_by for reading in readings]),
        moment_words=presenter.moment_words,
        watched=watched,
        step=watching.following(watched, now),
        is_held=watching.is_held(watched),
        missing_to_dose=watching.missing_to_dose(watched, confirmed) if watched.dosed_at is None else [],
        missing_to_close=watching.missing_to_close(watched, now) if watched.dosed_at is not None else [],
        enrolled="enrolled" in confirmed,
        rule=rule,
        sources=rules.sources_of(rule),
        holds=queries.open_holds(row.patient_id, modality),
        events=[event for event in queries.events_of(row.patient_id) if event.session_id == row.id],
        event_words=rules.EVENTS,
        prepare=given.get("prepare") or _prepare_form(rule, seen),
        reading=given.get("reading") or forms.reading_form(presenter.moments(watched, now), formdata=None),
        dose=given.get("dose") or forms.DoseForm(formdata=None, dose_mg=_last_dose(row)),
        decision=given.get("decision") or forms.DecisionForm(formdata=None),
        leaving=given.get("leaving") or _leaving_form(seen),
        filed=given.get("filed") or forms.FormFiledForm(formdata=None),
        reason=given.get("reason") or forms.ReasonForm(formdata=None),
        may_decide=current_staff().has(Role.PRESCRIBER),
        now=now,
        problem=problem,
    )
    return page, status


def _prepare_form(rule: rules.Watch, seen: Observation | None) -> Any:
    return forms.prepare_form(
        rule,
        formdata=None,
        checks=list(seen.checks) if seen is not None else [],
        ride=seen.ride if seen is not None else "",
    )


def _leaving_form(seen: Observation | None) -> Any:
    marks = [
        key for key, column in observing.LEAVING_MARKS.items() if seen is not None and getattr(seen, column) is not None
    ]
    return forms.LeavingForm(formdata=None, marks=marks)


def _last_dose(row: TreatmentSession) -> int | None:
    """The dose of the visit before, as a start."""
    marks = [mark for mark in queries.marks_of_course(row.course_id or 0) if mark.text.endswith(" mg")]
    return int(marks[-1].text.split()[0]) if marks else None


@bp.post("/staff/sessions/<int:session_id>/watch/<step>")
@access.staff(*NURSES)
def watch_step(session_id: int, step: str) -> Any:
    """One thing written down; what is missing comes back with its words."""
    if step not in STEPS:
        raise NotFound("no such step")
    _visit(session_id)
    form = STEPS[step][0](session_id)
    name = STEPS[step][2]
    if not form.validate_on_submit():
        return _watch_page(session_id, status=422, **{name: form})
    try:
        words = STEPS[step][1](session_id, form)
    except Invalid as fault:
        field = str((fault.details.get("fields") or [""])[0])
        target = form[field] if field in form else next(iter(form))
        target.errors = [fault.message]
        return _watch_page(session_id, status=422, **{name: form})
    except Conflict as refusal:
        return _watch_page(session_id, problem=refusal.sentence, status=409)
    flash(words)
    anchor = {"reading": "reading", "prepare": "before", "leaving": "leaving"}.get(step)
    return redirect(url_for(".watch", session_id=session_id, _anchor=anchor))


def _do_prepare(session_id: int, form: Any) -> str:
    observing.prepare(session_id, checks=form.checks.data or [], ride=form.ride.data or "", by=current_actor())
    return "Kept."


def _do_reading(session_id: int, form: Any) -> str:
    sedation = form.sedation.data
    is_high = observing.record_reading(
        session_id,
        moment=form.moment.data,
        systolic=form.systolic.data,
        diastolic=form.diastolic.data,
        spo2=form.spo2.data,
        sedation=None if sedation in (None, -1) else sedation,
        staff_id=current_staff().id,
        by=current_actor(),
    )
    said = f"{form.systolic.data}/{form.diastolic.data} kept."
    return f"{said} It is over the limit: a prescriber is told." if is_high and form.moment.data == "before" else said


def _do_dose(session_id: int, form: Any) -> str:
    observing.give_dose(session_id, dose_mg=form.dose_mg.data, lot=form.lot.data or "", by=current_actor())
    return "The watch runs."


def _do_decide(session_id: int, form: Any) -> str:
    if not current_staff().has(Role.PRESCRIBER):
        raise Refused("A prescriber decides this.")
    observing.decide_pressure(
        session_id, words=form.decision.data or "", staff_id=current_staff().id, by=current_actor()
    )
    return "The decision is on record."


def _do_leaving(session_id: int, form: Any) -> str:
    observing.mark_leaving(session_id, form.marks.data or [], staff_id=current_staff().id, by=current_actor())
    return "Kept."


def _do_close(session_id: int, form: Any) -> str:
    observing.close(session_id, by=current_actor())
    return "The visit is closed, and the session complete."


def _do_form(session_id: int, form: Any) -> str:
    observing.file_form(session_id, reference=form.reference.data or "", by=current_actor())
    return "The form is filed."


def _do_not_today(session_id: int, form: Any) -> str:
    observing.not_today(session_id, reason=form.reason.data or "", by=current_actor())
    return "Not given today. A prescriber is told; later visits stay."


def _reading_form(session_id: int) -> Any:
    row, modality, seen = _visit(session_id)
    readings = queries.readings_of([seen.id]).get(seen.id, []) if seen is not None else []
    watched = queries.watched(row, modality, seen, readings)
    choices = presenter.moments(watched, clock.now())
    return forms.reading_form(choices)


def _rule_form(session_id: int) -> Any:
    rule = rules.watch_of(_visit(session_id)[1])
    if rule is None:
        raise NotFound("nobody is watched after this treatment")
    return forms.prepare_form(rule)


class _NoForm(forms.FlaskForm):
    """A button alone."""


STEPS: dict[str, tuple[Any, Any, str]] = {
    "prepare": (_rule_form, _do_prepare, "prepare"),
    "reading": (_reading_form, _do_reading, "reading"),
    "dose": (lambda _: forms.DoseForm(), _do_dose, "dose"),
    "decide": (lambda _: forms.DecisionForm(), _do_decide, "decision"),
    "leaving": (lambda _: forms.LeavingForm(), _do_leaving, "leaving"),
    "close": (lambda _: _NoForm(), _do_close, "close"),
    "form": (lambda _: forms.FormFiledForm(), _do_form, "filed"),
    "not-today": (lambda _: forms.ReasonForm(), _do_not_today, "reason"),
}


@bp.post("/staff/sessions/<int:session_id>/readings/<int:number>/void")
@access.staff(*NURSES)
def void_reading(session_id: int, number: int) -> Any:
    """A reading was a slip: it stays on record as that."""
    _, _, seen = _visit(session_id)
    if seen is None or number not in {row.id for row in queries.readings_of([seen.id]).get(seen.id, [])}:
        raise NotFound("no such reading")
    try:
        observing.void_reading(number, by=current_actor())
    except Conflict as refusal:
        return _watch_page(session_id, problem=refusal.sentence, status=409)
    flash("Taken off.")
    return redirect(url_for(".watch", session_id=session_id, _anchor="reading"))


# -- a TMS session ----------------------------------------------------------------------------------------------------------


@bp.get("/staff/sessions/<int:session_id>/record")
@access.staff(*CHAIRSIDE)
def record(session_id: int) -> Any:
    """Is it safe to start, and what was given."""
    row = scheduling.session(session_id)
    patients.get_for(current_staff(), row.patient_id)
    if queries.protocol_of_session(row).modality != "tms":
        return redirect(url_for(".watch", session_id=session_id))
    return _record_page(session_id)


def _record_page(session_id: int, problem: str = "", status: int = 200, **given: Any) -> Any:
    row = scheduling.session(session_id)
    patient = patients.get_for(current_staff(), row.patient_id)
    protocol = queries.protocol_of_session(row)
    patient_operations.note_view(patient.id, part="session record", by=current_actor())
    found = queries.record_of(session_id)
    course_id = row.course_id or 0
    earlier = [pair for pair in queries.records_of_course(course_id) if pair[1].id != row.id][-6:]
    last = next((one for one, _ in reversed(earlier) if one.state == RecordState.GIVEN), None)
    site = locations.get(row.location_id)
    page = render_template(
        "treatment/record.html",
        session=row,
        patient=patient,
        site=site,
        protocol=protocol,
        stimulation=protocol.facts.get("stimulation") or {},
        record=found,
        threshold=queries.threshold_of(course_id),
        holds=queries.open_holds(patient.id, protocol.modality),
        hold_words=rules.HOLDING,
        checks=given.get("checks") or _checks_form(found),
        given=given.get("given") or _given_form(protocol.facts, last),
        event=given.get("event") or _event_form(site.tz),
        reason=given.get("reason") or forms.ReasonForm(formdata=None),
        concern_words={"sleep_hours": f"Slept less than {rules.LEAST_SLEEP_HOURS} hours", **rules.CONCERNS},
        must=list(rules.MUST_BE_DONE),
        questions=list(rules.CONCERNS),
        events=[event for event in queries.events_of(patient.id) if event.session_id == row.id],
        event_words=rules.EVENTS,
        earlier=list(reversed(earlier)),
        names=staff_names([x for x in (found.cleared_by, found.finished_by) if x] if found else []),
        is_here=row.state == SessionState.ARRIVED,
        problem=problem,
    )
    return page, status


def _checks_form(found: Any) -> Any:
    values: dict[str, Any] = {}
    if found is not None and found.checks:
        values = {
            key: ("yes" if value else "no") if key in rules.CONCERNS else value for key, value in found.checks.items()
        }
    return forms.checks_form(prescribers(current_staff().location_ids), formdata=None, **values)


def _given_form(facts: Any, last: Any) -> Any:
    stimulation = facts.get("stimulation") or {}
    percent, pulses = stimulation.get("percent_mt"), stimulation.get("pulses")
    return forms.GivenForm(
        formdata=None,
        intensity_percent=last.intensity_percent if last else percent if isinstance(percent, int) else None,
        pulses=last.pulses if last else pulses if isinstance(pulses, int) else None,
    )


def _event_form(tz: str) -> Any:
    return forms.EventForm(formdata=None, happened_at=clock.now().astimezone(ZoneInfo(tz)).replace(tzinfo=None))


@bp.post("/staff/sessions/<int:session_id>/record/<step>")
@access.staff(*CHAIRSIDE)
def record_step(session_id: int, step: str) -> Any:
    """Begin, finish, or not today."""
    if step not in RECORD_STEPS:
        raise NotFound("no such step")
    row = scheduling.session(session_id)
    patients.get_for(current_staff(), row.patient_id)
    make, act, name = RECORD_STEPS[step]
    form = make()
    if not form.validate_on_submit():
        return _record_page(session_id, status=422, **{name: form})
    try:
        words = act(session_id, form)
    except Invalid as fault:
        field = str((fault.details.get("fields") or [""])[0])
        (form[field] if field in form else next(iter(form))).errors = [fault.message]
        return _record_page(session_id, status=422, **{name: form})
    except Conflict as refusal:
        return _record_page(session_id, problem=refusal.sentence, status=409, **{name: form})
    flash(words)
    return redirect(url_for(".record", session_id=session_id))


def _do_begin(session_id: int, form: Any) -> str:
    recording.begin(
        session_id,
        forms.checks_in(form),
        threshold_percent=form.threshold_percent.data,
        cleared_by=form.cleared_by.data or None,
        cleared_words=form.cleared_words.data or "",
        staff_id=current_staff().id,
        by=current_actor(),
    )
    return "The session runs."


def _do_finish(session_id: int, form: Any) -> str:
    recording.finish(
        session_id,
        intensity_percent=form.intensity_percent.data,
        pulses=form.pulses.data,
        headache=form.headache.data,
        scalp_pain=form.scalp_pain.data,
        note=form.note.data or "",
        staff_id=current_staff().id,
        by=current_actor(),
    )
    return "Kept. The session is complete."


def _do_not_given(session_id: int, form: Any) -> str:
    recording.not_today(session_id, reason=form.reason.data or "", staff_id=current_staff().id, by=current_actor())
    return "Not given today. A prescriber is told; later sessions stay."


RECORD_STEPS: dict[str, tuple[Any, Any, str]] = {
    "begin": (lambda: forms.checks_form(prescribers(current_staff().location_ids)), _do_begin, "checks"),
    "finish": (lambda: forms.GivenForm(), _do_finish, "given"),
    "not-today": (lambda: forms.ReasonForm(), _do_not_given, "reason"),
}


# -- adverse events and holds -------------------------------------------------------------------------------------------------


@bp.route("/staff/sessions/<int:session_id>/event", methods=["GET", "POST"])
@access.staff(*CHAIRSIDE)
def event(session_id: int) -> Any:
    """Write down an adverse event, at any kind of session."""
    row = scheduling.session(session_id)
    patient = patients.get_for(current_staff(), row.patient_id)
    protocol = queries.protocol_of_session(row)
    site = locations.get(row.location_id)
    form = forms.EventForm() if request.method == "POST" else _event_form(site.tz)
    if form.validate_on_submit():
        try:
            telling.record_event(
                session_id,
                kind=form.kind.data,
                severity=form.severity.data,
                is_serious=form.is_serious.data,
                happened_at=_instant(form.happened_at.data, site.tz),
                note=form.note.data or "",
                staff_id=current_staff().id,
                by=current_actor(),
            )
        except Invalid as fault:
            name = str((fault.details.get("fields") or ["note"])[0])
            form[name].errors = [fault.message]
        else:
            flash("The event is on record, and a prescriber is told.")
            return redirect(url_for(".record", session_id=session_id))
    page = render_template(
        "treatment/event.html",
        session=row,
        patient=patient,
        site=site,
        protocol=protocol,
        form=form,
        holding=rules.HOLDING,
    )
    return page, 422 if form.is_submitted() else 200


def _instant(wall: datetime, tz: str) -> datetime:
    return wall.replace(tzinfo=ZoneInfo(tz)).astimezone(UTC)


@bp.route("/staff/holds/<int:hold_id>/lift", methods=["GET", "POST"])
@access.staff(Role.PRESCRIBER)
def lift(hold_id: int) -> Any:
    """A prescriber lets a held treatment go on, with a reason."""
    row = queries.hold(hold_id)
    patient = patients.get_for(current_staff(), row.patient_id)
    form, problem = forms.ReasonForm(), ""
    if form.validate_on_submit():
        try:
            permits.lift_hold(hold_id, reason=form.reason.data or "", staff_id=current_staff().id, by=current_actor())
        except AlreadyOver as over:
            problem = over.message
        else:
            flash("The hold is lifted.")
            return redirect(url_for("patients.record", patient_id=patient.id))
    page = render_template(
        "treatment/lift.html",
        hold=row,
        patient=patient,
        words=rules.HOLDING.get(row.code, "On hold"),
        form=form,
        problem=problem,
    )
    return page, 409 if problem else 422 if form.is_submitted() else 200


# -- permits --------------------------------------------------------------------------------------------------------------


@bp.route("/staff/patients/<int:patient_id>/enrollment", methods=["GET", "POST"])
@access.staff(*PERMITS)
def enrollment(patient_id: int) -> Any:
    """Enrollment in the safety program, and what else a booking waits for."""
    patient = patients.get_for(current_staff(), patient_id)
    program = next(iter(rules.programs()))
    present = queries.enrollment(patient.id, program)
    form = forms.EnrollmentForm(
        number=present.number if present else "",
        enrolled_on=present.enrolled_on if present else None,
    )
    if form.validate_on_submit():
        try:
            permits.enroll(
                patient.id,
                program,
                number=form.number.data or "",
                enrolled_on=form.enrolled_on.data,
                staff_id=current_staff().id,
                by=current_actor(),
            )
        except Invalid as fault:
            form[str((fault.details.get("fields") or ["number"])[0])].errors = [fault.message]
        else:
            flash("Kept.")
            return redirect(url_for("patients.record", patient_id=patient.id))
    page = render_template(
        "treatment/enrollment.html",
        patient=patient,
        present=present,
        form=form,
        program=rules.programs()[program],
        missing=[one for one in permits.of_program(patient.id, program) if one.code != permits.ENROLLMENT],
    )
    return page, 422 if form.is_submitted() else 200


@bp.route("/staff/settings/locations/<int:location_id>/certification", methods=["GET", "POST"])
@access.staff(Role.MANAGER)
def certification(location_id: int) -> Any:
    """A site's certification for the safety program."""
    site = locations.get(location_id)
    program = next(iter(rules.programs()))
    present = queries.certification(location_id, program)
    form = forms.CertificationForm(
        number=present.number if present else "",
        certified_on=present.certified_on if present else None,
        expires_on=present.expires_on if present else None,
    )
    if form.validate_on_submit():
        try:
            permits.certify_site(
                location_id,
                program,
                number=form.number.data or "",
                certified_on=form.certified_on.data,
                expires_on=form.expires_on.data,
                staff_id=current_staff().id,
                by=current_actor(),
            )
        except Invalid as fault:
            form[str((fault.details.get("fields") or ["number"])[0])].errors = [fault.message]
        else:
            flash("Kept.")
            return redirect(url_for("locations.site", location_id=location_id))
    page = render_template(
        "treatment/certification.html", site=site, present=present, form=form, program=rules.programs()[program]
    )
    return page, 422 if form.is_submitted() else 200


# -- parts of other pages -----------------------------------------------------------------------------------------------


def _section(patient_id: int) -> Markup | None:
    """On the record: holds, today's session, adverse events, enrollment."""
    staff = current_staff()
    program = next(iter(rules.programs()))
    today, holds = queries.sessions_today(patient_id), queries.open_holds(patient_id)
    events = list(reversed(queries.events_of(patient_id)))[:10] if staff.has(*CHAIRSIDE) else []
    enrolled = queries.enrollment(patient_id, program)
    is_asked_for = enrolled is not None or permits.is_approved(patient_id, program)
    if not (today or holds or events or is_asked_for):
        return None
    return context.rendered(
        "treatment/chart.html",
        patient_id=patient_id,
        holds=holds,
        hold_words=rules.HOLDING,
        today=today,
        events=events,
        event_words=rules.EVENTS,
        tz=patients.get(patient_id).tz,
        enrollment=enrolled,
        is_asked_for=is_asked_for,
        program=rules.programs()[program],
        may_lift=staff.has(Role.PRESCRIBER),
        may_record=staff.has(*CHAIRSIDE),
    )


def _session_link(session_id: int) -> tuple[str, str] | None:
    if not current_staff().has(*CHAIRSIDE):
        return None
    return "Session record", url_for("treatment.record", session_id=session_id)


context.SESSION_LINKS.append(_session_link)
SITE_LINKS.append(lambda site_id: ("Safety program", url_for("treatment.certification", location_id=site_id)))
chart.add_section(SECTION_ORDER, _section, roles=(*CHAIRSIDE, Role.FRONT_DESK))


def _to_form(task: Task) -> Target | None:
    session_id = task.subject.get("session_id")
    if session_id is None:
        return None
    return Target(
        url_for("treatment.watch", session_id=session_id, _anchor="form"),
        "File it",
        "The form of a watched visit has to go out.",
    )


TARGETS[TaskKind.SAFETY_FORM] = _to_form
