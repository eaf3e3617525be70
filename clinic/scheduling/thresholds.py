"""Sessions in which the motor threshold is found anew: they take longer, and somebody may ask for one more."""

from datetime import timedelta

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db, transaction
from clinic.errors import AlreadyOver, Conflict, SlotTaken
from clinic.scheduling import booking, locking, queries, steps, wishes, writing
from clinic.scheduling.mirror import taken
from clinic.scheduling.planner.rules import text_of
from clinic.scheduling.wishes import PlannedSession


def plan_threshold(session_id: int, *, wanted: bool, by: Actor) -> int:
    """Give a session ahead the time for a new motor threshold, or its usual time back; answers its minutes.

    It stays where it is. Raises NotFound, AlreadyOver, Conflict where the treatment has none; SlotTaken where what
    follows leaves no room: move one of the two first.
    """
    with booking.overlaps_translated(), transaction() as after_commit:
        row = queries.lock_session(session_id)
        if row.course_id is None or row.device_id is None:
            raise Conflict("only a session of a course has a motor threshold")
        if row.state not in queries.AHEAD or row.starts_at <= clock.now():
            raise AlreadyOver("this session has begun, ended or was cancelled")
        protocol = wishes.protocol_of(queries.course_of(row).protocol)
        visit = wishes.visit_of(protocol, row.number, row.kind)
        if protocol.redetermination is None or row.kind == "mapping":
            raise Conflict("no motor threshold is found anew in this session")
        length = wishes.length(protocol, wishes.longer(protocol, visit) if wanted else visit)
        minutes = int(length / timedelta(minutes=1))
        if row.with_threshold == wanted:
            return minutes
        locked = locking.lock_row(row)
        place = PlannedSession(
            row.number,
            row.kind,
            row.need,
            row.device_id,
            row.location_id,
            row.starts_at,
            row.starts_at + length,
            wanted,
        )
        locked.free(taken(row))
        held = [one for one in queries.held_by_patient(row.patient_id) if one.session_id != row.id]
        rule = booking.rule_against(place, locked.so_far(), held)
        if rule is not None:
            why = f"there is no room for {minutes} minutes: {text_of(rule)}"
            raise SlotTaken(f"{why}. Move one of the two first", taken=[])
        new = writing.place_of(place, locked)
        before = steps.before([row])
        row.ends_at, row.device_until, row.with_threshold = new.ends_at, new.device_until, wanted
        row.spaced_until = max(row.spaced_until, new.ends_at) if protocol.min_hours is None else row.spaced_until
        row.revision += 1
        locked.take(new)
        steps.remember("threshold", before, [row], by=by)
        audit.record(  # where it was told to be: a message about it would say nothing new
            row,
            "threshold_planned" if wanted else "threshold_dropped",
            by=by,
            minutes=minutes,
            from_at=row.starts_at.isoformat(),
            from_device=row.device_id,
            revision=row.revision,
        )
        db.session.flush()
        locking.raise_versions(locked, after_commit)
        return minutes
