"""`make_x(**overrides)`: valid by default; a test spells out only what it is about. They add and flush, never commit."""

import itertools
import secrets
import uuid
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from clinic import clock
from clinic.audit import Actor, ActorKind, system
from clinic.db import db
from clinic.eligibility.models import Assessment, Decision
from clinic.intake.models import Intake
from clinic.locations.models import ClinicProfile, Device, Location, OpeningHours, Room, StaffShift
from clinic.patients.models import Patient
from clinic.patients.operations import NewPatient, create_within_transaction
from clinic.reminders.models import Message
from clinic.scheduling.models import Course, CourseProposal, TreatmentSession, WaitlistEntry, WaitlistOffer
from clinic.scheduling.wishes import CourseWish
from clinic.staff.models import StaffLocation, StaffRole, StaffUser
from clinic.tasks.models import Task

TESTER: Actor = system("tests")
_numbers = itertools.count(1)


def _add(row: Any) -> Any:
    db.session.add(row)
    db.session.flush()
    return row


def make_profile(**overrides: Any) -> ClinicProfile:
    found = db.session.get(ClinicProfile, 1)
    if found is not None:
        return found
    values: dict[str, Any] = {
        "id": 1,
        "name": "Harbor Clinic",
        "short_name": "Harbor",
        "slogan": "Care that goes on",
        "phone": "+17145550100",
        "promises_safety_call": False,
        "is_demo": True,
    }
    return _add(ClinicProfile(**values | overrides))


def make_location(
    *, hours: tuple[time, time] = (time(8), time(18)), weekdays: range = range(5), **overrides: Any
) -> Location:
    number = next(_numbers)
    values: dict[str, Any] = {
        "slug": f"site-{number}",
        "name": f"Site {number}",
        "address": "1 Main Street",
        "zip_code": "92831",
        "tz": "America/Los_Angeles",
        "phone": "+17145550101",
        "note": "",
        "chairs_per_observer": 2,
        "schedule_version": 1,
    }
    location = _add(Location(**values | overrides))
    for weekday in weekdays:
        _add(OpeningHours(location_id=location.id, weekday=weekday, opens=hours[0], closes=hours[1]))
    return location


def make_device(location: Location, **overrides: Any) -> Device:
    values: dict[str, Any] = {
        "location_id": location.id,
        "name": f"TMS {next(_numbers)}",
        "kind": "tms",
        "turnover_minutes": 5,
        "protocols": ["tms_10hz_left_standard", "tms_10hz_left_dash", "itbs_left"],
    }
    return _add(Device(**values | overrides))


