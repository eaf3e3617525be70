"""Today: what needs a person, who has it, and the one thing to press."""

import secrets
from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from markupsafe import Markup

from clinic import clock
from clinic.audit import Actor, ActorKind
from clinic.errors import Refused
from clinic.locations import queries as locations
from clinic.patients import chart
from clinic.patients import operations as patient_operations
from clinic.patients import queries as patients
from clinic.patients.models import LinkPurpose
from clinic.staff.models import Role
from clinic.staff.queries import staff_names
from clinic.tasks import operations, presenter, queries, safety
from clinic.tasks.forms import OutcomeForm, TellForm
from clinic.tasks.models import Task, TaskKind
from clinic.web import access, context
from clinic.web.access import StaffCaller, current_actor, current_patient, current_staff, is_safe_next

LIMIT = 200
SHOWN = 10  # alerts on the banner; the rest is one link away
WHOSE = ("role", "mine", "all")

bp = Blueprint("tasks", __name__, template_folder="templates")
context.NAV.append(("Today", "tasks.today_page", frozenset()))
context.add("home_url", lambda: url_for("tasks.today_page") if g.get("staff") else "/")


@bp.get("/staff/")
@access.staff()
def today_page() -> Any:
    """The worklist of this person's sites, soonest duty first."""
    staff, now, tz = current_staff(), clock.now(), locations.clinic_tz()
    sites = {key: name for key, name in locations.names().items() if key in staff.location_ids}
    site = request.args.get("site", type=int)
    site = site if site in sites else None
    kind = request.args.get("kind") if request.args.get("kind") in [*TaskKind] else None
    whose = request.args.get("whose") if request.args.get("whose") in WHOSE else _usual(staff)
    tasks = queries.open_tasks(
        staff.location_ids,
        kind=kind,
        location_id=site,
        owner_id=staff.id if whose == "mine" else None,
        concerning=staff if whose == "role" else None,
        limit=LIMIT,
    )
    groups = presenter.grouped(_rows(tasks, staff), now, tz)
    return render_template(
        "tasks/today.html",
        groups=groups,
        title=presenter.sentence(groups),
        late=sum(row.when.is_over for row in groups.now),
        full=len(tasks) == LIMIT,
        now=now,
        tz=tz,
        site_name=sites.get(site) if site else None,
        whose=whose,
        kind=kind,
        whose_items=[
            {"label": label, "url": url_for(".today_page", whose=key, site=site, kind=kind), "current": key == whose}
            for key, label in (("mine", "Mine"), ("role", "My role"), ("all", "All"))
        ],
        kinds=[("", "Every kind"), *((str(known), word) for known, word in queries.WORDS.items())],
        site_choices=[
            {"value": "", "label": "All my sites", "current": site is None},
            *({"value": key, "label": name, "current": key == site} for key, name in sites.items()),
        ],
        site_url=url_for(".today_page"),
    )


def _usual(staff: StaffCaller) -> str:
    return "all" if staff.has(Role.MANAGER) else "role"


def _rows(tasks: Any, staff: StaffCaller) -> list[presenter.Row]:
    zones: dict[int | None, str] = {None: locations.clinic_tz()}
    zones |= dict[int | None, str](locations.zones().items())
    return presenter.rows(
        tasks,
        staff=staff,
        now=clock.now(),
        zones=zones,
        people=patients.briefs(task.patient_id for task in tasks),
        owners=staff_names([task.owner_id for task in tasks if task.owner_id]),
    )


@bp.get("/staff/tasks/<int:task_id>")
@access.staff()
def task(task_id: int) -> Any:
    """One task: whom to call, the clinical detail for clinicians, and what came of it."""
    return _task_page(queries.get_for(current_staff(), task_id), OutcomeForm())


def _task_page(found: Task, form: OutcomeForm, status: int = 200) -> Any:
    staff, tz = current_staff(), locations.zones().get(found.location_id or 0) or locations.clinic_tz()
    patient = patients.get(found.patient_id) if found.patient_id else None
    is_clinical = staff.has(*queries.CLINICAL)
    if patient is not None:
        patient_operations.note_view(
            patient.id, part="task note" if is_clinical and found.note else "task", by=current_actor()
        )
    return render_template(
        "tasks/task.html",
        row=_rows([found], staff)[0],
        task=found,
        patient=patient,
        may_open=patient is not None and patients.visible_to(staff, patient),
        said=found.note if is_clinical else None,
        is_clinical=is_clinical,
        may_close=queries.may_close(staff, found),
        for_role=found.for_role.replace("_", " "),
        form=form,
        tz=tz,
    ), status


