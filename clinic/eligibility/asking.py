"""Questions that an assessment left open, sent to the patient as one short form; the answers become facts of the record."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from clinic import audit, clock, jobs
from clinic.audit import Actor
from clinic.db import AfterCommit, broken_constraint, db, transaction
from clinic.eligibility import answers, operations, queries
from clinic.eligibility.answers import Field
from clinic.eligibility.models import AskState, Assessment, PatientAsk
from clinic.errors import AlreadyOver, Conflict, Invalid, NotFound
from clinic.intake import amending
from clinic.intake import queries as intakes
from clinic.intake.amending import Change
from clinic.intake.models import AmendmentSource, Intake
from clinic.intake.operations import Saved
from clinic.intake.queries import Leaf
from clinic.jobs import Job
from clinic.locations.queries import closing_on_open_day, openings
from clinic.patients import operations as patient_operations
from clinic.patients import queries as patients
from clinic.patients.models import LinkPurpose, Patient
from clinic.staff.models import Role
from clinic.tasks import operations as tasks
from clinic.tasks import safety
from clinic.tasks.models import Task, TaskKind, TaskLevel
from clinic.tasks.safety import SafetyAnswers

MAX_QUESTIONS = 40
MAX_NOTE = 500
CALL_AFTER = 3  # open days of the clinic without an answer
READ_WITHIN = 1
ANSWERED_TOPIC = "answers"


@dataclass(frozen=True)
class Question:
    """One question as it was sent. `trial_key` is the medicine's row, where the history came page by page."""

    field: Field
    asked: str
    name: str = ""  # of the medicine, as the person wrote it
    trial_key: str | None = None


# -- reads ----------------------------------------------------------------------------------------------------------


def get(ask_id: int) -> PatientAsk:
    """The form. Raises NotFound."""
    found = db.session.get(PatientAsk, ask_id)
    if found is None:
        raise NotFound("no such questions")
    return found


def open_of(patient_id: int) -> PatientAsk | None:
    """The form that waits for this person's answers."""
    return db.session.scalar(select(PatientAsk).filter_by(patient_id=patient_id, state=AskState.OPEN))


def last_of(patient_id: int) -> PatientAsk | None:
    """The form that was sent to this person last, whatever became of it."""
    return db.session.scalar(
        select(PatientAsk).where(PatientAsk.patient_id == patient_id).order_by(PatientAsk.id.desc()).limit(1)
    )


def questions_of(ask: PatientAsk) -> list[Question]:
    """The questions in order."""
    found = []
    for row in ask.questions:
        field = answers.field_of(row["field"])
        if field is not None:
            found.append(Question(field, row["question"], row.get("name") or "", row.get("trial_key")))
    return found


