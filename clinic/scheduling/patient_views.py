"""The patient's own dates."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flask import render_template
from markupsafe import Markup

from clinic import clock
from clinic.patients import chart
from clinic.scheduling import presenter, queries
from clinic.scheduling.blueprint import bp
from clinic.web import access, charts, context
from clinic.web.access import current_patient


@bp.get("/me/dates")
@access.patient("sign_in")
def dates() -> Any:
    """Every visit that is to come, and those that were."""
    patient_id = current_patient().patient_id
    visits = queries.visits_of_patient(patient_id) if patient_id is not None else []
    now = clock.now()
    return render_template(
        "scheduling/dates.html",
        coming=[v for v in visits if v.state in queries.AHEAD and v.ends_at > now],
        past=[v for v in visits if v.state not in queries.AHEAD or v.ends_at <= now],
        path=_path(visits, now),
        tabs=chart.tabs("scheduling.dates"),
    )


def _path(visits: Sequence[queries.Visit], now: datetime) -> charts.CoursePath | None:
    """The person's courses as a path; visits with a staff member are no part of it."""
    sessions = [visit for visit in visits if visit.course_id is not None]
    return presenter.booked_path(sessions, sessions[0].tz, now) if sessions else None


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
    return context.rendered("scheduling/home.html", visit=following, days=days)


def _home_path(patient_id: int) -> Markup | None:
    """The course as a path."""
    path = _path(queries.visits_of_patient(patient_id), clock.now())
    if path is None:
        return None
    return context.rendered("scheduling/home_path.html", path=path)


chart.add_home(10, _home)
chart.add_home(30, _home_path)
