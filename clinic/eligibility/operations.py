"""Run the engine on a sent intake, and record what a prescriber decides."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError

from clinic import audit, clock, jobs
from clinic.audit import Actor, ActorKind
from clinic.db import broken_constraint, db, transaction
from clinic.eligibility import packets, queries, rule_versions, summary, verification
from clinic.eligibility.engine import IntakeRecord, assess
from clinic.eligibility.engine.policies import find_policies
from clinic.eligibility.models import Assessment, Decision, DecisionKind, Pathway, Verdict
from clinic.errors import Conflict, Invalid, NotFound
from clinic.intake.models import Intake, IntakeState
from clinic.intake.operations import add_sent_within_transaction
from clinic.intake.queries import latest_submitted
from clinic.jobs import Job
from clinic.locations.queries import closing_on_open_day, openings
from clinic.patients import queries as patients
from clinic.patients.models import Patient
from clinic.staff.models import Role
from clinic.tasks import operations as tasks
from clinic.tasks import safety
from clinic.tasks.models import TaskKind, TaskLevel

BOOK_WITHIN = 2  # open days of the clinic, as are the next two
ASK_WITHIN = 2
FOLLOW_UP_WITHIN = 5
REVIEW_WITHIN = 2
SEE_OPENINGS_FOR_DAYS = 10  # longer than any run of closed days
RULESET = "default"
MAX_REASON = 4000
MAX_EVALUATION = 20_000
NO_POLICY = {
    "code": "payer_policy",
    "text": "No policy of this payer was verified by this clinic: read the payer's present one and switch it on.",
}


@dataclass(frozen=True, kw_only=True)
class Decide:
    """A prescriber's decision on one pathway."""

    patient_id: int
    pathway: str
    decision: str
    reason: str = ""
    override: bool = False
    evaluation: str = ""  # what the signature covers; empty: the summary of the assessment itself
    assessment_id: int | None = None  # the one that was read; refused if it is no longer the present one


def checked_record(data: Any) -> IntakeRecord:
    """The record, validated. Raises Invalid whose `fields` are JSON paths with what is wrong."""
    try:
        return IntakeRecord.model_validate(data)
    except ValidationError as error:
        problems = [
            {
                "path": "$" + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in item["loc"]),
                "problem": item["msg"],
            }
            for item in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise Invalid("the record is not an intake record", fields=problems) from None


def assess_intake(intake_id: int, *, by: Actor) -> int:
    """Assess a sent intake once; a repeat answers the assessment that is there. Raises NotFound, Conflict."""
    with transaction() as after_commit:
        intake = db.session.get(Intake, intake_id)
        if intake is None or intake.patient_id is None:
            raise NotFound("no such intake")
        patient = patients.lock(intake.patient_id)
        there = queries.assessment_of_intake(intake_id)
        if there is not None:
            return there.id
        if intake.state != IntakeState.SUBMITTED:
            raise Conflict("this intake is not sent, or a later one took its place")
        assessment = _assess(patient, intake, checked_record(intake.record), by=by)
        after_commit.append(lambda: jobs.ring(Job.SWEEP_REMINDERS))
        return assessment.id


def assess_within_transaction(
    patient: Patient, intake: Intake, *, by: Actor, safety_key: str | None = None
) -> Assessment:
    """Assess a sent intake as a step of another operation that holds the person's lock.

    `safety_key` names the form whose safety answers were told already, as in `safety.raise_within_transaction`.
    """
    return _assess(patient, intake, checked_record(intake.record), by=by, safety_key=safety_key)


def submit_record(patient_id: int, data: Any, *, by: Actor) -> tuple[int, int]:
    """Store a whole record as a sent intake and assess it; answers intake id, assessment id. Raises Invalid, NotFound."""
    record = checked_record(data)
    with transaction() as after_commit:
        patient = patients.lock(patient_id)
        intake = add_sent_within_transaction(patient, record.to_json(), by=by, after_commit=after_commit)
        assessment = _assess(patient, intake, record, by=by)
        after_commit.append(lambda: jobs.ring(Job.SWEEP_REMINDERS))
        return intake.id, assessment.id


