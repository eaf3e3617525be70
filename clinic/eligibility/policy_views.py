"""Payer policies: what each asks, whether the clinic stands for our file, and who said so."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict

from clinic import clock
from clinic.eligibility import lines, operations, presenter, queries, rule_versions, verification, words
from clinic.eligibility.engine import knowledge
from clinic.eligibility.forms import SwitchOffForm, VerifyForm
from clinic.eligibility.verification import PolicyState, Standing
from clinic.errors import Conflict, Invalid, NotFound
from clinic.locations import queries as locations
from clinic.patients.sites import everyone
from clinic.staff.models import Role
from clinic.staff.queries import staff_names
from clinic.web import access
from clinic.web.access import current_actor, current_staff

READERS = (Role.MANAGER, Role.PRESCRIBER, Role.NURSE, Role.THERAPIST)
VERIFIERS = (Role.MANAGER, Role.PRESCRIBER)
AT_ONCE = 100  # histories that one press assesses again
STATES: Mapping[PolicyState, tuple[str, ...]] = {
    PolicyState.OFF: ("", "Off", "off"),
    PolicyState.ON: ("good", "On"),
    PolicyState.STALE: ("due", "Stale"),
    PolicyState.CHANGED: ("due", "Changed since verified", "warn"),
}
# What the lists and the head of a page say apart; the rest of a file are its criteria.
ASIDE = (
    *("id", "version", "date", "treatment", "payer", "policy_number", "effective_date"),
    *("src", "sources", "criteria", "confidence", "verified"),
)
NAMES = {
    "min_failed_antidepressant_trials": "Trials that failed, at least",
    "min_distinct_classes": "Different classes, at least",
    "trial_min_weeks": "Weeks of a trial, at least",
    "failure_max_improvement_percent": "Failed up to this percent better",
    "intolerance_min_agents": "Medicines not tolerated, at least",
    "augmentation_trials_required": "Add-on trials, at least",
    "augmentation_may_count_as_trial": "An add-on may count as a trial",
    "psychotherapy": "Talk therapy",
    "prior_authorisation": "Prior authorization",
    "authorisation_months": "Months that an authorization lasts",
}

bp = Blueprint("policies", __name__, template_folder="templates")


@bp.get("/staff/settings/policies")
@access.staff(*READERS)
def overview() -> Any:
    """Every policy with its state: those that need a person first, then those that are on."""
    today = _today()
    found = verification.standings(today)
    order = [PolicyState.CHANGED, PolicyState.STALE, PolicyState.ON, PolicyState.OFF]
    rows = sorted(
        knowledge.policies_index(), key=lambda row: (order.index(found[row["id"]].state), str(row["name"]).lower())
    )
    return render_template(
        "eligibility/policies.html",
        section=_section(),
        rows=rows,
        standings=found,
        said={key: _said(each) for key, each in found.items()},
        counts={state: sum(1 for each in found.values() if each.state is state) for state in order},
        states=STATES,
        treatments={key: words.TREATMENTS[name] for key, name in lines.TREATMENT_OF.items()},
        refused=rule_versions.refused_policies(),
        words=words,
    )


@bp.get("/staff/settings/policies/<policy_id>")
@access.staff(*READERS)
def policy(policy_id: str) -> Any:
    """One policy: its criteria, its sources, its history, and the form that switches it on."""
    return _page(policy_id)


@bp.post("/staff/settings/policies/<policy_id>/verify")
@access.staff(*VERIFIERS)
def verify(policy_id: str) -> Any:
    """A person says that our file is what the payer's own text says."""
    form = VerifyForm()
    if not form.validate_on_submit():
        return _page(policy_id, form), 422
    command = verification.Verify(
        policy_id=policy_id,
        read_on=form.read_on.data or date.min,
        where=form.where.data or "",
        content_hash=form.shown.data or "",
    )
    try:
        verification.verify(command, today=_today(), staff_id=current_staff().id, by=current_actor())
    except Invalid as error:
        form[next(iter(error.details["fields"]))].errors = [error.message]
        return _page(policy_id, form), 422
    except Conflict as error:
        return _page(policy_id, form, problem=error.message), 409
    flash(f"{presenter.policy_name(policy_id)} is on.", "good")
    return redirect(url_for(".policy", policy_id=policy_id))