def askable(asks: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of an assessment's open questions those that a patient can answer, each question once."""
    found: dict[tuple[str, int | None] | str, Mapping[str, Any]] = {}
    for one in asks:
        field = answers.field_of(one["field"])
        if field is not None:
            found.setdefault((field.kind, field.trial) if field.kind == "use" else field.path, one)
    return list(found.values())


def for_staff_only(asks: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of an assessment's open questions those that only a clinician can answer."""
    return [
        one
        for one in asks
        if answers.field_of(one["field"]) is None and answers.field_of(one["field"], by_clinician=True) is not None
    ]


def question_for_staff(assessment: Assessment, path: str) -> Question | None:
    """A fact as a clinician enters it, missing or not; None where it has no input, or no such medicine is there."""
    field = answers.field_of(path, by_clinician=True)
    given = (assessment.record or {}).get("trials") or []
    if field is None or (field.trial is not None and field.trial >= len(given)):
        return None
    asked = next((one["question"] for one in assessment.result["ask"] if one["field"] == path), "")
    name = (given[field.trial].get("drug") or "") if field.trial is not None else ""
    return Question(field, asked, name)


def leaf_of(ask: PatientAsk, step: int) -> Leaf:
    """All answers, and how often and by which form those of one page were kept. `is_complete`: it was left."""
    kept = (ask.answers or {}).get("steps", {}).get(str(step), {})
    return Leaf(values_kept(ask), kept.get("revision", 0), kept.get("done", False), None, kept.get("form", ""))


def values_kept(ask: PatientAsk) -> dict[str, Any]:
    """The answers by input, as they were typed."""
    found: dict[str, Any] = (ask.answers or {}).get("values", {})
    return found


def input_name(number: int, part: str) -> str:
    """The name of an input of a question."""
    return f"q{number}_{part}"


def values_of(number: int, kept: Mapping[str, Any]) -> dict[str, Any]:
    """The answers of one question by the names of its inputs."""
    start = input_name(number, "")
    return {name.removeprefix(start): value for name, value in kept.items() if name.startswith(start)}


def help_of(ask: PatientAsk) -> intakes.Help | None:
    """The facts for the safety card; None before the person sent a history. Nothing is promised that is not so."""
    present = intakes.latest_submitted(ask.patient_id)
    if present is None:
        return None
    told = select(Task).where(Task.dedupe_key.startswith(f"safety:{_safety_key(ask)}:"))
    task = db.session.scalar(told.order_by(Task.id.desc()).limit(1))
    return intakes.promised(intakes.hours_of(present), task)


# -- send, withdraw -------------------------------------------------------------------------------------------------


def send_ask(
    assessment_id: int, fields: Collection[str], note: str, *, staff_id: int, by: Actor, replaces: int | None = None
) -> int:
    """Send these missing facts as questions to the patient and answer the form's id.

    `replaces` is the open form that the sender saw and gives up. Raises NotFound, Invalid, and Conflict where a newer
    assessment is there, another form is open, or we have no way to reach the person.
    """
    if len(note.strip()) > MAX_NOTE:
        raise Invalid(f"at most {MAX_NOTE} characters", fields=["note"])
    try:
        with transaction() as after_commit:
            assessment = queries.assessment(assessment_id)
            patient = patients.lock(assessment.patient_id)
            db.session.refresh(assessment)
            if assessment.superseded_at is not None:
                raise Conflict("a newer assessment is there: read it, then ask")
            chosen = _chosen(assessment, fields)
            _give_up(patient.id, replaces, by=by)
            row = PatientAsk(
                patient_id=patient.id,
                assessment_id=assessment.id,
                state=AskState.OPEN,
                questions=chosen,
                note=note.strip() or None,
                asked_by=staff_id,
                asked_at=clock.now(),
            )
            db.session.add(row)
            db.session.flush()
            audit.record(row, "sent", by=by, questions=len(chosen), assessment_id=assessment.id)
            patient_operations.request_link_within_transaction(
                patient.id, LinkPurpose.ASK, by=by, after_commit=after_commit, ask_id=row.id
            )
            tasks.close_matching_within_transaction(
                kind=TaskKind.ASK_PATIENT, patient_id=patient.id, outcome="the questions were sent by link", by=by
            )
            _open_call(patient, row, by=by)
            return row.id
    except IntegrityError as error:
        if broken_constraint(error) == "patient_asks_open_key":
            raise Conflict("someone else sent questions at the same moment: reload and look") from None
        raise


def _chosen(assessment: Assessment, fields: Collection[str]) -> list[dict[str, Any]]:
    wanted = set(fields)
    found = [one for one in askable(assessment.result["ask"]) if one["field"] in wanted]
    if not found:
        raise Invalid("Choose at least one question.", fields=["fields"])
    if len(found) > MAX_QUESTIONS:
        raise Invalid(f"At most {MAX_QUESTIONS} questions at once.", fields=["fields"])
    given = (assessment.record or {}).get("trials") or []
    keys = list(intakes.trial_rows(assessment.intake_id)) if assessment.intake_id is not None else []
    return [_kept(one, given, keys) for one in found]


def _kept(one: Mapping[str, Any], given: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> dict[str, Any]:
    field = answers.field_of(one["field"])
    assert field is not None
    row: dict[str, Any] = {"field": one["field"], "question": one["question"]}
    if field.trial is not None and field.trial < len(given):
        row["name"] = given[field.trial].get("drug") or ""
        place = field.trial - (len(given) - len(keys))
        if 0 <= place < len(keys):
            row["trial_key"] = keys[place]
    return row


def _give_up(patient_id: int, replaces: int | None, *, by: Actor) -> None:
    present = open_of(patient_id)
    if present is None:
        return
    if present.id != replaces:
        raise Conflict("Questions to this person are open already.", ask_id=present.id)
    _withdraw(present, by=by)
    db.session.flush()


def _open_call(patient: Patient, ask: PatientAsk, *, by: Actor) -> None:
    """Nobody is left waiting for an answer that does not come: the desk calls when the days are over."""
    tasks.open_within_transaction(
        kind=TaskKind.ASK_PATIENT,
        level=TaskLevel.ROUTINE,
        dedupe_key=_call_key(ask),
        for_role=Role.FRONT_DESK,
        due_at=closing_on_open_day(patient.preferred_location_id, patient.tz, CALL_AFTER),
        by=by,
        patient_id=patient.id,
        location_id=patient.preferred_location_id,
        subject={"ask_id": ask.id},
    )


def _call_key(ask: PatientAsk) -> str:
    return f"{TaskKind.ASK_PATIENT}:ask:{ask.id}"


def withdraw_ask(ask_id: int, *, by: Actor) -> None:
    """Take the questions back; the link then says that they are not needed. Raises NotFound, AlreadyOver."""
    with transaction():
        ask = _lock(ask_id)
        if ask.state != AskState.OPEN:
            raise AlreadyOver("These questions were answered or taken back already.")
        _withdraw(ask, by=by)


def _withdraw(ask: PatientAsk, *, by: Actor) -> None:
    ask.state = AskState.WITHDRAWN
    audit.record(ask, "withdrawn", by=by)
    tasks.close_keyed_within_transaction([_call_key(ask)], outcome="the questions were taken back", by=by)


def _lock(ask_id: int) -> PatientAsk:
    """The form's row, after that of the person: in this order everywhere."""
    patients.lock(get(ask_id).patient_id)
    found = db.session.scalar(
        select(PatientAsk).where(PatientAsk.id == ask_id).with_for_update().execution_options(populate_existing=True)
    )
    assert found is not None
    return found


# -- answer ---------------------------------------------------------------------------------------------------------


def save_ask_draft(
    ask_id: int,
    step: int,
    values: Mapping[str, Any],
    *,
    fields: Collection[str],
    is_complete: bool,
    revision: int,
    form: str,
    by: Actor,
) -> Saved:
    """Keep the answers of one page; `fields` are the inputs that stand on it.

    As in the intake: what another form kept since `revision` comes back as `clash` and nothing is written, and a safety
    answer opens its task in any case. Raises AlreadyOver once the form was sent or taken back.
    """
    with transaction() as after_commit:
        ask = _lock(ask_id)
        if ask.state != AskState.OPEN:
            raise AlreadyOver("This form was sent already.")
        before = leaf_of(ask, step)
        fresh = {name: said for name, said in before.values.items() if name not in fields} | dict(values)
        level = _raise_safety(ask, dict(values), by=by, after_commit=after_commit)
        is_changed = fresh != before.values
        is_elsewhere = before.revision > revision and before.form != form and is_changed
        is_late = not is_complete and before.is_complete and before.form == form and is_changed
        if is_elsewhere or is_late:
            return Saved(before, level, clash=before)
        if is_changed or is_complete != before.is_complete:
            page = {"revision": before.revision + 1, "form": form, "done": is_complete}
            steps = (ask.answers or {}).get("steps", {}) | {str(step): page}
            ask.answers = {"values": fresh, "steps": steps}
            db.session.flush()
            if is_complete:
                audit.record(ask, "saved", by=by, step=step)
        return Saved(leaf_of(ask, step), level)


def _raise_safety(
    ask: PatientAsk, values: Mapping[str, Any], *, by: Actor, after_commit: AfterCommit
) -> TaskLevel | None:
    given = _safety_answers(questions_of(ask), values)
    patient = patients.get(ask.patient_id)
    level = safety.raise_within_transaction(
        given,
        source_key=_safety_key(ask),
        openings=openings(patient.preferred_location_id, clock.today(patient.tz), operations.SEE_OPENINGS_FOR_DAYS),
        patient_id=patient.id,
        intake_id=None,
        location_id=patient.preferred_location_id,
        by=by,
    )
    if level is not None:
        after_commit.append(lambda: jobs.ring(Job.SWEEP_URGENT))
    return level


def _safety_key(ask: PatientAsk) -> str:
    return f"ask:{ask.id}"


def _safety_answers(questions: Sequence[Question], kept: Mapping[str, Any]) -> SafetyAnswers:
    found: dict[str, bool] = {}
    for number, question in enumerate(questions):
        values = values_of(number, kept)
        is_yes = values.get("answer") == "yes"
        if question.field.kind == "cssrs":
            said = answers.cssrs(values)
            found |= {
                "cssrs_intent": said.get("intent", False),
                "cssrs_plan": said.get("plan", False),
                "behavior_3mo": said.get("behaviour_3mo", False),
            }
        elif question.field.kind == "psychosis" or question.field.name == "psychosis_now":
            found["psychosis_now"] = found.get("psychosis_now", False) or is_yes
        elif question.field.kind == "mania":
            found["mania_now"] = is_yes
    return SafetyAnswers(**found)


def answer_ask(ask_id: int, *, by: Actor) -> None:
    """Send the answers: they become facts of the record, which is assessed anew. A second call changes nothing.

    All of it, the form's state and the tasks, is one transaction. Raises NotFound; AlreadyOver where it was taken back.
    """
    with transaction() as after_commit:
        ask = _lock(ask_id)
        if ask.state == AskState.ANSWERED:
            return
        if ask.state == AskState.WITHDRAWN:
            raise AlreadyOver("These questions were taken back.")
        patient = patients.get(ask.patient_id)
        present = intakes.latest_submitted(patient.id)
        changes = _changes(ask, present) if present is not None else []
        ask.state = AskState.ANSWERED
        ask.answered_at = clock.now()
        audit.record(ask, "answered", by=by, facts=len(changes))
        tasks.close_keyed_within_transaction([_call_key(ask)], outcome="the patient answered", by=by)
        if changes:
            intake = amending.amend_within_transaction(
                patient,
                changes,
                reason="The patient answered the clinic's questions.",
                by=by,
                staff_id=None,
                after_commit=after_commit,
                check=operations.checked_record,
            )
            operations.assess_within_transaction(patient, intake, by=by, safety_key=_safety_key(ask))
        _tell_prescriber(patient, ask, by=by)
        after_commit.append(lambda: jobs.ring(Job.SWEEP_REMINDERS))


def _changes(ask: PatientAsk, present: Intake) -> list[Change]:
    kept = values_kept(ask)
    found: dict[str, Any] = {}
    trials = (present.record or {}).get("trials") or []
    keys = list(intakes.trial_rows(present.id))
    for number, question in enumerate(questions_of(ask)):
        field = _where_now(question, trials, keys)
        if field is not None:
            found |= dict(answers.facts_of(field, values_of(number, kept)))
    return [Change(path, value, AmendmentSource.PATIENT) for path, value in found.items()]


def _where_now(question: Question, trials: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> Field | None:
    """The fact's place in the record as it stands now; None where its medicine was taken off meanwhile."""
    field = question.field
    if field.trial is None:
        return field
    place = field.trial
    if question.trial_key is not None:
        if question.trial_key not in keys:
            return None
        place = len(trials) - len(keys) + keys.index(question.trial_key)
    elif place >= len(trials) or (trials[place].get("drug") or "") != question.name:
        return None
    return field._replace(path=f"trials[{place}].{field.name}", trial=place)


def _tell_prescriber(patient: Patient, ask: PatientAsk, *, by: Actor) -> None:
    tasks.open_within_transaction(
        kind=TaskKind.CLINICAL_REVIEW,
        level=TaskLevel.ROUTINE,
        dedupe_key=f"ask_answered:{ask.id}",
        for_role=Role.PRESCRIBER,
        due_at=closing_on_open_day(patient.preferred_location_id, patient.tz, READ_WITHIN),
        by=by,
        patient_id=patient.id,
        location_id=patient.preferred_location_id,
        subject={"topic": ANSWERED_TOPIC, "ask_id": ask.id},
    )


# -- a clinician ----------------------------------------------------------------------------------------------------


def enter_fact(
    assessment_id: int, path: str, values: Mapping[str, Any], *, reason: str, staff_id: int, by: Actor
) -> int:
    """Lay a fact from the interview over the record and assess it anew; answers the new assessment's id.

    Raises NotFound; Invalid where nothing readable was entered or no reason is given; Conflict where a newer assessment
    is there.
    """
    with transaction() as after_commit:
        assessment = queries.assessment(assessment_id)
        patient = patients.lock(assessment.patient_id)
        db.session.refresh(assessment)
        if assessment.superseded_at is not None:
            raise Conflict("a newer assessment is there: read it, then enter the fact")
        question = question_for_staff(assessment, path)
        found = answers.facts_of(question.field, values_of(0, values)) if question is not None else []
        if not found:
            raise Invalid("Enter an answer first.", fields=[path])
        intake = amending.amend_within_transaction(
            patient,
            [Change(where, value, AmendmentSource.CLINICIAN) for where, value in found],
            reason=reason,
            by=by,
            staff_id=staff_id,
            after_commit=after_commit,
            check=operations.checked_record,
        )
        made = operations.assess_within_transaction(patient, intake, by=by)
        after_commit.append(lambda: jobs.ring(Job.SWEEP_REMINDERS))
        return made.id
