"""Visits with a staff member on the desk's pages: a time is found and booked, moved, or called off."""

from collections.abc import Collection, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import render_template, request, url_for
from flask_wtf import FlaskForm
from wtforms import SelectField
from wtforms.validators import InputRequired, Optional, ValidationError

from clinic import clock
from clinic.errors import Conflict, Invalid, NotFound, ReasonNeeded
from clinic.locations import queries as locations
from clinic.locations.models import Location
from clinic.patients import queries as patients
from clinic.patients.models import Patient
from clinic.scheduling import appointments, presenter, queries, visits, wishes
from clinic.scheduling.blueprint import DESK, bp
from clinic.scheduling.board_views import done, refused
from clinic.scheduling.forms import DayField
from clinic.scheduling.models import Mode, TreatmentSession
from clinic.scheduling.planner.calendar import to_utc
from clinic.staff import queries as staff
from clinic.staff.models import Role
from clinic.web import access, context
from clinic.web.access import current_actor, current_staff, is_safe_next

MINUTES = (15, 20, 30, 45, 50, 60, 90, 120)
SEE_PATIENTS = (Role.PRESCRIBER, Role.THERAPIST, Role.NURSE)
MODES = {Mode.IN_PERSON: "In person", Mode.VIDEO: "By video"}


class PlaceForm(FlaskForm):
    """With whom, where and on which day. A GET form: its answers stand in the address."""

    class Meta:
        csrf = False

    staff = SelectField("With", coerce=int, validators=[InputRequired("Choose a person.")])
    room = SelectField("Room", coerce=int, validators=[Optional()], default=0)
    on = DayField("Day", validators=[InputRequired("Choose a day.")])

    def __init__(self, *args: Any, location_ids: Collection[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.staff.choices = staff.in_roles(location_ids, SEE_PATIENTS)
        self.room.choices = [(0, "no room"), *locations.own_rooms(location_ids)]

    def validate_on(self, field: DayField) -> None:
        """As far back as ahead: who pages back sees empty days."""
        today = clock.now().date()
        if field.data and abs(field.data - today) > wishes.last_day() - today:
            raise ValidationError("Choose a day within two years.")


class VisitForm(PlaceForm):
    """What kind of visit is wanted, too."""

    kind = SelectField("What", choices=[(str(key), words) for key, words in presenter.KIND_WORDS.items()])
    minutes = SelectField("Minutes", coerce=int, choices=[(n, str(n)) for n in MINUTES], default=30)
    location = SelectField("Where", coerce=int)
    mode = SelectField("How", choices=[(str(key), words) for key, words in MODES.items()])
    patient_state = SelectField(
        "Patient's state at a video visit", choices=[("", "none"), *((x, x) for x in sorted(visits.STATES))]
    )

    def __init__(self, *args: Any, location_ids: Collection[int], **kwargs: Any) -> None:
        super().__init__(*args, location_ids=location_ids, **kwargs)
        names = locations.names(location_ids)
        self.location.choices = sorted(names.items(), key=lambda pair: pair[1])

    def wish(self, patient_id: int) -> visits.VisitWish:
        return visits.VisitWish(
            patient_id=patient_id,
            staff_id=self.staff.data,
            location_id=self.location.data,
            minutes=self.minutes.data,
            mode=self.mode.data,
            room_id=self.room.data or None,
        )


# -- a new visit ------------------------------------------------------------------------------------------------------


@bp.route("/staff/patients/<int:patient_id>/visits/new", methods=["GET", "POST"])
@access.staff(*DESK)
def new_visit(patient_id: int) -> Any:
    """What is wanted and on which day, then the times at which it can be; a press on one books it."""
    patient = patients.get(patient_id)
    form = VisitForm(request.args, location_ids=current_staff().location_ids)
    if not _is_asked(form):
        _usual(form, patient)
        return _new(patient, form)
    if not form.validate():
        return _new(patient, form), 422
    if request.method == "GET":
        return _new(patient, form, asked=True)
    site = locations.get(form.location.data)
    try:
        starts_at = _wanted_time(form.on.data, site.tz)
        new = visits.NewVisit(
            patient_id=patient_id,
            kind=form.kind.data,
            staff_id=form.staff.data,
            location_id=site.id,
            starts_at=starts_at,
            minutes=form.minutes.data,
            mode=form.mode.data,
            room_id=form.room.data or None,
            patient_state=form.patient_state.data or None,
        )
        visit_id = visits.book_visit(new, reason=_reason(), by=current_actor())
    except (Conflict, Invalid) as refusal:
        return _new(patient, form, asked=True, refusal=refusal), 409
    target = url_for(".day", slug=site.slug, on=queries.local_date(starts_at, site.tz).isoformat(), s=visit_id)
    said = f"{patient.initials}: {_at(starts_at, site.tz)} is booked. The patient is told by message."
    return done(said, target, _undo(visit_id, target))


def _is_asked(form: FlaskForm) -> bool:
    """Is anything of the form in the address? Where to go afterwards may stand in it alone."""
    return any(name in form for name in request.args)


def _usual(form: VisitForm, patient: Patient) -> None:
    """What stands in the form before anybody chose."""
    own = [key for key, _ in form.location.choices]
    form.location.data = (
        patient.preferred_location_id if patient.preferred_location_id in own else next(iter(own), None)
    )
    if form.location.data:
        here = queries.people_on_rota(form.location.data)
        form.staff.data = next((key for key, _ in form.staff.choices if key in here), None)
    form.minutes.data, form.room.data = 30, 0
    tz = locations.get(form.location.data).tz if form.location.data else locations.clinic_tz()
    form.on.data = clock.today(tz) + timedelta(days=1)


def _new(patient: Patient, form: VisitForm, *, asked: bool = False, refusal: Exception | None = None) -> str:
    site = locations.get(form.location.data) if asked else None
    times: list[visits.VisitTime] = []
    problem = refusal
    if asked:
        try:
            times = visits.visit_times(form.wish(patient.id), form.on.data)
        except (Conflict, Invalid, NotFound) as found:
            problem = problem or found
    return render_template(
        "scheduling/visit.html",
        patient=patient,
        form=form,
        row=None,
        heading="Book a visit",
        site=site,
        **_times_of(times, form, problem, site),
    )


# -- another time, or none --------------------------------------------------------------------------------------------


@bp.route("/staff/visits/<int:session_id>/move", methods=["GET", "POST"])
@access.staff(*DESK)
def move_visit(session_id: int) -> Any:
    """Another day, time, staff member or room for a visit."""
    row = _visit(session_id)
    site = locations.get(row.location_id)
    form = PlaceForm(request.args, location_ids={site.id})
    if row.staff_id not in dict(form.staff.choices):
        form.staff.choices.append((row.staff_id, staff.get(row.staff_id or 0).name))
    if not _is_asked(form):
        form.staff.data, form.room.data, form.on.data = row.staff_id, row.room_id or 0, row.local_on
    elif not form.validate():
        return _move(row, site, form, asked=False), 422
    if request.method == "GET":
        return _move(row, site, form)
    target = _back(row, site)
    try:
        starts_at = _wanted_time(form.on.data, site.tz)
        appointments.move_session(
            session_id,
            starts_at=starts_at,
            staff_id=form.staff.data,
            room_id=form.room.data,
            reason=_reason(),
            by=current_actor(),
        )
    except (Conflict, Invalid) as refusal:
        return _move(_visit(session_id), site, form, refusal=refusal), 409
    initials = patients.get(row.patient_id).initials
    said = f"{initials} moves to {_at(starts_at, site.tz)}. The patient is told by message."
    return done(said, target, _undo(session_id, target))


@bp.post("/staff/visits/<int:session_id>/cancel")
@access.staff(*DESK)
def cancel_visit(session_id: int) -> Any:
    """The visit does not take place."""
    row = _visit(session_id)
    target = _back(row, locations.get(row.location_id))
    try:
        appointments.cancel_session(session_id, reason=_reason(), by=current_actor())
    except Conflict as refusal:
        return refused(refusal, target)
    said = f"The visit of {patients.get(row.patient_id).initials} is cancelled. The patient is told by message."
    return done(said, target, _undo(session_id, target))


def _visit(session_id: int) -> TreatmentSession:
    row = queries.session(session_id)
    if not row.is_visit:
        raise NotFound("this is a session of a course")
    return row


def _move(
    row: TreatmentSession, site: Location, form: PlaceForm, *, asked: bool = True, refusal: Exception | None = None
) -> str:
    times: list[visits.VisitTime] = []
    problem = refusal
    if asked:
        wish = visits.VisitWish(
            patient_id=row.patient_id,
            staff_id=form.staff.data,
            location_id=site.id,
            minutes=int((row.ends_at - row.starts_at).total_seconds() // 60),
            mode=row.mode,
            room_id=form.room.data or None,
        )
        try:
            times = visits.visit_times(wish, form.on.data)
        except (Conflict, Invalid, NotFound) as found:
            problem = problem or found
    patient = patients.get(row.patient_id)
    return render_template(
        "scheduling/visit.html",
        patient=patient,
        form=form,
        row=row,
        heading=f"Move the {presenter.KIND_WORDS[row.kind].lower()}",  # type: ignore[index]
        now_at=_at(row.starts_at, site.tz),
        site=site,
        **_times_of(times, form, problem, site if asked else None),
    )


# -- shared -----------------------------------------------------------------------------------------------------------


def _times_of(
    times: Sequence[visits.VisitTime], form: PlaceForm, problem: Exception | None, site: Location | None
) -> dict[str, Any]:
    """Times to press by hour, the days beside, and what stood against the last wish; `site`: where times were asked for."""
    on: date = form.on.data
    asked = site is not None
    hours: dict[str, list[datetime]] = {}
    if site is not None:
        for one in times:
            hours.setdefault(f"{one.starts_at.astimezone(ZoneInfo(site.tz)):%H}:00", []).append(one.starts_at)
    address = {key: value for key, value in request.args.items() if key != "on"} if asked else {}
    if asked and not address:  # the form as it opens: what it holds
        address = {field.name: field.data for field in form if field.name != "on"}
    return {
        "count": len(times),
        "hours": list(hours.items()),
        "asked": asked,
        "here": _address(address, on),
        "before": _address(address, on - timedelta(days=1)) if asked else "",
        "after": _address(address, on + timedelta(days=1)) if asked else "",
        "problem": getattr(problem, "message", ""),
        "wants_reason": isinstance(problem, ReasonNeeded),
        "written": {"time": request.form.get("time", "")[:5], "reason": _reason()},
    }


def _address(values: dict[str, Any], on: date | None) -> str:
    assert request.endpoint
    return url_for(request.endpoint, **request.view_args or {}, **values, on=on.isoformat() if on else None)


def _wanted_time(on: date, tz: str) -> datetime:
    """The time that was pressed, or the one that was written down on the site's wall. Raises Invalid."""
    text = request.form.get("starts_at") or request.form.get("time", "")
    try:
        if request.form.get("starts_at"):
            at = datetime.fromisoformat(text)
            if at.tzinfo is None:
                raise ValueError
            return at
        wall = time.fromisoformat(text)
    except ValueError:
        raise Invalid("Write a time, for example 14:30.", fields=["time"]) from None
    return to_utc(on, wall.hour * 60 + wall.minute, tz)


def _reason() -> str:
    return request.form.get("reason", "").strip()[:1000]


def _back(row: TreatmentSession, site: Location) -> str:
    wanted = request.values.get("next")
    return wanted if wanted and is_safe_next(wanted) else url_for(".day", slug=site.slug, on=row.local_on.isoformat())


def _undo(session_id: int, target: str) -> str:
    return url_for(".change_session", session_id=session_id, change="take-back", next=target)


def _at(starts_at: datetime, tz: str) -> str:
    return f"{context.day(starts_at, tz)}, {context.clock24(starts_at, tz)}"
