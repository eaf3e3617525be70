"""Open a record of another site; what managers look at; and the patient's own report of who looked."""

from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask_babel import lazy_gettext
from markupsafe import Markup

from clinic.audit import ActorKind, AuditEvent
from clinic.errors import Conflict, Invalid, NotFound
from clinic.locations import queries as locations
from clinic.oversight import operations, queries, words
from clinic.oversight.forms import REASONS, FindingForm, OpenForm, ReportForm
from clinic.patients import chart
from clinic.patients import queries as patients
from clinic.patients.models import LinkPurpose, OpeningReason
from clinic.staff.models import Role
from clinic.staff.queries import staff_names
from clinic.tasks.models import Task, TaskKind
from clinic.tasks.today import TARGETS, Target
from clinic.web import access, context
from clinic.web.access import current_actor, current_patient, current_staff
from clinic.web.arguments import row_id
from clinic.web.limits import limiter

bp = Blueprint("oversight", __name__, template_folder="templates")


# -- open a record of another site ------------------------------------------------------------------------------------


@bp.route("/staff/patients/elsewhere", methods=["GET", "POST"])
@access.staff()
@limiter.limit("20 per hour", methods=["POST"])
def elsewhere() -> Any:
    """Open the record of a patient of another site, for a reason that is read afterwards."""
    form = OpenForm(data={"found_by": request.args.get("q", "")})
    if not form.validate_on_submit():
        return render_template("oversight/elsewhere.html", form=form), 422 if form.is_submitted() else 200
    try:
        patient_id = operations.open_record(form.command(), staff_id=current_staff().id, by=current_actor())
    except NotFound as error:
        form.found_by.errors = [error.message]
        return render_template("oversight/elsewhere.html", form=form), 422
    except Invalid as error:
        form.form_errors.append(error.message)
        return render_template("oversight/elsewhere.html", form=form), 422
    flash("The record is open to you for four hours. A manager was told.")
    return redirect(url_for("patients.record", patient_id=patient_id))


@bp.post("/staff/openings/<int:own_opening_id>/give-back")
@access.staff()
def give_back(own_opening_id: int) -> Any:
    """I am done with it."""
    operations.give_back(own_opening_id, staff_id=current_staff().id, by=current_actor())
    flash("The record is closed to you again.")
    return redirect(url_for("patients.search"))


def banner() -> Markup | None:
    """Stands on every page of who has a record of another site open."""
    staff = g.staff
    if staff is None or staff.has_all_sites or not (g.get("reach") and g.reach.patient_ids):
        return None
    rows = queries.open_now(staff.id)
    people = patients.briefs([row.patient_id for row in rows])
    return (
        context.rendered("oversight/banner.html", rows=rows, people=people, tz=locations.clinic_tz()) if rows else None
    )


context.BANNERS.append(banner)


# -- what managers look at ------------------------------------------------------------------------------------------------


@bp.route("/staff/openings/<int:opening_id>", methods=["GET", "POST"])
@access.staff(Role.MANAGER)
def opening(opening_id: int) -> Any:
    """One opening: who, why, what was done, and what the manager finds."""
    form, row = FindingForm(), queries.get(opening_id)
    problem = ""
    if form.validate_on_submit():
        try:
            operations.review(
                opening_id, finding=form.finding.data or "", staff_id=current_staff().id, by=current_actor()
            )
        except Conflict as error:
            problem = error.message
        else:
            flash("Noted.")
            return redirect(url_for("tasks.today_page"))
    names = staff_names([row.staff_id, *([row.reviewed_by] if row.reviewed_by else [])])
    page = render_template(
        "oversight/opening.html",
        row=row,
        form=form,
        problem=problem,
        patient=patients.get(row.patient_id),
        names=names,
        kind=REASONS[OpeningReason(row.kind)],
        events=queries.done_with(row),
        is_own=row.staff_id == current_staff().id,
        tz=locations.clinic_tz(),
    )
    return page, 409 if problem else 422 if form.is_submitted() else 200


@bp.get("/staff/reports/access")
@access.staff(Role.MANAGER)
def report() -> Any:
    """Who of the staff read or changed which record, and why."""
    form = ReportForm(request.args, staff=queries.staff_choices())
    ok = form.validate()
    tz = locations.clinic_tz()
    number = (form.record.data or "").strip()
    found = patients.search(number) if number and ok else []
    asked = queries.Asked(
        staff_id=form.who.data or None,
        patient_id=(found[0].id if found else 0) if number else None,
        since=_midnight(form.since.data, tz),
        until=_midnight(form.until.data, tz, days=1),
        only_opened=bool(form.opened.data),
    )
    rows = queries.events(asked, before=request.args.get("before", type=row_id), limit=queries.PAGE + 1) if ok else []
    shown = rows[: queries.PAGE]
    chosen = {key: value for key, value in request.args.items() if key != "before" and value}
    return render_template(
        "oversight/report.html",
        form=form,
        rows=shown,
        names=staff_names([int(row.actor_key) for row in shown]),
        people=patients.briefs([row.patient_id for row in shown]),
        next_url=url_for(".report", **chosen, before=shown[-1].id) if len(rows) > queries.PAGE else "",  # type: ignore[arg-type]
        tz=tz,
    ), 200 if ok else 422


def _midnight(day: Any, tz: str, *, days: int = 0) -> datetime | None:
    if day is None or not 1900 <= day.year <= 9000:  # nothing lies beyond: no limit
        return None
    return datetime.combine(day + timedelta(days=days), time(), tzinfo=ZoneInfo(tz))


def _to_look_at(task: Task) -> Target | None:
    opening_id = task.subject.get("opening")
    return Target(url_for("oversight.opening", opening_id=opening_id), "Look at it") if opening_id else None


TARGETS[TaskKind.RECORD_OPENED] = _to_look_at


# -- the patient's own report -----------------------------------------------------------------------------------------------


@bp.get("/me/access")
@access.patient(LinkPurpose.SIGN_IN)
def mine() -> Any:
    """Who at the clinic looked at my record, in plain words."""
    patient_id = current_patient().patient_id
    assert patient_id is not None
    patient = patients.get(patient_id)
    visits, older = queries.own_report(patient_id, patient.tz, before=request.args.get("before", type=row_id))
    people = queries.roles_of(int(visit.who.split()[1]) for visit in visits if visit.who.startswith(ActorKind.STAFF))
    return render_template(
        "oversight/mine.html",
        visits=visits,
        who={visit.who: _who(visit.who, people) for visit in visits},
        parts=words.parts,
        older_url=url_for(".mine", before=older) if older else "",
        newest_url=url_for(".mine") if request.args.get("before") else "",
        tabs=chart.tabs("patients.home"),
    )


def _who(key: str, people: dict[int, tuple[str, frozenset[str]]]) -> tuple[str, str]:
    """Name and roles of who looked."""
    kind, _space, number = key.partition(" ")
    if kind == ActorKind.STAFF and int(number) in people:
        name, roles = people[int(number)]
        return name, ", ".join(str(word) for role, word in words.ROLES.items() if role in roles)
    return str(lazy_gettext("A program of the clinic")), ""


def home_link(_patient_id: int) -> Markup:
    """On the patient's home."""
    return context.rendered("oversight/home_link.html")


chart.add_home(95, home_link)


def detail_of(event: AuditEvent) -> str:
    """`part: record`, of an event's detail."""
    return "; ".join(f"{key.replace('_', ' ')}: {value}" for key, value in sorted(event.detail.items()))


context.add("audit_detail", lambda: detail_of)
