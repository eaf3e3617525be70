"""Prepare, release and withdraw a patient's summary, and take what a patient asks."""

import uuid
from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from clinic import audit, clock
from clinic.audit import Actor
from clinic.care import drafting, options, planning, queries
from clinic.care.models import PatientQuestion, PlanItem, PlanKind, PlanState, Release, ReleaseDraft
from clinic.care.wording import Found, first_forbidden
from clinic.db import AfterCommit, broken_constraint, db, transaction
from clinic.eligibility import queries as eligibility
from clinic.eligibility.models import Assessment
from clinic.errors import Conflict, Invalid, NotFound
from clinic.locations.queries import closing_on_open_day
from clinic.patients import operations as patient_operations
from clinic.patients import queries as patients
from clinic.patients.models import LinkPurpose, Patient
from clinic.staff.models import Role
from clinic.tasks import operations as tasks
from clinic.tasks.models import TaskKind, TaskLevel

MAX_TEXT = 2000
MAX_TITLE = 300
MAX_QUESTION = 1000
ANSWER_WITHIN = 2  # open days
LANGUAGES = ("en", "es")


# -- the draft --------------------------------------------------------------------------------------------------------


def start_draft(
    patient_id: int, assessment_id: int, content: Mapping[str, Any], *, language: str, staff_id: int, by: Actor
) -> int:
    """Begin a draft with this content, in place of the one that was there; answers its revision. Raises Conflict."""
    if language not in LANGUAGES:
        raise Invalid("language is en or es", fields=["language"])
    with transaction():
        patients.lock(patient_id)
        _must_be_present(patient_id, assessment_id)
        row = queries.draft(patient_id, lock=True)
        if row is None:
            row = ReleaseDraft(patient_id=patient_id, revision=0, next_step="", next_step_on=None)
            db.session.add(row)
        row.assessment_id = assessment_id
        row.language = language
        row.content = dict(content)
        row.revision += 1
        row.edited_by, row.edited_at = staff_id, clock.now()
        audit.record(row, "started", by=by, assessment_id=assessment_id)
        return row.revision


def _must_be_present(patient_id: int, assessment_id: int) -> Assessment:
    present = eligibility.present_assessment(patient_id)
    if present is None or present.id != assessment_id:
        raise Conflict("A newer assessment exists. Start the summary again from that one.")
    return present


def save_draft(
    patient_id: int,
    content: Mapping[str, Any],
    *,
    next_step: str,
    next_step_on: date | None,
    revision: int,
    staff_id: int,
    by: Actor,
) -> int:
    """Keep the draft as edited; answers the new revision. Raises Conflict where someone else saved meanwhile."""
    _check_shape(content, next_step)
    with transaction():
        row = _draft_at(patient_id, revision)
        row.content = dict(content)
        row.next_step, row.next_step_on = next_step.strip(), next_step_on
        row.revision += 1
        row.edited_by, row.edited_at = staff_id, clock.now()
        audit.record(row, "saved", by=by, revision=row.revision)
        return row.revision


def _draft_at(patient_id: int, revision: int) -> ReleaseDraft:
    row = queries.draft(patient_id, lock=True)
    if row is None:
        raise NotFound("no summary is being prepared")
    if row.revision != revision:
        raise Conflict("Someone else changed this draft meanwhile. Your text is kept below; look at theirs first.")
    return row


def _check_shape(content: Mapping[str, Any], next_step: str) -> None:
    long = [key for key, text in texts_of(content, next_step) if len(text) > MAX_TEXT]
    if long:
        raise Invalid(f"At most {MAX_TEXT} characters a line.", fields=long)
    unknown = set(content.get("options") or ()) - set(options.ids())
    if unknown:
        raise Invalid("This option is not in the catalogue.", fields=["options"])
    bad = [line["key"] for line in content.get("lines") or () if line.get("state") not in drafting.STATES]
    if bad:
        raise Invalid("Choose whether it counts.", fields=bad)