def make_staff(
    *roles: str, skills: tuple[str, ...] = (), locations: tuple[Location, ...] | None = None, **overrides: Any
) -> StaffUser:
    """A staff member of these sites, or of all."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "email": f"staff{number}@example.org",
        "name": f"Staff {number}",
        "password": None,
        "active": True,
        "fs_uniquifier": secrets.token_hex(16),
        "confirmed_at": clock.now(),
        "skills": list(skills),
        "has_all_sites": locations is None,
    }
    user = StaffUser(**values | overrides)
    user.roles = [
        db.session.scalar(select(StaffRole).where(StaffRole.name == name)) or StaffRole(name=name) for name in roles
    ]
    _add(user)
    for location in locations or ():
        _add(StaffLocation(user_id=user.id, location_id=location.id))
    return user


def actor_of(user: StaffUser) -> Actor:
    """The staff member as who acts."""
    return Actor(ActorKind.STAFF, str(user.id))


def make_room(location: Location, **overrides: Any) -> Room:
    values: dict[str, Any] = {"location_id": location.id, "name": f"Room {next(_numbers)}", "is_shared": False}
    return _add(Room(**values | overrides))


def make_shifts(user: StaffUser, location: Location, *, starts: time = time(8), ends: time = time(18)) -> None:
    for weekday in range(5):
        _add(
            StaffShift(
                user_id=user.id,
                location_id=location.id,
                weekday=weekday,
                starts=starts,
                ends=ends,
                valid_from=date(2026, 1, 1),
            )
        )


def make_patient(**overrides: Any) -> Patient:
    number = next(_numbers)
    values: dict[str, Any] = {
        "given_name": "Ada",
        "family_name": f"Example{number}",
        "birth_date": date(1980, 5, 17),
        "email": f"ada{number}@example.org",
        "phone": f"+1714555{number:04d}",
    }
    return create_within_transaction(NewPatient(**values | overrides), by=TESTER, source="tests")


def make_task(**overrides: Any) -> Task:
    values: dict[str, Any] = {
        "kind": "book_course",
        "level": "routine",
        "subject": {},
        "for_role": "front_desk",
        "dedupe_key": f"task:{next(_numbers)}",
        "created_at": clock.now(),
        "due_at": clock.now(),
    }
    return _add(Task(**values | overrides))


def make_message(patient: Patient | None = None, **overrides: Any) -> Message:
    """A text that waits, about a visit tomorrow."""
    number, now = next(_numbers), clock.now()
    values: dict[str, Any] = {
        "reference": uuid.uuid4(),
        "patient_id": patient.id if patient is not None else None,
        "recipient": None if patient is not None else "desk@example.org",
        "recipient_key": f"p:{patient.id}" if patient is not None else "a:desk",
        "purpose": "day_before",
        "occurrence": f"s:{number}@0",
        "channel": "sms",
        "lane": "normal",
        "state": "due",
        "not_before": now,
        "deadline": now + timedelta(hours=12),
        "attempts": 0,
        "created_at": now,
    }
    return _add(Message(**values | overrides))


def make_offer(like: TreatmentSession, starts: Sequence[datetime], *, now: datetime) -> WaitlistOffer:
    """Off the waiting list, at these times: a course of the patient and on the device of a session, held for four hours."""
    course = db.session.get_one(Course, like.course_id)
    place = {name: getattr(like, name) for name in ("device_id", "location_id", "need")}
    sessions = [
        place
        | {
            "number": number,
            "kind": "daily",
            "starts_at": at.isoformat(),
            "ends_at": (at + timedelta(minutes=20)).isoformat(),
        }
        for number, at in enumerate(starts, 1)
    ]
    proposal = CourseProposal(
        id=uuid.uuid4(),
        patient_id=like.patient_id,
        kind="earliest",
        protocol=course.protocol,
        request={},
        plan={
            "location_id": like.location_id,
            "device_id": like.device_id,
            "anchor": 600,
            "cost": 0,
            "sessions": sessions,
        },
        created_at=now,
        expires_at=now + timedelta(hours=4),
    )
    entry = WaitlistEntry(
        patient_id=like.patient_id,
        protocol=course.protocol,
        wish=CourseWish(course.protocol).as_json(),
        priority=0,
        state="offered",
        created_at=now,
        looked_at=now,
        quiet_until=now,
    )
    _add(proposal)
    _add(entry)
    return _add(
        WaitlistOffer(
            entry_id=entry.id,
            patient_id=like.patient_id,
            proposal_id=proposal.id,
            gain=1,
            state="open",
            created_at=now,
            expires_at=now + timedelta(hours=4),
        )
    )


def failed_trial(drug: str, mg: float, **overrides: Any) -> dict[str, Any]:
    """A medication row that counts: adequate dose and weeks, taken as prescribed, no help, this episode."""
    return {
        "drug": drug,
        "dose_mg_per_day": mg,
        "weeks": 10,
        "weeks_at_dose": 8,
        "adherence": "good",
        "outcome": "none",
        "stopped_reason": "inefficacy",
        "in_current_episode": True,
        "purpose": "depression",
        "role": "alone",
        **overrides,
    }


CLEAR_SAFETY: dict[str, Any] = {
    "metal_in_head": False,
    "cochlear_implant": False,
    "pacemaker_or_icd": False,
    "vns_or_dbs": False,
    "seizure_history": False,
    "stroke_or_brain_lesion": False,
    "pregnant": False,
    "current_substance_use": False,
    "aneurysm_or_avm": False,
    "intracerebral_haemorrhage": False,
    "bp": [118, 76],
    "psychosis_history": False,
    "liver_impairment": "none",
}


def eligible_record(**overrides: Any) -> dict[str, Any]:
    """A history that is likely eligible for TMS: two adequate trials of two drugs, nothing against it."""
    return {
        "age": 43,
        "sex": "female",
        "episode": {
            "diagnosis": "mdd",
            "onset_weeks_ago": 60,
            "psychotic_features": False,
            "current_mania": False,
            "severity": "moderate",
            "ect_used": False,
        },
        "trials": [failed_trial("sertraline", 150), failed_trial("venlafaxine", 225)],
        "phq9": [2, 2, 2, 3, 2, 2, 2, 1, 0],
        "cssrs": {
            "wish_dead": False,
            "thoughts": False,
            "method": False,
            "intent": False,
            "plan": False,
            "behaviour_lifetime": False,
            "behaviour_3mo": False,
        },
        "mdq_positive": False,
        "audit_c": 1,
        "safety": dict(CLEAR_SAFETY),
        **overrides,
    }


def make_decision(patient: Patient, *, pathway: str = "tms", **overrides: Any) -> Decision:
    """An approving decision, with the assessment that it rests on."""
    found = db.session.scalar(
        select(Decision).where(
            Decision.patient_id == patient.id, Decision.pathway == pathway, Decision.superseded_at.is_(None)
        )
    )
    if found is not None:
        return found
    assessment = db.session.scalar(select(Assessment).where(Assessment.patient_id == patient.id)) or _add(
        Assessment(
            patient_id=patient.id,
            ruleset="default",
            ruleset_version="1",
            record={},
            result={},
            result_hash=b"0" * 32,
            trd="met",
            tms="likely_eligible",
            esketamine="needs_review",
            iv_ketamine="needs_review",
            is_urgent=False,
            assessed_at=clock.now(),
        )
    )
    values: dict[str, Any] = {
        "patient_id": patient.id,
        "assessment_id": assessment.id,
        "pathway": pathway,
        "decision": "approve",
        "reason": "history reviewed",
        "is_override": False,
        "decided_by": make_staff("prescriber").id,
        "decided_at": clock.now(),
    }
    return _add(Decision(**values | overrides))


def make_course(
    patient: Patient, starts: Sequence[datetime], *, device: Device | None = None, need: str = "tms", **overrides: Any
) -> Course:
    """A booked course with one session of 20 minutes at each of these instants; `course_sessions` lists them."""
    site = db.session.get_one(Location, device.location_id) if device is not None else make_location()
    device = device or make_device(site)
    values: dict[str, Any] = {
        "patient_id": patient.id,
        "decision_id": overrides.get("decision_id") or make_decision(patient).id,
        "protocol": "tms_10hz_left_standard",
        "protocol_version": "1",
        "location_id": site.id,
        "device_id": device.id,
        "anchor_minute": 600,
        "planned_sessions": len(starts),
        "cost": 0,
        "state": "booked",
        "created_at": clock.now() - timedelta(days=30),
    }
    course = _add(Course(**values | overrides))
    for number, start in enumerate(starts, start=1):
        make_session(course, start, number=number, need=need)
    return course


def make_session(course: Course, start: datetime, *, number: int = 1, **overrides: Any) -> TreatmentSession:
    """One session of a course, 20 minutes long."""
    site = db.session.get_one(Location, course.location_id)
    values: dict[str, Any] = {
        "course_id": course.id,
        "patient_id": course.patient_id,
        "location_id": course.location_id,
        "device_id": course.device_id,
        "number": number,
        "kind": "daily",
        "need": "tms",
        "starts_at": start,
        "ends_at": start + timedelta(minutes=20),
        "device_until": start + timedelta(minutes=25),
        "spaced_until": start + timedelta(minutes=25),
        "local_on": start.astimezone(ZoneInfo(site.tz)).date(),
        "state": "booked",
        "revision": 0,
    }
    return _add(TreatmentSession(**values | overrides))


def make_visit(patient: Patient, staff: StaffUser, location: Location, start: datetime, **overrides: Any) -> Any:
    """A visit of half an hour with a staff member, written past every operation."""
    values: dict[str, Any] = {
        "patient_id": patient.id,
        "location_id": location.id,
        "staff_id": staff.id,
        "number": 1,
        "kind": "consult",
        "need": "person",
        "starts_at": start,
        "ends_at": start + timedelta(minutes=30),
        "device_until": start + timedelta(minutes=30),
        "spaced_until": start + timedelta(minutes=30),
        "local_on": start.astimezone(ZoneInfo(location.tz)).date(),
        "state": "booked",
        "revision": 0,
    }
    return _add(TreatmentSession(**values | overrides))


def course_sessions(course: Course) -> Sequence[TreatmentSession]:
    """The sessions of a course, by number."""
    statement = select(TreatmentSession).where(TreatmentSession.course_id == course.id)
    return db.session.scalars(statement.order_by(TreatmentSession.number)).all()


def permit_esketamine(patient: Patient, site: Location) -> None:
    """What booking asks for: the site is certified, the person enrolled and authorized."""
    from clinic.scheduling import authorising
    from clinic.treatment import permits, queries

    staff_id = make_staff("nurse").id
    day = date(2026, 1, 1)
    if queries.certification(site.id, "spravato_rems") is None:
        permits.certify_site(
            site.id, "spravato_rems", number="C", certified_on=day, expires_on=None, staff_id=staff_id, by=TESTER
        )
    permits.enroll(patient.id, "spravato_rems", number="E", enrolled_on=day, staff_id=staff_id, by=TESTER)
    authorising.agree_self_pay(patient.id, pathway="esketamine", what="agreed", agreed_on=day, by=TESTER)


def phq9_answers(value: int, item9: int | None = 0) -> dict[str, Any]:
    """Answers of a check-in: this value for the first eight items of the PHQ-9, and item 9."""
    return {f"phq9.{number}": value for number in range(1, 9)} | {"phq9.9": item9}


def make_intake(patient: Patient | None = None, **overrides: Any) -> Intake:
    """A sent intake of this patient, or of a new one; `record` is what was sent."""
    values: dict[str, Any] = {
        "patient_id": (patient or make_patient()).id,
        "state": "submitted",
        "language": "en",
        "started_at": clock.now() - timedelta(minutes=15),
        "saved_at": clock.now(),
        "submitted_at": clock.now(),
        "record": {"age": 46},
    }
    return _add(Intake(**values | overrides))
