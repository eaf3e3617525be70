"""Open a record of another site for a reason, give it back, and look at it afterwards."""

from dataclasses import dataclass
from datetime import date, timedelta

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db, transaction
from clinic.errors import Conflict, Invalid, NotFound, Refused
from clinic.oversight import queries
from clinic.patients import queries as patients
from clinic.patients import sites
from clinic.patients.models import OpeningReason, RecordOpening
from clinic.patients.sites import everyone
from clinic.staff.models import Role
from clinic.tasks.models import TaskKind, TaskLevel
from clinic.tasks.operations import close_keyed_within_transaction, open_within_transaction

OPEN_FOR = timedelta(hours=4)
LOOKED_AT_WITHIN = timedelta(days=1)
LEAST_WORDS = 10  # characters of a reason: "x" is none


@dataclass(frozen=True, kw_only=True)
class Opening:
    """Whose record, as its opener knows the person, and why."""

    found_by: str  # record number, phone or email, whole
    birth_date: date
    kind: str
    reason: str


def open_record(wish: Opening, *, staff_id: int, by: Actor) -> int:
    """Open a record for four hours, tell the managers, answer the patient's id. Raises Invalid, NotFound.

    Who names nobody, or somebody with another date of birth, hears the same: it does not tell who is a patient here.
    """
    reason = wish.reason.strip()
    if wish.kind not in {str(known) for known in OpeningReason}:
        raise Invalid("Choose a reason.", fields=["kind"])
    if len(reason) < LEAST_WORDS:
        raise Invalid("Say why in a few words. A manager reads this.", fields=["reason"])
    now = clock.now()
    with everyone(), transaction():
        found = [
            patient for patient in patients.search(wish.found_by, limit=20) if patient.birth_date == wish.birth_date
        ]
        if len(found) != 1:
            audit.record_event("patients", "search", "not_opened", by=by)
            patient = None
        else:
            (patient,) = found
            row = RecordOpening(
                patient_id=patient.id,
                staff_id=staff_id,
                kind=wish.kind,
                reason=reason,
                opened_at=now,
                expires_at=now + OPEN_FOR,
            )
            db.session.add(row)
            audit.record(row, "opened_elsewhere", by=by, reason=reason, kind=wish.kind)
            open_within_transaction(
                kind=TaskKind.RECORD_OPENED,
                level=TaskLevel.SAME_DAY,
                dedupe_key=_task_key(row.id),
                for_role=Role.MANAGER,
                due_at=now + LOOKED_AT_WITHIN,
                by=by,
                patient_id=patient.id,
                location_id=_site_of(patient.id, patient.preferred_location_id),
                subject={"opening": row.id},
            )
    if patient is None:
        raise NotFound("Nobody has this record number, phone or email and this date of birth.")
    return patient.id


def give_back(opening_id: int, *, staff_id: int, by: Actor) -> None:
    """Close one's own opening before its time. Raises NotFound."""
    with everyone(), transaction():
        row = db.session.get(RecordOpening, opening_id, with_for_update=True)
        if row is None or row.staff_id != staff_id:
            raise NotFound("no such opening")
        if row.closed_at is None:
            row.closed_at = clock.now()
            audit.record(row, "given_back", by=by)


def review(opening_id: int, *, finding: str, staff_id: int, by: Actor) -> None:
    """A manager says what they found; the task is done with it. Raises Invalid, Conflict, Refused."""
    words = finding.strip()
    if not words:
        raise Invalid("Say what you found.", fields=["finding"])
    with transaction():
        row = queries.lock(opening_id)
        if row.staff_id == staff_id:
            raise Refused("Someone else looks at what you opened.")
        if row.reviewed_at is not None:
            raise Conflict("This was looked at already.")
        row.reviewed_at, row.reviewed_by, row.finding = clock.now(), staff_id, words
        audit.record(row, "reviewed", by=by, reason=words)
        close_keyed_within_transaction([_task_key(row.id)], outcome=words, by=by)


def _task_key(opening_id: int) -> str:
    return f"opening:{opening_id}"


def _site_of(patient_id: int, preferred: int | None) -> int | None:
    """The site whose managers look at it."""
    return preferred if preferred is not None else min(sites.site_ids(patient_id), default=None)
