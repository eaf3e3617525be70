"""Prior-authorization packets: gather the stored facts, issue, and keep the tasks for what is missing."""

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import defer

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db, transaction
from clinic.eligibility import packet, queries, verification
from clinic.eligibility.engine import IntakeRecord, assess, knowledge, policies
from clinic.eligibility.models import Assessment, Packet, PacketDraft
from clinic.eligibility.packet_parts import Approval, Facts, File, Hole, OwnWords, Person, Plan, ScoreFact
from clinic.eligibility.packet_parts import Packet as Made
from clinic.errors import Conflict, Invalid, NotFound
from clinic.intake.models import Amendment, AmendmentSource, Attachment, Intake, IntakePage, IntakeTrial, ScreenScore
from clinic.locations import queries as locations
from clinic.patients import queries as patients
from clinic.patients.models import Patient
from clinic.protocols.base import Protocol
from clinic.protocols.shapes import bookable
from clinic.staff.models import StaffUser
from clinic.staff.queries import staff_names
from clinic.tasks import operations as tasks
from clinic.tasks.models import Task, TaskKind, TaskLevel
from clinic.web import pdf

TEMPLATE = Path(__file__).parent / "typst" / "packet.typ"
MAX_WORDS = 6000
HOLE_WITHIN = 5  # open days of the clinic
MOST_DAYS = 366  # so far ahead a missing fact can be asked for
ROLES = ("nurse", "therapist", "prescriber", "manager")  # that a missing fact can be given to: they may read what it is

# Facts that features above hold about a person; they register at import.
# "scores": scored questionnaires of the course; "referrer": (name, organization, referral id, added on) or None.
OUTSIDE: dict[str, Callable[[int], Any]] = {}


@dataclass(frozen=True)
class Assignment:
    """Who is to fill a hole, and by when. One of `staff_id` and `role`."""

    key: str
    due_on: date
    role: str | None = None
    staff_id: int | None = None


# -- facts ------------------------------------------------------------------------------------------------------------


def policy(policy_id: str) -> Mapping[str, Any]:
    """One policy of the catalogue. Raises NotFound."""
    try:
        return knowledge.policy(policy_id)
    except KeyError:
        raise NotFound("no such policy") from None


def policies_for(assessment: Assessment) -> tuple[list[str], list[str]]:
    """Policies of the person's payer, and all others, by payer."""
    payer = assessment.record.get("payer")
    named = list(policies.find_policies(payer)) if payer else []
    rest = [each for each in knowledge.policy_ids() if each not in named]
    return named, sorted(rest, key=lambda each: str(knowledge.policy(each)["payer"]).casefold())


def protocols_for(policy_id: str) -> list[Protocol]:
    """Protocols of the treatment that the policy is about, in each shape that begins a course, by name."""
    treatment = packet.treatment_of(policy(policy_id))
    begin = (each for each in bookable().values() if each.modality == treatment and not each.follows)
    return sorted(begin, key=lambda each: each.name)


def draft(patient_id: int, policy_id: str) -> PacketDraft | None:
    """What a clinician added so far."""
    return db.session.scalar(
        select(PacketDraft).where(PacketDraft.patient_id == patient_id, PacketDraft.policy == policy_id)
    )


def issued(patient_id: int, *, limit: int = 50) -> Sequence[Packet]:
    """A person's packets, newest first; content and file stay in the database."""
    statement = select(Packet).where(Packet.patient_id == patient_id).options(defer(Packet.content))
    return db.session.scalars(statement.order_by(Packet.id.desc()).limit(limit)).all()


def get(packet_id: int) -> Packet:
    """An issued packet. Raises NotFound."""
    found = db.session.get(Packet, packet_id)
    if found is None:
        raise NotFound("no such packet")
    return found


def is_whole(row: Packet) -> bool:
    """Whether the file is the one that was issued, bit for bit."""
    return hashlib.sha256(row.pdf).digest() == row.pdf_hash


def policy_name(policy_id: str) -> str:
    """The payer of a policy, also of one that left the catalogue."""
    return str(knowledge.policy(policy_id)["payer"]) if policy_id in knowledge.policy_ids() else policy_id


