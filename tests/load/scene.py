"""The clinic that the visitors come to, and what its database holds when they have left."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from clinic import clock, jobs
from clinic.audit import Actor, ActorKind, system
from clinic.db import db
from clinic.demo.load import PASSWORD, TZ
from clinic.eligibility import operations as eligibility
from clinic.eligibility.operations import Decide
from clinic.intake import queries as intakes
from clinic.locations.models import Location
from clinic.patients import links
from clinic.patients import operations as patients
from clinic.patients.models import LinkPurpose, Patient, PatientSession
from clinic.patients.operations import NewPatient
from clinic.scheduling.models import Course, SessionState, TreatmentSession
from clinic.staff.models import StaffUser
from clinic.staff.operations import create_token
from clinic.surveys import operations as surveys
from clinic.surveys.models import Score, Survey
from tests.builders import eligible_record

BY = system("load")
BORN = date(1984, 5, 17)
# Of a hundred visitors; patients and newcomers are the other half and more.
SHARES = {"reader": 10, "desk": 10, "mover": 8, "booker": 5, "system": 7, "patient": 50, "newcomer": 10}
CHECK_INS, LINKS = 8, 8  # of each patient
ITEMS = 9  # of the PHQ-9; then how difficult it is made


def prepare(visitors: int, **plan: Any) -> dict[str, Any]:
    """What the visitors need to know; people and things are made for them. Within the running clinic's application."""
    kinds = [kind for kind, share in SHARES.items() for _ in range(max(1, round(share * visitors / 100)))]
    with jobs.silence():
        own = [_thing_of(kind, number) for number, kind in enumerate(kinds)]
    _share_out_sessions([one for one in own if one["kind"] == "mover"])
    rows = db.session.execute(select(Patient.id, Patient.record_number).order_by(Patient.id).limit(60)).all()
    opens = datetime.combine(clock.today(TZ) + timedelta(days=1), datetime.min.time(), ZoneInfo(TZ)).replace(hour=9)
    return plan | {
        "password": PASSWORD,
        "token": create_token(name="load", role="service", by=BY),
        "patients": [{"id": row.id, "number": row.record_number} for row in rows],
        "sites": ["fullerton", "laguna-hills"],
        "therapists": list(db.session.scalars(select(StaffUser.id).where(StaffUser.email.like("therapist%")))),
        "today": clock.today(TZ).isoformat(),
        "opens": opens.isoformat(),
        "visitors": own,
    }


def _thing_of(kind: str, number: int) -> dict[str, Any]:
    """The visitor's own things: nobody else writes to them."""
    own: dict[str, Any] = {"kind": kind, "email": f"{'prescriber' if kind == 'reader' else 'desk'}@demo.example.org"}
    if kind == "desk":
        own["patients"] = [_contacts(_patient(number, each)) for each in range(3)]
    if kind in ("booker", "system"):
        own["patient"] = _patient(number, 0)
    if kind == "booker":
        _approve(own["patient"])
    if kind == "patient":
        own |= {"patient": _patient(number, 0), "born": [BORN.month, BORN.day, BORN.year]}
        own["surveys"] = [
            surveys.ask_now(own["patient"], ["phq9"], nonce=f"load {number} {each}", by=BY) for each in range(CHECK_INS)
        ]
        made = [links.make_link(LinkPurpose.SIGN_IN, patient_id=own["patient"]) for _ in range(LINKS)]
        own["links"] = [f"/l/{token}" for token in made]
        db.session.commit()
    return own


def _patient(number: int, each: int) -> int:
    site = db.session.scalar(select(Location.id).where(Location.slug == "fullerton"))
    new = NewPatient(
        given_name=f"Load{number}",
        family_name=f"Visitor{each}",
        birth_date=BORN,
        email=f"load{number}-{each}@example.org",
        preferred_location_id=site,
        consents={"email": True},
    )
    return patients.create_patient(new, by=BY)


def _contacts(patient_id: int) -> dict[str, Any]:
    """What the contacts page shows of this person."""
    row = db.session.get_one(Patient, patient_id)
    contacts = {"given_name": row.given_name, "family_name": row.family_name, "birth_date": row.birth_date.isoformat()}
    contacts |= {"email": row.email or "", "phone": "", "language": row.language, "tz": row.tz}
    contacts |= {"preferred_location_id": str(row.preferred_location_id), "message_style": row.message_style}
    contacts |= {"email_consent": "yes", "sms_consent": "unknown", "voice_consent": "unknown"}
    return {"id": patient_id, "number": row.record_number, "contacts": contacts}


def _approve(patient_id: int) -> None:
    prescriber = db.session.scalar(select(StaffUser.id).where(StaffUser.email == "prescriber@demo.example.org"))
    assert prescriber is not None
    eligibility.submit_record(patient_id, eligible_record(as_of=clock.today(TZ).isoformat()), by=BY)
    command = Decide(patient_id=patient_id, pathway="tms", decision="approve", reason="Two adequate trials.")
    eligibility.decide(command, staff_id=prescriber, by=Actor(ActorKind.STAFF, str(prescriber)))