def texts_of(content: Mapping[str, Any], next_step: str | None) -> list[tuple[str, str]]:
    """Every text that the patient would read, each with the key of its line."""
    found = [("opening", str(content.get("opening") or "")), ("note", str(content.get("note") or ""))]
    for line in content.get("lines") or ():
        found.append((f"{line['key']} title", str(line.get("title") or "")))
        found.append((line["key"], str(line.get("text") or "")))
    found += [(line["key"], str(line.get("text") or "")) for line in content.get("missing") or ()]
    return [*found, ("next_step", next_step or "")]


def forbidden_in(content: Mapping[str, Any], next_step: str | None) -> dict[str, Found]:
    """Lines that hold a word which may not be shown, by key."""
    return first_forbidden(texts_of(content, next_step))


# -- release ----------------------------------------------------------------------------------------------------------


def release(patient_id: int, *, revision: int, staff_id: int, by: Actor) -> int:
    """Show the draft to the patient, in place of an earlier summary; answers the release's id.

    The person is written to over the channels that we know. Raises Conflict where the draft or the assessment is not the
    one that was read, Invalid whose `fields` name lines that cannot be shown so.
    """
    try:
        with transaction() as after_commit:
            patient = patients.lock(patient_id)
            draft = _draft_at(patient_id, revision)
            _must_be_present(patient_id, draft.assessment_id)
            step_on = _check_whole(draft, patient)
            _end_present(patient_id, reason=None, staff_id=staff_id, by=by)
            row = Release(
                patient_id=patient_id,
                assessment_id=draft.assessment_id,
                language=draft.language,
                content=as_shown(draft.content),
                next_step=draft.next_step or "",
                next_step_on=step_on,
                released_by=staff_id,
                released_at=clock.now(),
            )
            db.session.add(row)
            audit.record(row, "released", by=by, assessment_id=row.assessment_id, next_step_on=step_on.isoformat())
            planning.add_within_transaction(
                patient_id,
                kind=PlanKind.DECISION_POINT,
                text=row.next_step,
                for_patient=True,
                due_on=step_on,
                release_id=row.id,
                staff_id=staff_id,
                by=by,
            )
            draft.revision += 1  # a second press finds that this was done
            _tell(patient, by=by, after_commit=after_commit)
            return row.id
    except IntegrityError as error:
        if broken_constraint(error) == "releases_present_key":
            raise Conflict("Someone else released a summary at the same moment. Reload and look.") from None
        raise