@bp.post("/staff/tasks/<int:task_id>/take")
@access.staff()
def take(task_id: int) -> Any:
    """Make it mine."""
    staff = current_staff()
    found = queries.get_for(staff, task_id)
    if not queries.may_take(staff, found):
        raise Refused("A clinician or a manager acknowledges this.")
    operations.take_task(task_id, staff_id=staff.id, by=current_actor())
    if found.kind == TaskKind.SAFETY:
        context.flash_with_undo(
            "Acknowledged. Nobody else is called. It stays open until you close it with what came of it.",
            url_for(".hand_back", task_id=task_id),
        )
        return redirect(url_for(".task", task_id=task_id))
    context.flash_with_undo("It is yours now.", url_for(".hand_back", task_id=task_id))
    return redirect(_back())


@bp.post("/staff/tasks/<int:task_id>/hand-back")
@access.staff()
def hand_back(task_id: int) -> Any:
    """Leave it to others again."""
    queries.get_for(current_staff(), task_id)
    operations.hand_back_task(task_id, by=current_actor())
    flash("It has no owner again.")
    return redirect(_back())


@bp.post("/staff/tasks/<int:task_id>/close")
@access.staff()
def close(task_id: int) -> Any:
    """Close it with what came of it."""
    staff, form = current_staff(), OutcomeForm()
    found = queries.get_for(staff, task_id)
    if not queries.may_close(staff, found):
        form.form_errors.append(
            "A clinician closes this." if found.kind == TaskKind.SAFETY else "Another role closes this."
        )
        return _task_page(found, form, 403)
    if not form.validate_on_submit():
        return _task_page(found, form, 422)
    operations.close_task(task_id, outcome=form.outcome.data or "", by=current_actor())
    flash("Done.")
    return redirect(url_for(".today_page"))


def _back() -> str:
    target = request.form.get("next")
    return target if target and is_safe_next(target) else url_for(".today_page")


# -- parts of other pages ---------------------------------------------------------------------------------------------


def safety_banner() -> Markup:
    """Stands on every staff page while a safety task of the caller's sites is open; looks for new ones by itself."""
    return context.rendered("tasks/banner.html", **_alerts())


def _alerts() -> dict[str, Any]:
    tasks = queries.open_safety(current_staff().location_ids)
    return {"rows": _rows(tasks[:SHOWN], current_staff()) if tasks else [], "more": len(tasks) - SHOWN}


@bp.get("/staff/alerts")
@access.staff(background=True)
def alerts() -> Any:
    """What the banner shows now, for pages that stay open."""
    return render_template("tasks/_alerts.html", **_alerts())


def chart_section(patient_id: int) -> Markup | None:
    """What is to do for this person, on the record page."""
    tasks = queries.of_patient(patient_id, limit=20)
    if not tasks:
        return None
    return context.rendered("tasks/chart.html", rows=_rows(tasks, current_staff()), tz=locations.clinic_tz())


def home_section(patient_id: int) -> Markup | None:
    """A way to tell the team something, on the patient's home."""
    return context.rendered("tasks/tell_links.html")


context.BANNERS.append(safety_banner)
chart.add_section(5, chart_section)
chart.add_home(80, home_section)


@bp.route("/me/tell", methods=["GET", "POST"])
@access.patient(LinkPurpose.SIGN_IN)
def tell() -> Any:
    """A few words to the team. They come to the worklist; nobody reads them at night, and the page says so."""
    form = TellForm(topic=request.args.get("topic"), nonce=secrets.token_hex(8))
    if not form.validate_on_submit():
        return render_template("tasks/tell.html", form=form), 422 if form.is_submitted() else 200
    patient_id, now = current_patient().patient_id, clock.now()
    assert patient_id is not None
    site = patients.get(patient_id).preferred_location_id
    openings = locations.openings(site, clock.today(locations.clinic_tz()), 14)
    operations.tell_team(
        patient_id,
        topic=form.topic.data,
        words=form.words.data or "",
        nonce=form.nonce.data or "",
        due_at=safety.next_opening(now, openings) or now + timedelta(days=1),
        by=Actor(ActorKind.PATIENT, str(patient_id)),
    )
    flash(_("Your team has it. They answer in clinic hours."))
    return redirect(url_for("patients.home"))