def build(assessment: Assessment, policy_id: str) -> Made:
    """The packet as the stored facts make it now. Raises NotFound for a policy that is not in the catalogue."""
    return packet.build(gather(assessment, policy_id))


def gather(assessment: Assessment, policy_id: str) -> Facts:
    """Every stored fact that the packet of this policy may rest on. Raises NotFound."""
    rules, patient = policy(policy_id), patients.get(assessment.patient_id)
    today, profile = clock.today(patient.tz), locations.profile()
    intake = db.session.get(Intake, assessment.intake_id) if assessment.intake_id else None
    first = _first_of(intake)
    sent_at = (first.submitted_at if first else None) or assessment.assessed_at
    files = _files(patient)
    added = draft(patient.id, policy_id)
    site = locations.get(patient.preferred_location_id) if patient.preferred_location_id else None
    return Facts(
        person=Person(name=patient.name, birth_date=patient.birth_date, record_number=patient.record_number),
        clinic=profile.name if profile else "The clinic",
        clinic_phone=packet.words.phone(profile.phone) if profile else "",
        clinic_address=site.address if site else "",
        assessment_id=assessment.id,
        record=assessment.record,
        result=assessment.result,
        policy=rules,
        evaluation=_evaluation(assessment, rules),
        policy_state=str(verification.state(policy_id, today)),
        sent_on=_day(sent_at, patient.tz),
        origins=_origins(assessment, intake, files, patient.tz),
        default_origin=_default_origin(first, patient, sent_at),
        approval=_approval(patient, packet.treatment_of(rules)),
        plan=_plan(added.protocol if added else None),
        scores=_scores(patient),
        files=files,
        referrer=_referrer(patient),
        own_words=_own_words(added, patient.tz),
    )


def _day(at: datetime, tz: str) -> date:
    return at.astimezone(ZoneInfo(tz)).date()


def _evaluation(assessment: Assessment, rules: Mapping[str, Any]) -> Mapping[str, Any]:
    """The stored answer of this very version of the policy, else the engine's answer on the stored record."""
    for found in assessment.result["policies"]:
        if found["id"] == rules["id"] and found["version"] == str(rules["version"]):
            return dict(found)
    record = IntakeRecord.model_validate(assessment.record)
    answer = assess(record, ruleset=assessment.ruleset, policies=(rules["id"],)).to_json()
    return next(dict(each) for each in answer["policies"] if each["id"] == rules["id"])


def _first_of(intake: Intake | None) -> Intake | None:
    """The form that a chain of corrections began with."""
    while intake is not None and intake.corrects_id is not None:
        intake = db.session.get_one(Intake, intake.corrects_id)
    return intake


def _default_origin(first: Intake | None, patient: Patient, sent_at: datetime) -> str:
    on = packet.words.day(_day(sent_at, patient.tz))
    if first is None or not db.session.scalar(select(IntakePage.id).where(IntakePage.intake_id == first.id).limit(1)):
        return f"Record sent whole to the clinic, {on}"
    if first.entered_by is not None:
        return f"Entered by {_name(first.entered_by)} for the patient, form sent {on}"
    return f"Patient's own words, form sent {on}"


def _name(staff_id: int) -> str:
    return staff_names([staff_id]).get(staff_id, "staff")


_SOURCES = {
    AmendmentSource.PATIENT: "Patient's own answer to a question, {on}",
    AmendmentSource.CLINICIAN: "Entered by {who}, {on}",
    AmendmentSource.DOCUMENT: "Read from a document by {who}, {on}",
    AmendmentSource.SCORE: "Score entered by {who}, {on}",
}
_DOCUMENTED = {"pharmacy": "pharmacy record", "chart": "chart", "letter": "prescriber's letter"}