def _share_out_sessions(movers: list[dict[str, Any]]) -> None:
    """Sessions that lie ahead, in turn: neighbors in time want the same places."""
    ahead = select(TreatmentSession.id).where(
        TreatmentSession.state == SessionState.BOOKED,
        TreatmentSession.course_id.is_not(None),
        TreatmentSession.device_id.is_not(None),
        TreatmentSession.starts_at > clock.now() + timedelta(days=3),
    )
    rows = db.session.scalars(ahead.order_by(TreatmentSession.starts_at, TreatmentSession.id)).all()
    for at, one in enumerate(movers):
        one["sessions"] = list(rows[at :: len(movers)])


# -- afterwards -------------------------------------------------------------------------------------------------------


def lost(lines: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Writes that the clinic said yes to and that its database does not hold."""
    by_key: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        if "key" in line:
            by_key[json.dumps(line["key"])].append(line)
    for text, claims in by_key.items():
        said = [n for n, line in enumerate(claims) if line["written"] == "yes"]
        if not said:
            continue
        # A later try without an answer may have been written too, or not.
        possible = [claims[said[-1]], *(one for one in claims[said[-1] + 1 :] if one["written"] == "unknown")]
        found = _found(json.loads(text), possible[0])
        if found not in [one["value"] for one in possible]:
            yield f"{text}: {possible[0]['value']!r} was confirmed, {found!r} is there"


def _found(key: list[Any], line: dict[str, Any]) -> Any:
    """What the database holds of this."""
    match key:
        case ["answer", survey_id, number]:
            return _answer(survey_id, number)
        case ["sent", survey_id]:
            scores = db.session.scalar(select(func.count()).select_from(Score).where(Score.survey_id == survey_id))
            return db.session.get_one(Survey, survey_id).state if scores == 1 else f"{scores} scores"
        case ["payer", patient_id]:
            return db.session.get_one(Patient, patient_id).payer
        case ["style", patient_id]:
            return db.session.get_one(Patient, patient_id).message_style
        case ["place", session_id]:
            row = db.session.get_one(TreatmentSession, session_id)
            return f"{row.starts_at.isoformat()} {row.device_id}"
        case ["visit", _]:
            visit = db.session.get(TreatmentSession, line["value"])
            is_there = visit is not None and visit.starts_at == datetime.fromisoformat(line["starts_at"])
            return line["value"] if is_there else None
        case ["visit state", visit_id]:
            return db.session.get_one(TreatmentSession, visit_id).state
        case ["course", _]:
            return db.session.scalar(select(Course.id).where(Course.id == line["value"]))
        case ["course ended", course_id]:
            return db.session.get_one(Course, course_id).state
        case ["intake", cookie, page, field]:
            session = db.session.scalar(
                select(PatientSession).where(PatientSession.token_hash == bytes.fromhex(cookie))
            )
            assert session is not None
            assert session.intake_id is not None
            return intakes.values(session.intake_id).get(page, {}).get(field)
    raise AssertionError(f"nobody knows what {key} is")


def _answer(survey_id: int, number: int) -> int | None:
    """An answer of a check-in: a draft until it is sent, then part of its score."""
    draft = db.session.get_one(Survey, survey_id).draft
    if draft is not None:
        found: int | None = draft.get(f"phq9.{number}" if number <= ITEMS else "phq9.difficulty")
        return found
    row = db.session.scalars(select(Score).where(Score.survey_id == survey_id)).one()
    return row.items[number - 1] if number <= ITEMS else row.result.get("difficulty")


def written_twice(lines: Iterable[dict[str, Any]], plan: dict[str, Any]) -> Iterator[str]:
    """Visits beyond those that were asked for: a request that was sent again and taken for a new one."""
    asked: dict[int, dict[str, str]] = defaultdict(dict)
    for line in lines:
        if "key" in line and line["key"][0] == "visit" and line["written"] != "no":
            known = asked[line["who"]].get(line["key"][1])
            asked[line["who"]][line["key"][1]] = "yes" if "yes" in (known, line["written"]) else "unknown"
    for number, own in enumerate(plan["visitors"]):
        if own["kind"] == "system":
            count = (
                select(func.count()).select_from(TreatmentSession).where(TreatmentSession.patient_id == own["patient"])
            )
            there, wanted = db.session.scalar(count) or 0, asked[number]
            if not list(wanted.values()).count("yes") <= there <= len(wanted):
                yield f"visitor {number}: {there} visits, {list(wanted.values())}"


def overlaps() -> int:
    """Appointments of which two have one device, patient, or staff member at once; from the rows alone."""
    rows = db.session.execute(
        select(TreatmentSession).where(TreatmentSession.state.in_(("booked", "confirmed", "arrived", "completed")))
    ).scalars()
    used: dict[tuple[str, int], list[tuple[datetime, datetime]]] = defaultdict(list)
    for row in rows:
        for name, key, until in (
            ("device", row.device_id, row.device_until),
            ("patient", row.patient_id, row.ends_at),
            ("staff", row.staff_id, row.ends_at),
        ):
            if key is not None:
                used[name, key].append((row.starts_at.astimezone(UTC), until.astimezone(UTC)))
    return sum(
        later[0] < earlier[1]
        for spans in used.values()
        for earlier, later in zip(sorted(spans), sorted(spans)[1:], strict=False)
    )
