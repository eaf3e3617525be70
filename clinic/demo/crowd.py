"""People in bulk: who they are, what they sent, what the engine said of it and what a prescriber decided."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from random import Random
from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy import text

from clinic import audit
from clinic.audit import Actor, AuditEvent
from clinic.db import db, keyring
from clinic.demo import sink
from clinic.demo.places import Names, Place
from clinic.eligibility import operations as eligibility
from clinic.eligibility import rule_versions, summary
from clinic.eligibility.models import Assessment, Decision
from clinic.intake.models import Intake
from clinic.patients.models import ChannelConsent, Patient, record_numbers
from clinic.patients.operations import initials
from clinic.scheduling.models import Authorisation, SelfPayAgreement
from clinic.tasks.models import Task, TaskKind
from clinic.treatment.models import ProgramEnrollment
from clinic.treatment.rules import programs

AGES, SEXES, HISTORIES = (24, 31, 38, 45, 52, 61, 70), ("female", "male"), ("eligible", "four_ssris")
PAYERS = ("Example Health Plan", "Demo Mutual", "Sample Blue", None)
REASON = "Two adequate trials in this episode, nothing against it."


@dataclass
class Someone:
    """A person to be written, and what they need. `pathways`: approved on that day, with so many sessions of the payer's.

    `waits`: their history lies before a prescriber. Ids are given when they are written.
    """

    created: datetime
    language: str
    pathways: dict[str, datetime]
    waits: bool = False
    id: int = 0
    intake_id: int = 0
    assessment_id: int = 0
    decisions: dict[str, int] = field(default_factory=dict)

    @property
    def sent(self) -> datetime:
        """When they sent their history: within the hour."""
        return self.created + timedelta(minutes=50)


@dataclass(frozen=True)
class Template:
    """An answer of the engine, sealed for each person anew."""

    age: int
    record: str
    result: str
    hash: bytes
    row: Mapping[str, Any]
    evaluation: str


def instant(seconds: int) -> datetime:
    """Seconds since 1970 as an aware instant."""
    return datetime.fromtimestamp(seconds, UTC)


# -- what the engine says -------------------------------------------------------------------------------------------


def templates(histories: Mapping[str, Any]) -> list[Template]:
    """Histories of several ages, each assessed once by the engine: the same record has the same answer."""
    found = []
    for name in HISTORIES:
        trials = [{k: v for k, v in row.items() if not k.endswith("_on")} for row in histories[name]["trials"]]
        for age in AGES:
            for sex in SEXES:
                record = eligibility.checked_record({**histories[name], "age": age, "sex": sex, "trials": trials})
                found.append(_template(age, record.to_json(), eligibility.answer(record, {})))
    return found


def _template(age: int, record: dict[str, Any], result: dict[str, Any]) -> Template:
    columns = {
        "ruleset": result["ruleset"]["id"],
        "ruleset_version": str(result["ruleset"]["version"]),
        "trd": result["trd"]["verdict"],
        **{key: result["pathways"][key]["verdict"] for key in ("tms", "esketamine", "iv_ketamine")},
    }
    seen = Assessment(record=record, result=result, **columns)
    pack = {"separators": (",", ":")}
    return Template(
        age,
        json.dumps(record, **pack),  # type: ignore[arg-type]
        json.dumps(result, **pack),  # type: ignore[arg-type]
        eligibility.result_hash(result),
        columns,
        summary.evaluation(seen),
    )


@cache
def rules() -> str:
    """Every entry of the catalogue that the answers rest on, as an assessment keeps them."""
    return json.dumps([list(entry.name) for entry in rule_versions.used_by(eligibility.RULESET, [])])


# -- writing --------------------------------------------------------------------------------------------------------


def write(
    people: Sequence[Someone],
    place: Place,
    tz: str,
    names: Names,
    known: Sequence[Template],
    numbers: Iterator[int],
    random: Random,
) -> None:
    """Patients with their consents, intakes, assessments and decisions, and the events that say so."""
    for model, name in ((Patient, "id"), (Intake, "intake_id"), (Assessment, "assessment_id")):
        for one, key in zip(people, sink.reserve(model, len(people)), strict=True):
            setattr(one, name, key)
    answers = [random.choice(known) for _ in people]
    _write_patients(people, place, tz, names, answers, numbers, random)
    _write_histories(people, answers)
    _write_decisions(people, answers, place)


def _write_patients(
    people: Sequence[Someone],
    place: Place,
    tz: str,
    names: Names,
    answers: Sequence[Template],
    numbers: Iterator[int],
    random: Random,
) -> None:
    keys, seal = keyring(), sink.seal
    firsts = record_range(len(people))

    def rows() -> Iterator[tuple[Any, ...]]:
        for one, answer, record in zip(people, answers, firsts, strict=True):
            given, family = random.choice(names.given), random.choice(names.family)
            if random.random() < 0.2:
                family = f"{family}-{random.choice(names.family)}"
            number = next(numbers)
            email = f"person{number}@demo.example.org"
            phone = fiction(number)
            born = date(one.created.year - answer.age - 1, 1 + number % 12, 1 + number % 28)
            yield (
                one.id,
                f"D-{record}",
                seal(given),
                seal(family),
                initials(given, family),
                seal(born.isoformat()),
                seal(email),
                keys.blind("email", email)[0],
                seal(phone),
                keys.blind("phone", phone)[0],
                one.language,
                tz,
                "each" if number % 3 == 0 else "digest",
                seal(random.choice(PAYERS)),
                place.location_id,
                one.created,
            )

    columns = (
        *("id", "record_number", "given_name", "family_name", "initials", "birth_date", "email", "email_blind"),
        *("phone", "phone_blind", "language", "tz", "message_style", "payer", "preferred_location_id", "created_at"),
    )
    sink.copy(Patient, columns, rows())
    said = [(one.id, "email", one.id % 10 > 0, one.created) for one in people]
    said += [(one.id, "sms", one.id % 3 > 0, one.created) for one in people]
    sink.copy(
        ChannelConsent,
        ("patient_id", "channel", "granted", "source", "recorded_at"),
        ((key, channel, granted, "desk", at) for key, channel, granted, at in said),
    )


def fiction(number: int) -> str:
    """A phone number out of the range that is kept for fiction in every area code: 555-0100 to 555-0199."""
    area = 201 + number // 100 % 789
    return f"+1{area}55501{number % 100:02d}"


def record_range(count: int) -> Iterator[int]:
    """So many record numbers."""
    statement = text("SELECT setval(:name, nextval(:name) + :count)")
    last = db.session.scalar(statement, {"name": record_numbers.name, "count": count})
    assert last is not None
    return iter(range(last - count, last))


def _write_histories(people: Sequence[Someone], answers: Sequence[Template]) -> None:
    sink.copy(
        Intake,
        ("id", "patient_id", "state", "language", "started_at", "saved_at", "submitted_at", "record", "base_record"),
        (
            (one.intake_id, one.id, "submitted", one.language, one.created, one.sent, one.sent, record, record)
            for one, record in ((one, sink.seal(answer.record)) for one, answer in zip(people, answers, strict=True))
        ),
    )
    columns = tuple(answers[0].row) if answers else ()
    sink.copy(
        Assessment,
        (
            *("id", "patient_id", "intake_id", "record", "result", "result_hash", "is_urgent", "rules"),
            *("payer_policies", "waits", "assessed_at", *columns),
        ),
        (
            (
                *(one.assessment_id, one.id, one.intake_id, sink.seal(answer.record), sink.seal(answer.result)),
                *(answer.hash, False, rules(), "[]", one.waits, one.sent, *answer.row.values()),
            )
            for one, answer in zip(people, answers, strict=True)
        ),
    )


def _write_decisions(people: Sequence[Someone], answers: Sequence[Template], place: Place) -> None:
    approved = [
        (one, answer, pathway, at)
        for one, answer in zip(people, answers, strict=True)
        for pathway, at in one.pathways.items()
    ]
    keys = sink.reserve(Decision, len(approved))
    for (one, _, pathway, _), key in zip(approved, keys, strict=True):
        one.decisions[pathway] = key
    sink.copy(
        Decision,
        (
            *("id", "patient_id", "assessment_id", "pathway", "decision", "reason", "is_override", "evaluation"),
            *("decided_by", "decided_at"),
        ),
        (
            (
                *(one.decisions[pathway], one.id, one.assessment_id, pathway, "approve", sink.seal(REASON), False),
                *(sink.seal(answer.evaluation), place.prescriber_id, at),
            )
            for one, answer, pathway, at in approved
        ),
    )
    enrolled = [(one, at) for one, _, pathway, at in approved if pathway == "esketamine"]
    sink.copy(
        ProgramEnrollment,
        ("patient_id", "program", "number", "enrolled_on", "recorded_by", "recorded_at"),
        (
            (one.id, next(iter(programs())), sink.seal(f"DEMO-P-{one.id}"), at.date(), place.prescriber_id, at)
            for one, at in enrolled
        ),
    )


# -- who pays -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Funding:
    """Sessions that a payer approved, or (`is_own`) that the person agreed to pay for."""

    patient_id: int
    pathway: str
    protocol: str
    sessions: int
    valid_from: date
    valid_until: date
    is_own: bool


def fund(wanted: Sequence[Funding]) -> list[int]:
    """Write authorisations and agreements; answers the id of each. The ledger counts for itself what is booked under them."""
    models = (Authorisation, SelfPayAgreement)
    keys = {
        model: iter(sink.reserve(model, sum(one.is_own is (model is SelfPayAgreement) for one in wanted)))
        for model in models
    }
    found = [next(keys[SelfPayAgreement if one.is_own else Authorisation]) for one in wanted]
    numbered = list(zip(found, wanted, strict=True))
    sink.copy(
        Authorisation,
        (
            *("id", "patient_id", "payer", "number", "pathway", "protocol", "sessions_approved", "valid_from"),
            *("valid_until", "created_at"),
        ),
        (
            (
                *(key, one.patient_id, "Demo payer", sink.seal(f"DEMO-A-{key}"), one.pathway, one.protocol),
                *(one.sessions, one.valid_from, one.valid_until, at_noon(one.valid_from)),
            )
            for key, one in numbered
            if not one.is_own
        ),
    )
    sink.copy(
        SelfPayAgreement,
        ("id", "patient_id", "pathway", "what", "agreed_on", "created_at"),
        (
            (
                *(key, one.patient_id, one.pathway, sink.seal(f"{one.sessions} sessions at the demo's price")),
                *(one.valid_from, at_noon(one.valid_from)),
            )
            for key, one in numbered
            if one.is_own
        ),
    )
    return found


def at_noon(day: date) -> datetime:
    """Noon UTC of a day."""
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


# -- the worklist and the record of what was done -------------------------------------------------------------------


def open_tasks(people: Sequence[Someone], place: Place, due: datetime) -> None:
    """Somebody looks at each history that waits, and books for each who is approved and has no course."""

    def rows() -> Iterator[tuple[Any, ...]]:
        for one in people:
            kind, role, about = (
                (TaskKind.REVIEW_INTAKE, "prescriber", {})
                if one.waits
                else (TaskKind.BOOK_COURSE, "front_desk", {"pathway": "tms"})
            )
            key = f"{kind}:demo:{one.id}"
            yield kind, "routine", one.id, one.intake_id, json.dumps(about), role, place.location_id, key, one.sent, due

    sink.copy(
        Task,
        (
            *("kind", "level", "patient_id", "intake_id", "subject", "for_role", "location_id", "dedupe_key"),
            *("created_at", "due_at"),
        ),
        rows(),
    )


Event = tuple[str, int, str, int, datetime, Mapping[str, Any]]  # entity, id, action, patient, instant, detail


def record(events: Iterable[Event], by: Actor) -> None:
    """Append audit events, each hashed by its content like any other. They say who wrote them: the demo."""

    def rows() -> Iterator[tuple[Any, ...]]:
        said = SimpleNamespace(actor_kind=by.kind, actor_key=by.key, reason=None, origin=None)
        for said.entity, key, said.action, said.patient_id, said.occurred_at, said.detail in events:
            said.entity_id = str(key)
            yield (
                *(said.occurred_at, str(by.kind), by.key, said.action, said.entity, said.entity_id, said.patient_id),
                *(json.dumps(said.detail), audit.content_hash(cast(AuditEvent, said))),
            )

    sink.copy(
        AuditEvent,
        (
            *("occurred_at", "actor_kind", "actor_key", "action", "entity", "entity_id", "patient_id", "detail"),
            "content_hash",
        ),
        rows(),
    )