def reassess(patient_id: int, *, reason: str, by: Actor) -> int:
    """Assess the record that was sent last again, by the rules of today; the older assessment stays readable.

    Raises NotFound, Invalid without a reason, Conflict where nothing was sent or the rules were changed in place.
    """
    words = reason.strip()
    if not words or len(words) > MAX_REASON:
        raise Invalid(f"give a reason of at most {MAX_REASON} characters", fields=["reason"])
    with transaction() as after_commit:
        patient = patients.lock(patient_id)
        intake = latest_submitted(patient_id)
        if intake is None:
            raise Conflict("there is nothing to assess: the intake comes first")
        assessment = _assess(patient, intake, checked_record(intake.record), by=by, reason=words)
        after_commit.append(lambda: jobs.ring(Job.SWEEP_REMINDERS))
        return assessment.id


def answer(record: IntakeRecord, verified: Mapping[str, date]) -> dict[str, Any]:
    """The engine's answer with the clinic's policies in it: only those that it verified, this payer's first."""
    own = [each for each in (find_policies(record.payer) if record.payer else ()) if each in verified]
    chosen = [*own, *sorted(set(verified) - set(own))]
    result = assess(record.model_copy(update={"payer": None}), ruleset=RULESET, policies=chosen).to_json()
    for policy in result["policies"]:
        policy["verified_on"] = verified[policy["id"]].isoformat()
    if record.payer and not own:
        result["next_steps"] = [*result["next_steps"], dict(NO_POLICY)]
    return result


def _assess(
    patient: Patient,
    intake: Intake,
    record: IntakeRecord,
    *,
    by: Actor,
    reason: str | None = None,
    safety_key: str | None = None,
) -> Assessment:
    verified = verification.verified_on(clock.today(patient.tz))
    entries = rule_versions.used_by(RULESET, sorted(verified))
    rule_versions.freeze_within_transaction(entries)
    result = answer(record, verified)
    now = clock.now()
    present = queries.present_assessment(patient.id)
    row = Assessment(
        patient_id=patient.id,
        intake_id=intake.id,
        ruleset=result["ruleset"]["id"],
        ruleset_version=str(result["ruleset"]["version"]),
        record=intake.record,
        result=result,
        result_hash=result_hash(result),
        trd=result["trd"]["verdict"],
        tms=result["pathways"]["tms"]["verdict"],
        esketamine=result["pathways"]["esketamine"]["verdict"],
        iv_ketamine=result["pathways"]["iv_ketamine"]["verdict"],
        is_urgent=result["urgent"]["flag"],
        rules=[list(entry.name) for entry in entries],
        payer_policies=list(find_policies(record.payer)) if record.payer else [],
        reason=reason or intake.reason,
        assessed_at=now,
    )
    settled = present is not None and (reason is not None or intake.corrects_id is not None) and _is_settled(present)
    row.waits = not settled or present is None or _words(row) != _words(present)
    if present is not None:
        present.superseded_at = now
        db.session.flush()
    db.session.add(row)
    audit.record(row, "assessed", by=by, reason=reason, ruleset=row.ruleset, version=row.ruleset_version)
    if settled and row.waits:
        _ask_for_review(patient, row, by=by)
    given = _safety_answers(record, {each["code"] for each in result["urgent"]["reasons"]})
    is_a_change = intake.corrects_id is not None or reason is not None
    if not (is_a_change and present is not None and given == _safety_answers_of(present)):  # said again: it was told
        safety.raise_within_transaction(
            given,
            source_key=safety_key or f"intake:{intake.id}",
            openings=openings(patient.preferred_location_id, clock.today(patient.tz), SEE_OPENINGS_FOR_DAYS),
            patient_id=patient.id,
            intake_id=intake.id,
            location_id=patient.preferred_location_id,
            by=by,
        )
    packets.close_filled_within_transaction(patient, by=by)
    return row