def _origins(assessment: Assessment, intake: Intake | None, files: Sequence[File], tz: str) -> dict[str, str]:
    """Where facts of the record came from, by path, other than the form itself. A later entry stands over an earlier."""
    found = {}
    attached = next((number for number, each in enumerate(files, 1) if each.kind == "pharmacy_list"), None)
    trials = assessment.record.get("trials") or []
    for index, trial in enumerate(trials):
        if trial.get("documentation") in _DOCUMENTED:
            also = f", Attachment {attached}" if attached and trial["documentation"] == "pharmacy" else ""
            found[f"trials[{index}]"] = f"Form, documented by {_DOCUMENTED[trial['documentation']]}{also}"
    if intake is None:
        return found
    keys = db.session.scalars(
        select(IntakeTrial.key)
        .where(IntakeTrial.intake_id == intake.id, IntakeTrial.removed_at.is_(None))
        .order_by(IntakeTrial.position, IntakeTrial.id)
    ).all()
    places = {key: place for place, key in enumerate(keys, len(trials) - len(keys))}
    rows = db.session.scalars(select(Amendment).where(Amendment.intake_id == intake.id).order_by(Amendment.id)).all()
    names = staff_names([row.amended_by for row in rows if row.amended_by])
    for row in rows:
        path = row.path
        if row.trial_key is not None:
            if row.trial_key not in places:
                continue
            path = f"trials[{places[row.trial_key]}].{row.path}"
        words = _SOURCES[AmendmentSource(row.source)]
        on = packet.words.day(_day(row.amended_at, tz))
        found[path] = words.format(who=names.get(row.amended_by or 0, "staff"), on=on)
    return found


def _approval(patient: Patient, pathway: str) -> Approval | None:
    row = queries.approving_decision(patient.id, pathway)
    if row is None:
        return None
    by = _name(row.decided_by) if row.decided_by else "A connected system"
    return Approval(id=row.id, by=by, on=_day(row.decided_at, patient.tz), is_override=row.is_override)


def _plan(key: str | None) -> Plan | None:
    chosen = bookable().get(key or "")
    if chosen is None:
        return None
    more = chosen.visits_by_stage[1:]
    later = tuple(
        (len(visits), stage.needs_improvement_percent) for stage, visits in zip(chosen.later, more, strict=True)
    )
    return Plan(
        key=chosen.key,
        version=chosen.version,
        name=chosen.name,
        sessions=chosen.session_count,
        visits=len(chosen.first_visits),
        later=later,
        codes=tuple(map(str, chosen.facts.get("codes") or ())),
    )


def _scores(patient: Patient) -> list[ScoreFact]:
    rows = db.session.scalars(
        select(ScreenScore)
        .where(ScreenScore.patient_id == patient.id, ScreenScore.superseded_at.is_(None))
        .order_by(ScreenScore.id)
    ).all()
    names = staff_names([row.entered_by for row in rows])
    found = [
        ScoreFact(
            instrument=row.instrument,
            total=row.total,
            taken_on=row.taken_on,
            path=f"screen_scores.{row.id}",
            origin=f"Score entered by {names.get(row.entered_by, 'staff')}, {packet.words.day(_day(row.entered_at, patient.tz))}",
        )
        for row in rows
    ]
    return found + list(OUTSIDE["scores"](patient.id) if "scores" in OUTSIDE else [])


def _files(patient: Patient) -> list[File]:
    rows = db.session.scalars(
        select(Attachment)
        .where(Attachment.patient_id == patient.id, Attachment.removed_at.is_(None))
        .order_by(Attachment.id)
    ).all()
    return [
        File(id=row.id, kind=row.kind, about_on=row.about_on, added_on=_day(row.added_at, patient.tz)) for row in rows
    ]


def _referrer(patient: Patient) -> tuple[str, str, str] | None:
    found = OUTSIDE["referrer"](patient.id) if "referrer" in OUTSIDE else None
    if found is None:
        return None
    name, organization, referral_id, added_on = found
    return name, organization or "", f"Referral {referral_id}, {packet.words.day(added_on)}"


def _own_words(added: PacketDraft | None, tz: str) -> OwnWords | None:
    if added is None or not added.words:
        return None
    return OwnWords(text=added.words, by=_name(added.edited_by), on=_day(added.edited_at, tz))


# -- what a clinician adds --------------------------------------------------------------------------------------------