@bp.post("/staff/settings/policies/<policy_id>/off")
@access.staff(*VERIFIERS)
def switch_off(policy_id: str) -> Any:
    """Take a policy out of assessments."""
    form = SwitchOffForm()
    if not form.validate_on_submit():
        return _page(policy_id, off=form), 422
    try:
        verification.switch_off(
            policy_id,
            reason=form.reason.data or "",
            today=_today(),
            staff_id=current_staff().id,
            by=current_actor(),
        )
    except Conflict as error:
        return _page(policy_id, off=form, problem=error.message), 409
    flash(f"{presenter.policy_name(policy_id)} is off. Assessments that were made with it stay as they are.", "good")
    return redirect(url_for(".policy", policy_id=policy_id))


@bp.post("/staff/settings/policies/<policy_id>/again")
@access.staff(*VERIFIERS)
def reassess(policy_id: str) -> Any:
    """Assess again the histories of this payer that were assessed before the policy's last change."""
    last = verification.present().get(policy_id)
    if last is None:
        raise NotFound("no such policy")
    reason = f"{presenter.policy_name(policy_id)} was switched {'on' if last.is_on else 'off'}."
    with everyone():  # a policy is the whole clinic's; of the people only a number is shown
        waiting = queries.of_payer(policy_id, before=last.recorded_at, limit=AT_ONCE + 1)
        for patient_id in waiting[:AT_ONCE]:
            operations.reassess(patient_id, reason=reason, by=current_actor())
    more = " More are left: press again." if len(waiting) > AT_ONCE else ""
    count = min(len(waiting), AT_ONCE)
    flash(f"{count} {'history' if count == 1 else 'histories'} assessed again.{more}", "good")
    return redirect(url_for(".policy", policy_id=policy_id))


def _page(
    policy_id: str, form: VerifyForm | None = None, *, off: SwitchOffForm | None = None, problem: str = ""
) -> str:
    if policy_id not in knowledge.policy_ids():
        raise NotFound("no such policy")
    today, content = _today(), knowledge.policy(policy_id)
    history = verification.history(policy_id)
    standing = verification.standing(policy_id, next((each for each in history if not each.superseded_at), None), today)
    if form is None:
        form = VerifyForm(MultiDict())
        form.read_on.data = None if request.method == "POST" else today
    form.shown.data = rule_versions.policy(policy_id).content_hash.hex()
    last = standing.last
    return render_template(
        "eligibility/policies_one.html",
        section=_section(),
        policy=content,
        name=presenter.policy_name(policy_id),
        standing=standing,
        state=STATES[standing.state],
        said=_said(standing),
        treatment=words.TREATMENTS.get(lines.TREATMENT_OF.get(content["treatment"], ""), content["treatment"]),
        more={key: value for key, value in content.items() if key not in ASIDE},
        history=history,
        names=staff_names([each.verified_by for each in history]),
        can_verify=current_staff().has(*VERIFIERS),
        form=form,
        off=off or SwitchOffForm(MultiDict()),
        behind=len(queries.of_payer(policy_id, before=last.recorded_at, limit=AT_ONCE)) if last else 0,
        stale_days=verification.stale_after().days,
        names_of=NAMES,
        confidence=knowledge.policy_notes()["meta"]["confidence_scale"],
        problem=problem,
        words=words,
        tz=locations.clinic_tz(),
    )


def _said(standing: Standing) -> str:
    """Beside the state: since when, by the day on which the payer's text was read."""
    last = standing.last
    if last is None:
        return "never verified"
    day = f"{last.verified_on:%b} {last.verified_on.day}, {last.verified_on.year}"
    if not last.is_on:
        return f"switched off {day}"
    if standing.state is PolicyState.ON and standing.good_until:
        return f"verified {day}, counts until {standing.good_until:%b} {standing.good_until.day}, {standing.good_until.year}"
    return f"verified {day}"


def _today() -> date:
    return clock.today(locations.clinic_tz())


def _section() -> str:
    """The entry of the staff bar that leads here for this person."""
    return "Settings" if current_staff().has(Role.MANAGER) else "Eligibility"
