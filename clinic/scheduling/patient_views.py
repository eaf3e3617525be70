"""The patient's own dates: list, month, paper; and another time for a visit that does not suit."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from markupsafe import Markup

from clinic import clock
from clinic.audit import Actor, ActorKind
from clinic.errors import AlreadyOver, Conflict, Invalid, NotFound
from clinic.locations import queries as locations
from clinic.patients import chart
from clinic.patients.models import LinkPurpose
from clinic.protocols.shapes import bookable
from clinic.scheduling import preparing, presenter, queries, rebooking, wishes
from clinic.scheduling.blueprint import bp
from clinic.scheduling.models import SessionState, TreatmentSession
from clinic.web import access, charts, context
from clinic.web.access import current_patient

mine = access.patient(LinkPurpose.SIGN_IN)


@bp.get("/me/dates")
@mine
def dates() -> Any:
    """Every visit that is to come, and those that were; as a list or month by month."""
    patient_id = current_patient().patient_id
    visits = queries.visits_of_patient(patient_id) if patient_id is not None else []
    now, view = clock.now(), request.args.get("view", "list")
    coming = [v for v in visits if v.state in queries.AHEAD and v.ends_at > now]
    return render_template(
        "scheduling/dates.html",
        coming=coming,
        days=_by_day(coming),
        past=[v for v in visits if v not in coming],
        months=presenter.months([v for v in visits if v.state != SessionState.NO_SHOW]) if view == "month" else None,
        today=clock.today(visits[0].tz) if visits else None,
        now=now,
        path=_path(visits, now),
        why=_why(patient_id, coming),
        before=_before(patient_id, coming, now),
        missed=SessionState.NO_SHOW,
        confirmed=SessionState.CONFIRMED,
        tabs=chart.tabs("scheduling.dates"),
    )


def _by_day(visits: Sequence[queries.Visit]) -> list[list[queries.Visit]]:
    """Visits in order, those of one day of their sites together: an accelerated course has ten a day."""
    return [list(each) for _, each in groupby(visits, lambda v: v.starts_at.astimezone(ZoneInfo(v.tz)).date())]


def _why(patient_id: int | None, coming: Sequence[queries.Visit]) -> list[str]:
    """Why the sessions of the course that is ahead are when they are."""
    course_id = next((visit.course_id for visit in coming if visit.course_id is not None), None)
    row = next((row for row in queries.courses_of(patient_id or 0) if row.id == course_id), None)
    if row is None:
        return []
    sessions = [visit for visit in coming if visit.course_id == course_id]
    plan = queries.booked_from(row.id)
    window = wishes.wish_from_json(plan.request).daily_window if plan is not None else None
    tz = sessions[0].tz
    return presenter.why_for_patient(row.anchor_minute, window, sessions, tz, lambda at: context.clock12(at, tz))


def _before(patient_id: int | None, coming: Sequence[queries.Visit], now: datetime) -> list[preparing.Preparation]:
    """What has to be done before a course that has not begun, while it is not done."""
    first = next((v for v in coming if v.course_id is not None and v.number == 1 and v.starts_at > now), None)
    row = next((x for x in queries.courses_of(patient_id or 0) if first is not None and x.id == first.course_id), None)
    protocol = bookable().get(row.protocol) if row is not None else None
    if first is None or row is None or protocol is None:
        return []
    on = first.starts_at.astimezone(ZoneInfo(first.tz)).date()
    return [one for one in preparing.of_course(row.id, protocol, on) if one.outcome is None]


def _path(visits: Sequence[queries.Visit], now: datetime) -> charts.CoursePath | None:
    """The person's courses as a path; visits with a staff member are no part of it."""
    sessions = [visit for visit in visits if visit.course_id is not None]
    return presenter.booked_path(sessions, sessions[0].tz, now) if sessions else None


# -- another time -----------------------------------------------------------------------------------------------------


def _own(session_id: int) -> TreatmentSession:
    """One's own appointment. Raises NotFound."""
    row = queries.session(session_id)
    if row.patient_id != current_patient().patient_id:
        raise NotFound("no such appointment")
    return row


@bp.route("/me/visits/<int:session_id>/cannot-come", methods=["GET", "POST"])
@mine
def cannot_come(session_id: int) -> Any:
    """Two other times that keep the rules; or the clinic looks for one."""
    row = _own(session_id)
    problem, status = "", 200
    try:
        offered = rebooking.choices(session_id)
        if request.method == "POST":
            by = Actor(ActorKind.PATIENT, str(row.patient_id))
            rebooking.choose(session_id, rebooking.choice_of(request.form.get("choice", ""), offered), by=by)
            flash(_moved_words(session_id))
            return redirect(url_for(".dates"))
    except AlreadyOver:
        flash(_("This visit was changed meanwhile. Please look again."), "error")
        return redirect(url_for(".dates"))
    except (Conflict, Invalid):
        problem, status = _("This time was just taken. Here are others."), 409
        offered = rebooking.choices(session_id)
    row = queries.session(session_id)
    site = locations.get(row.location_id)
    return render_template(
        "scheduling/cannot_come.html",
        visit=row,
        site=site,
        offered=offered,
        places={one.location_id: locations.get(one.location_id) for one in offered},
        problem=problem,
        tabs=chart.tabs("scheduling.dates"),
    ), status


def _moved_words(session_id: int) -> str:
    row = queries.session(session_id)
    tz = locations.get(row.location_id).tz
    return _(
        "Your visit is now on %(day)s, %(time)s.",
        day=context.day(row.starts_at, tz),
        time=context.clock12(row.starts_at, tz),
    )


# -- on the patient's home --------------------------------------------------------------------------------------------


def _home(patient_id: int) -> Markup:
    """The light of the patient's home: when the next visit is; in words where none is planned."""
    now = clock.now()
    following = next(
        (v for v in queries.visits_of_patient(patient_id) if v.state in queries.AHEAD and v.ends_at > now), None
    )
    if following is None:
        return context.rendered("scheduling/home.html", visit=None)
    on = queries.local_date(following.starts_at, following.tz)
    days = (on - clock.today(following.tz)).days
    return context.rendered("scheduling/home.html", visit=following, days=days, can_move=following.starts_at > now)


def _home_path(patient_id: int) -> Markup | None:
    """The course as a path."""
    path = _path(queries.visits_of_patient(patient_id), clock.now())
    if path is None:
        return None
    return context.rendered("scheduling/home_path.html", path=path)


chart.add_home(10, _home)
chart.add_home(30, _home_path)