def save_draft(
    patient_id: int, policy_id: str, *, words: str, protocol: str | None, revision: int, staff_id: int, by: Actor
) -> None:
    """Keep the clinician's paragraph and the protocol asked for.

    Raises Invalid, NotFound, and Conflict where someone else saved since `revision`.
    """
    text = words.strip()
    if len(text) > MAX_WORDS:
        raise Invalid(f"At most {MAX_WORDS} characters.", fields=["words"])
    if protocol and protocol not in {each.key for each in protocols_for(policy_id)}:
        raise Invalid("Choose one of the protocols.", fields=["protocol"])
    with transaction():
        patient = patients.lock(patient_id)
        row = draft(patient_id, policy_id)
        if (row.revision if row else 0) != revision:
            raise Conflict("Someone else changed this paragraph meanwhile. Nothing of theirs was overwritten.")
        if row is None:
            row = PacketDraft(patient_id=patient_id, policy=policy_id, revision=0)
            db.session.add(row)
        row.words, row.protocol = text or None, protocol or None
        row.revision += 1
        row.edited_by, row.edited_at = staff_id, clock.now()
        audit.record(row, "drafted", by=by, policy=policy_id, revision=row.revision)
        close_filled_within_transaction(patient, by=by)


# -- issue ------------------------------------------------------------------------------------------------------------


def issue(assessment_id: int, policy_id: str, *, staff_id: int, by: Actor) -> int:
    """Seal the packet with its PDF; answers its id. The same content again answers the one that is there.

    Raises NotFound, and Conflict where a newer assessment is there.
    """
    with transaction():
        assessment = queries.assessment(assessment_id)
        patient = patients.lock(assessment.patient_id)
        present = queries.present_assessment(patient.id)
        if present is None or present.id != assessment_id:
            raise Conflict("A newer assessment is there. Read its packet, then issue that one.")
        made = build(assessment, policy_id)
        content, now = json.loads(json.dumps(made.to_json())), clock.now()
        before = _last_issued(assessment_id, policy_id)
        if before is not None and before.content == content:
            return before.id
        data = render(made, patient, at=now)
        row = Packet(
            patient_id=patient.id,
            assessment_id=assessment_id,
            policy=policy_id,
            policy_version=str(made.policy["version"]),
            content=content,
            pdf=data,
            pdf_hash=hashlib.sha256(data).digest(),
            holes=len(made.holes),
            issued_by=staff_id,
            issued_at=now,
        )
        db.session.add(row)
        audit.record(row, "issued", by=by, policy=policy_id, version=row.policy_version, holes=row.holes)
        return row.id


def _last_issued(assessment_id: int, policy_id: str) -> Packet | None:
    statement = select(Packet).where(Packet.assessment_id == assessment_id, Packet.policy == policy_id)
    return db.session.scalar(statement.order_by(Packet.id.desc()).limit(1))


def render(made: Made, patient: Patient, *, at: datetime, is_draft: bool = False) -> bytes:
    """The PDF. The same packet and instant give the same bytes."""
    local, profile = at.astimezone(ZoneInfo(patient.tz)), locations.profile()
    words = made.own_words
    data = {
        "packet": made.to_json(),
        "title": f"Request for prior authorization, {patient.record_number}",
        "clinic": profile.name if profile else "The clinic",
        "record_number": patient.record_number,
        "printed": f"Printed {packet.words.day(local.date())}, {local:%H:%M %Z}",
        "words_on": packet.words.day(words.on) if words else "",
        "draft": is_draft,
    }
    return pdf.render(TEMPLATE, data, at=at)


def note_read(row: Assessment | Packet, action: str, *, by: Actor, **detail: Any) -> None:
    """Append that someone read a packet or took its file."""
    with transaction():
        audit.record(row, action, by=by, **detail)


# -- tasks for what is missing ----------------------------------------------------------------------------------------


def hole_tasks(patient_id: int) -> dict[str, Task]:
    """Open tasks about missing facts, by the key of the hole."""
    statement = select(Task).where(
        Task.patient_id == patient_id, Task.kind == TaskKind.PACKET_HOLE, Task.closed_at.is_(None)
    )
    return {task.subject["hole"]: task for task in db.session.scalars(statement.order_by(Task.id))}