def result_hash(result: Mapping[str, Any]) -> bytes:
    """SHA-256 of an answer, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(result, sort_keys=True, separators=(",", ":")).encode()).digest()


def _words(row: Assessment) -> tuple[Any, ...]:
    return row.trd, row.tms, row.esketamine, row.iv_ketamine, row.is_urgent


def _is_settled(present: Assessment) -> bool:
    """Whether nobody waits for a decision on this assessment."""
    return not present.waits or queries.is_decided(present.id)


def _ask_for_review(patient: Patient, row: Assessment, *, by: Actor) -> None:
    """A verdict changed after a decision: a prescriber looks again. One that waits already is not doubled."""
    tasks.close_matching_within_transaction(
        kind=TaskKind.REVIEW_INTAKE, patient_id=patient.id, outcome="assessed again", by=by
    )
    tasks.open_within_transaction(
        kind=TaskKind.REVIEW_INTAKE,
        level=TaskLevel.ROUTINE,
        dedupe_key=f"review_assessment:{row.id}",
        for_role=Role.PRESCRIBER,
        due_at=closing_on_open_day(patient.preferred_location_id, patient.tz, REVIEW_WITHIN),
        by=by,
        patient_id=patient.id,
        intake_id=row.intake_id,
        location_id=patient.preferred_location_id,
        note="A verdict changed after the decision.",
    )


def _safety_answers_of(present: Assessment) -> safety.SafetyAnswers:
    """What the record of an earlier assessment said that calls for a person."""
    urgent = {each["code"] for each in present.result["urgent"]["reasons"]}
    return _safety_answers(checked_record(present.record), urgent)


def _safety_answers(record: IntakeRecord, urgent: set[str]) -> safety.SafetyAnswers:
    scale = record.cssrs
    return safety.SafetyAnswers(
        item9=record.phq9[8] if record.phq9 else None,
        cssrs_intent=bool(scale and scale.intent),
        cssrs_plan=bool(scale and scale.plan),
        behavior_3mo=bool(scale and scale.behaviour_3mo),
        mania_now="current_mania" in urgent,
        psychosis_now="current_psychosis" in urgent,
    )


def decide(command: Decide, *, staff_id: int | None = None, token_id: int | None = None, by: Actor) -> int:
    """Record a decision; the present one on the same pathway is superseded. Answers its id.

    An approval is the signed evaluation: it keeps the text that the signature covers. The same words by the same
    person on the same assessment, sent again, are one decision. Approving anything but a `likely_eligible` pathway is an override and needs a reason on record.
    Raises Invalid, NotFound, Conflict.
    """
    _check(command)
    try:
        with transaction() as after_commit:
            patient = patients.lock(command.patient_id)
            assessment = queries.present_assessment(command.patient_id)
            if assessment is None:
                raise Conflict("there is no assessment to decide on: the intake comes first")
            if command.assessment_id is not None and command.assessment_id != assessment.id:
                raise Conflict("a newer assessment is there: read it, then decide")
            verdict = getattr(assessment, command.pathway)
            if command.decision == DecisionKind.APPROVE and verdict != Verdict.LIKELY_ELIGIBLE and not command.override:
                raise Invalid(
                    "the verdict is not 'likely eligible': approving it is an override and needs a reason",
                    fields=["override", "reason"],
                    verdict=verdict,
                )
            repeated = _repeated(command, assessment, staff_id=staff_id, token_id=token_id)
            if repeated is not None:
                return repeated.id
            row = _append(command, assessment, staff_id=staff_id, token_id=token_id, by=by)
            _follow(command, patient, row, by=by)
            packets.close_filled_within_transaction(patient, by=by)
            after_commit.append(lambda: jobs.ring(Job.SWEEP_REMINDERS))
            return row.id
    except IntegrityError as error:
        if broken_constraint(error) == "decisions_present_key":
            raise Conflict("someone else decided at the same moment: reload and look") from None
        raise


def _check(command: Decide) -> None:
    if command.pathway not in {str(known) for known in Pathway}:
        raise Invalid("pathway is tms, esketamine or iv_ketamine", fields=["pathway"])
    if command.decision not in {str(known) for known in DecisionKind}:
        raise Invalid("decision is approve, ask or decline", fields=["decision"])
    needs_reason = command.override or command.decision != DecisionKind.APPROVE
    if needs_reason and not command.reason.strip():
        raise Invalid("give a reason: it stays on record", fields=["reason"])
    if len(command.reason) > MAX_REASON:
        raise Invalid(f"a reason has at most {MAX_REASON} characters", fields=["reason"])
    if len(command.evaluation) > MAX_EVALUATION:
        raise Invalid(f"an evaluation has at most {MAX_EVALUATION} characters", fields=["evaluation"])


def _repeated(
    command: Decide, assessment: Assessment, *, staff_id: int | None, token_id: int | None
) -> Decision | None:
    """The present decision where it says the same already: a double click, or a page that was sent twice."""
    said = (assessment.id, command.decision, command.reason.strip(), staff_id, token_id)
    for row in queries.present_decisions(command.patient_id, command.pathway):
        if said == (row.assessment_id, row.decision, row.reason, row.decided_by, row.token_id):
            return row
    return None


def _append(
    command: Decide, assessment: Assessment, *, staff_id: int | None, token_id: int | None, by: Actor
) -> Decision:
    now = clock.now()
    is_approval = command.decision == DecisionKind.APPROVE
    for earlier in queries.present_decisions(command.patient_id, command.pathway):
        earlier.superseded_at = now
    db.session.flush()
    row = Decision(
        patient_id=command.patient_id,
        assessment_id=assessment.id,
        pathway=command.pathway,
        decision=command.decision,
        reason=command.reason.strip(),
        is_override=is_approval and command.override,
        evaluation=(command.evaluation.strip() or summary.evaluation(assessment)) if is_approval else None,
        decided_by=staff_id,
        token_id=token_id,
        decided_at=now,
    )
    db.session.add(row)
    audit.record(
        row,
        "decided",
        by=by,
        reason=command.reason.strip() or None,
        decision=command.decision,
        override=row.is_override,
    )
    return row


def _follow(command: Decide, patient: Patient, row: Decision, *, by: Actor) -> None:
    """Nobody is left without a next step: every decision closes the review and opens what follows from it."""
    tasks.close_matching_within_transaction(
        kind=TaskKind.REVIEW_INTAKE, patient_id=patient.id, outcome=f"decided: {command.decision}", by=by
    )
    kind, role, within = {
        DecisionKind.APPROVE: (TaskKind.BOOK_COURSE, Role.FRONT_DESK, BOOK_WITHIN),
        DecisionKind.ASK: (TaskKind.ASK_PATIENT, Role.FRONT_DESK, ASK_WITHIN),
        DecisionKind.DECLINE: (TaskKind.CLINICAL_REVIEW, Role.PRESCRIBER, FOLLOW_UP_WITHIN),
    }[DecisionKind(command.decision)]
    tasks.open_within_transaction(
        kind=kind,
        level=TaskLevel.ROUTINE,
        dedupe_key=f"{kind}:decision:{row.id}",
        for_role=role,
        due_at=closing_on_open_day(patient.preferred_location_id, patient.tz, within),
        by=by,
        patient_id=patient.id,
        location_id=patient.preferred_location_id,
        subject={"pathway": command.pathway},
        note=command.reason.strip() or None,
    )


def actor_ids(actor: Actor) -> dict[str, int | None]:
    """`decide`'s staff or token id of whoever acts."""
    return {
        "staff_id": int(actor.key) if actor.kind is ActorKind.STAFF else None,
        "token_id": int(actor.key) if actor.kind is ActorKind.SERVICE else None,
    }
