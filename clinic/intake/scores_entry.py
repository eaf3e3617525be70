"""Keep a score that staff enter. It is appended; a correction takes the place of an entry and edits nothing."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db, transaction
from clinic.errors import Conflict, Invalid, NotFound
from clinic.intake import amending, facts, queries, scores
from clinic.intake.amending import Change
from clinic.intake.models import AmendmentSource, ScreenScore
from clinic.intake.scores import Entry
from clinic.patients import queries as patients

MAX_NOTE = 500


def enter_score(
    patient_id: int,
    instrument: str,
    total: int | None,
    parts: Mapping[str, Any] | None,
    taken_on: date,
    *,
    staff_id: int,
    by: Actor,
    note: str = "",
    corrects: int | None = None,
) -> int:
    """Keep a score and answer its id; `corrects` is the entry that it takes the place of.

    The newest score goes into the record that was sent, which is then assessed anew.
    Raises NotFound, Invalid, Conflict where the entry was corrected already.
    """
    entry = scores.entries().get(instrument)
    if entry is None:
        raise Invalid("this score is not entered here", fields=["instrument"])
    total, kept = _checked(entry, total, parts or {})
    if len(note.strip()) > MAX_NOTE:
        raise Invalid(f"at most {MAX_NOTE} characters", fields=["note"])
    with transaction() as after_commit:
        patient = patients.lock(patient_id)
        if not patient.birth_date <= taken_on <= clock.today(patient.tz):
            raise Invalid("the date is still to come, or before the person was born", fields=["taken_on"])
        if corrects is not None:
            _supersede(patient_id, instrument, corrects, by=by)
        row = ScreenScore(
            patient_id=patient_id,
            instrument=instrument,
            total=total,
            parts=kept or None,
            taken_on=taken_on,
            note=note.strip() or None,
            entered_by=staff_id,
            entered_at=clock.now(),
        )
        db.session.add(row)
        db.session.flush()
        audit.record(row, "entered", by=by, instrument=instrument, corrects_id=corrects)
        present = queries.latest_submitted(patient_id)
        changes = _changes(queries.screen_scores(patient_id), present.record) if present is not None else []
        if changes:
            amending.amend_within_transaction(
                patient, changes, reason=f"{entry.name} entered", by=by, staff_id=staff_id, after_commit=after_commit
            )
        return row.id


def _supersede(patient_id: int, instrument: str, score_id: int, *, by: Actor) -> None:
    earlier = db.session.get(ScreenScore, score_id, with_for_update=True)
    if earlier is None or earlier.patient_id != patient_id or earlier.instrument != instrument:
        raise NotFound("no such score")
    if earlier.superseded_at is not None:
        raise Conflict("someone else corrected this score: reload and look")
    earlier.superseded_at = clock.now()
    audit.record(earlier, "superseded", by=by)


def _checked(entry: Entry, total: int | None, parts: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    if entry.key != scores.MDQ:
        if total is None or isinstance(total, bool) or not entry.low <= total <= entry.high:
            raise Invalid(f"must be a whole number from {entry.low} to {entry.high}", fields=["total"])
        return total, {}
    count, same, problem = (parts.get(name) for name in (scores.MDQ_COUNT, scores.MDQ_SAME_TIME, scores.MDQ_PROBLEM))
    if not isinstance(count, int) or isinstance(count, bool) or not entry.low <= count <= entry.high:
        raise Invalid(f"must be a whole number from {entry.low} to {entry.high}", fields=[scores.MDQ_COUNT])
    if not isinstance(same, bool):
        raise Invalid("choose yes or no", fields=[scores.MDQ_SAME_TIME])
    if problem not in entry.parts[scores.MDQ_PROBLEM]:
        raise Invalid("choose one of the levels", fields=[scores.MDQ_PROBLEM])
    return count, {scores.MDQ_COUNT: count, scores.MDQ_SAME_TIME: same, scores.MDQ_PROBLEM: problem}


def _changes(rows: Sequence[ScreenScore], record: Any) -> list[Change]:
    return [
        Change(path, value, AmendmentSource.SCORE)
        for path, value in scores.facts_of(rows).items()
        if facts.value_at(record or {}, path) != value
    ]
