"""The room of the demo: certified sites, and people whose visit of today is watched, each as far as the hour allows."""

from collections.abc import Callable
from datetime import date, timedelta

from clinic import clock
from clinic.audit import Actor
from clinic.errors import ClinicError
from clinic.scheduling import appointments, authorising, operations, queries
from clinic.scheduling.authorising import NewAuthorisation
from clinic.scheduling.models import TreatmentSession
from clinic.scheduling.wishes import CourseWish
from clinic.treatment import observing, permits
from clinic.treatment.rules import BEFORE_DOSE, ON_RECORD, programs

PROTOCOL = "esketamine_trd"
PEOPLE = (("Orla", "Vance"), ("Teodoro", "Achterberg"), ("Suki", "Lindgren"), ("Ramona", "Eastman"))
HIGH = 3  # this one's pressure is over the limit: a prescriber decides
STEPS = tuple(key for key in BEFORE_DOSE if key not in ON_RECORD)


def certify(site_ids: list[int], staff_id: int, by: Actor, today: date) -> None:
    """The sites with chairs hold their certificate."""
    for number, site_id in enumerate(site_ids, 1):
        permits.certify_site(
            site_id,
            next(iter(programs())),
            number=f"DEMO-{number:04d}",
            certified_on=today - timedelta(days=200),
            expires_on=None,
            staff_id=staff_id,
            by=by,
        )


def enroll(patient_id: int, number: int, staff_id: int, by: Actor, today: date) -> None:
    """The person may be booked."""
    permits.enroll(
        patient_id,
        next(iter(programs())),
        number=f"DEMO-P-{number}",
        enrolled_on=today - timedelta(days=5),
        staff_id=staff_id,
        by=by,
    )
    new = NewAuthorisation(
        patient_id=patient_id,
        payer="Demo payer",
        number=f"DEMO-A-{number}",
        pathway="esketamine",
        sessions_approved=24,
        valid_from=today - timedelta(days=5),
        valid_until=today + timedelta(days=180),
    )
    authorising.add_authorisation(new, by=by)


def book(patient_id: int, site_id: int, first: date, by: Actor) -> int | None:
    """A whole course from that day on; None where no place is free."""
    wish = CourseWish(protocol=PROTOCOL, earliest_start=first, location_ids=(site_id,), count=1)
    offer = operations.propose_courses(patient_id, wish, by=by)
    if not offer.proposal_ids:
        return None
    return operations.book_course(patient_id, proposal_id=offer.proposal_ids[0], by=by).course_id


def live(course_id: int, nth: int, staff_id: int, by: Actor) -> None:
    """What has happened of the first visit until now."""
    now = clock.now()
    session = min(queries.sessions(course_id), key=lambda row: row.starts_at)
    for after, act in _story(session, nth, staff_id, by):
        at = session.starts_at + timedelta(minutes=after)
        if at > now:
            return
        with clock.frozen(at):
            try:
                act()
            except ClinicError:
                return  # a rule stands against the rest of the story: the visit stays where it is


def _story(session: TreatmentSession, nth: int, staff_id: int, by: Actor) -> list[tuple[int, Callable[[], object]]]:
    session_id = session.id
    before = (152, 94) if nth == HIGH else (118 + 3 * nth, 74 + nth)

    def measured(moment: str, pressure: tuple[int, int]) -> Callable[[], object]:
        return lambda: observing.record_reading(
            session_id,
            moment=moment,
            systolic=pressure[0],
            diastolic=pressure[1],
            spo2=98 - nth % 2,
            staff_id=staff_id,
            by=by,
        )

    marks = observing.LEAVING_MARKS
    return [
        (-5, lambda: appointments.arrive_session(session_id, by=by)),
        (-4, lambda: observing.prepare(session_id, checks=STEPS, ride="brother, (714) 555-0199", by=by)),
        (2, measured("before", before)),
        (12, lambda: observing.give_dose(session_id, dose_mg=56, lot="DEMO1", by=by)),
        (53, measured("40", (before[0] + 14, before[1] + 6))),
        (134, measured("leaving", (before[0] + 4, before[1] + 2))),
        (135, lambda: observing.mark_leaving(session_id, tuple(marks), staff_id=staff_id, by=by)),
        (138, lambda: observing.close(session_id, by=by)),
    ]