def as_shown(content: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a draft: the lines that stay, as they stand."""
    return {
        **content,
        "lines": [line for line in content.get("lines") or () if line.get("keep", True)],
        "missing": [line for line in content.get("missing") or () if line.get("keep", True)],
    }


def _check_whole(draft: ReleaseDraft, patient: Patient) -> date:
    content = as_shown(draft.content)
    fields = [key for key, text in texts_of(content, draft.next_step) if not text.strip() and key != "note"]
    if fields:
        raise Invalid("This line is empty. Write it, or leave the line out.", fields=fields)
    if draft.next_step_on is None:
        raise Invalid("Give the next step a date.", fields=["next_step_on"])
    if draft.next_step_on < clock.today(patient.tz):
        raise Invalid("The next step lies in the past.", fields=["next_step_on"])
    found = forbidden_in(content, draft.next_step)
    if found:
        raise Invalid("Some lines hold words that a patient does not see.", fields=list(found))
    return draft.next_step_on


def _end_present(patient_id: int, *, reason: str | None, staff_id: int, by: Actor) -> Release | None:
    """Take the present summary back; the open plan item that came with it goes too."""
    row = queries.present_release(patient_id)
    if row is None:
        return None
    row.withdrawn_at, row.withdrawn_by, row.withdrawn_reason = clock.now(), staff_id, reason
    items = db.session.scalars(
        select(PlanItem).where(PlanItem.release_id == row.id, PlanItem.state == PlanState.OPEN).with_for_update()
    ).all()
    for item in items:
        planning.end_within_transaction(
            item, PlanState.DROPPED, outcome="The summary was taken back or replaced.", staff_id=staff_id, by=by
        )
    audit.record(row, "replaced" if reason is None else "withdrawn", by=by, reason=reason)
    db.session.flush()
    return row


def withdraw(release_id: int, *, reason: str, staff_id: int, by: Actor) -> None:
    """Take a summary back, with the reason on record. Raises Invalid, Conflict where it is no longer shown."""
    words = reason.strip()
    if not words:
        raise Invalid("Say why. It stays on record.", fields=["reason"])
    if len(words) > MAX_TEXT:
        raise Invalid(f"At most {MAX_TEXT} characters.", fields=["reason"])
    with transaction():
        row = db.session.get(Release, release_id)
        if row is None:
            raise NotFound("no such summary")
        patients.lock(row.patient_id)
        db.session.refresh(row)
        if row.withdrawn_at is not None:
            raise Conflict("This summary was taken back already.")
        _end_present(row.patient_id, reason=words, staff_id=staff_id, by=by)


def is_reachable(patient: Patient) -> bool:
    """Whether a link can go out: an address is known, and its channel was not refused."""
    given = patients.consents(patient.id)
    return any(given.get(channel) is not False for channel in patients.known_channels(patient))


def _tell(patient: Patient, *, by: Actor, after_commit: AfterCommit) -> None:
    """A link to the person's own pages, without a word about why."""
    if is_reachable(patient):
        patient_operations.request_link_within_transaction(
            patient.id, LinkPurpose.SIGN_IN, by=by, after_commit=after_commit
        )


# -- questions --------------------------------------------------------------------------------------------------------


def ask(patient_id: int, *, about: str, text: str, form_key: str, by: Actor) -> bool:
    """Take a patient's question to the worklist; False where this form was sent before. Raises Invalid."""
    words = text.strip()
    if len(words) > MAX_QUESTION:
        raise Invalid("This is too long. Please use fewer words.", fields=["text"])
    try:
        key = str(uuid.UUID(form_key))
    except ValueError:
        raise Invalid("Please send it once more.", fields=["form_key"]) from None
    with transaction():
        patient = patients.lock(patient_id)
        shown = queries.present_release(patient_id)
        if shown is None:
            raise Conflict("There is no summary to ask about right now.")
        if about not in subjects(shown):
            raise Invalid("This line is not there any more.", fields=["about"])
        question_id = db.session.scalar(
            insert(PatientQuestion)
            .values(
                patient_id=patient_id,
                release_id=shown.id,
                about=about,
                text=words or None,
                form_key=key,
                asked_at=clock.now(),
            )
            .on_conflict_do_nothing(index_elements=["patient_id", "form_key"])
            .returning(PatientQuestion.id)
        )
        if question_id is None:
            return False
        audit.record_event("patient_questions", question_id, "asked", by=by, patient_id=patient_id)
        tasks.open_within_transaction(
            kind=TaskKind.PATIENT_QUESTION,
            level=TaskLevel.ROUTINE,
            dedupe_key=task_key(question_id),
            for_role=Role.PRESCRIBER,
            due_at=closing_on_open_day(patient.preferred_location_id, patient.tz, ANSWER_WITHIN),
            by=by,
            patient_id=patient_id,
            location_id=patient.preferred_location_id,
            subject={"question_id": question_id, "discuss": about.startswith("option ")},
            note=words or None,
        )
        return True


def task_key(question_id: int) -> str:
    """The task that a question opened."""
    return f"patient_question:{question_id}"


def subjects(shown: Release) -> set[str]:
    """What a person may ask about: each line of the summary, and every option."""
    content = shown.content
    lines = {line["key"] for line in [*(content.get("lines") or ()), *(content.get("missing") or ())]}
    return {"summary", "next step", *lines, *(f"option {key}" for key in options.ids())}


def answer(question_id: int, *, words: str, staff_id: int, by: Actor) -> None:
    """Write down what the person was told; the task closes with it. Raises Invalid, Conflict."""
    said = words.strip()
    if not said:
        raise Invalid("Write what the person was told.", fields=["answer"])
    if len(said) > MAX_QUESTION:
        raise Invalid(f"At most {MAX_QUESTION} characters.", fields=["answer"])
    with transaction():
        row = queries.lock_question(question_id)
        if row.answered_at is not None:
            raise Conflict("Someone answered this already.")
        row.answer, row.answered_by, row.answered_at = said, staff_id, clock.now()
        audit.record(row, "answered", by=by)
        tasks.close_keyed_within_transaction([task_key(row.id)], outcome=said, by=by)