def due_for(patient: Patient) -> date:
    """The day that the form offers."""
    at = locations.closing_on_open_day(patient.preferred_location_id, patient.tz, HOLE_WITHIN)
    return _day(at, patient.tz)


def colleagues(patient: Patient) -> list[tuple[int, str]]:
    """Staff to whom a missing fact can be given: id and name, by name."""
    rows = db.session.scalars(select(StaffUser).where(StaffUser.active.is_(True))).unique().all()
    able = [row for row in rows if {role.name for role in row.roles} & set(ROLES)]
    return sorted(((row.id, row.name) for row in able), key=lambda each: each[1].casefold())


def make_tasks(assessment_id: int, policy_id: str, assignments: Iterable[Assignment], *, by: Actor) -> int:
    """Open one task for each hole that was chosen and has none; answers how many. Raises Invalid, NotFound."""
    wanted = {each.key: each for each in assignments}
    with transaction():
        assessment = queries.assessment(assessment_id)
        patient = patients.lock(assessment.patient_id)
        today, known = clock.today(patient.tz), dict(colleagues(patient))
        holes = {hole.key: hole for hole in build(assessment, policy_id).holes}
        already, opened = hole_tasks(patient.id), 0
        for key, each in wanted.items():
            if key not in holes or key in already:
                continue
            if each.due_on < today:
                raise Invalid("The day lies in the past.", fields=[f"due-{holes[key].id}"])
            if each.due_on > today + timedelta(days=MOST_DAYS):
                raise Invalid("Choose a day within a year.", fields=[f"due-{holes[key].id}"])
            if each.staff_id is not None and each.staff_id not in known:
                raise Invalid("Choose a colleague or a role.", fields=[f"owner-{holes[key].id}"])
            if each.staff_id is None and each.role not in ROLES:
                raise Invalid("Choose a colleague or a role.", fields=[f"owner-{holes[key].id}"])
            opened += _open(holes[key], each, assessment, policy_id, patient, by=by)
        return opened


def _open(hole: Hole, each: Assignment, assessment: Assessment, policy_id: str, patient: Patient, *, by: Actor) -> bool:
    now = clock.now()
    due_at = datetime.combine(each.due_on, time(17), tzinfo=ZoneInfo(patient.tz)).astimezone(now.tzinfo)
    task_id = tasks.open_within_transaction(
        kind=TaskKind.PACKET_HOLE,
        level=TaskLevel.ROUTINE,
        dedupe_key=f"hole:{uuid.uuid4()}",  # one at a time is seen to under the person's lock
        for_role=each.role or hole.role,
        due_at=due_at,
        by=by,
        patient_id=patient.id,
        location_id=patient.preferred_location_id,
        subject={"hole": hole.key, "policy": policy_id, "assessment_id": assessment.id},
        note=f"{hole.text}. {hole.because} Who can supply it: {hole.filled_by}.",
    )
    if task_id is not None and each.staff_id is not None:
        row = db.session.get_one(Task, task_id)
        row.owner_id, row.taken_at = each.staff_id, now
        audit.record(row, "assigned", by=by, staff_id=each.staff_id)
    return task_id is not None


def close_filled_within_transaction(patient: Patient, *, by: Actor) -> list[int]:
    """Close the tasks about facts that are on record now: called where an assessment, a decision or a draft is new."""
    waiting = list(hole_tasks(patient.id).values())
    present = queries.present_assessment(patient.id)
    if not waiting or present is None:
        return []
    still = {
        policy_id: {hole.key for hole in build(present, policy_id).holes}
        for policy_id in {task.subject["policy"] for task in waiting}
        if policy_id in knowledge.policy_ids()
    }
    filled = [task for task in waiting if task.subject["hole"] not in still.get(task.subject["policy"], ())]
    on = packet.words.day(clock.today(patient.tz))
    return tasks.close_keyed_within_transaction(
        [task.dedupe_key for task in filled], outcome=f"It is on record since {on}.", by=by
    )
