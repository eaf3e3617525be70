"""A valid row of any model about one patient, made from what the table says, so that new tables need no builder here."""

import re
import uuid
from datetime import date, timedelta
from typing import Any

from sqlalchemy import CheckConstraint, Date, DateTime, LargeBinary, TypeDecorator, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from clinic import clock
from clinic.db import Base, EncryptedBytes, EncryptedDate, EncryptedJSON, db
from clinic.eligibility.models import Assessment, Decision
from clinic.eligibility.operations import submit_record
from clinic.intake.models import Intake
from clinic.patients.models import Patient
from clinic.scheduling.models import Course, CourseProposal, TreatmentSession
from clinic.scheduling.wishes import CourseWish
from clinic.tasks.models import Task
from tests import builders

# Where a constraint wants more than what is never null.
ALSO: dict[str, dict[str, Any]] = {
    "plan_items": {"due_on": date(2026, 12, 1)},
    "messages": {"state": "due"},
    "surveys": {"instruments": ["phq9"]},
    "waitlist_entries": {"wish": CourseWish("itbs_left").as_json()},
}


class Rows:
    """The rows of one patient at one site; each model once."""

    def __init__(self, patient: Patient, site: Any) -> None:
        self.patient, self.site = patient, site
        self.made: dict[type[Base], Any] = {Patient: patient, type(site): site}

    def id_of(self, model: type[Base]) -> Any:
        """The key of a row of this model, made on first use."""
        if model not in self.made:
            self.made[model] = self._known(model) or self._make(model)
            db.session.flush()
        return self.made[model].id

    def _known(self, model: type[Base]) -> Any:
        if model in (Course, TreatmentSession):
            self.id_of(Assessment)  # by the engine: a course rests on a decision, and that on one
            device = builders.make_device(self.site)
            course = builders.make_course(self.patient, [clock.now() + timedelta(days=3)], device=device)
            self.made[Course] = course
            self.made[TreatmentSession] = builders.course_sessions(course)[0]
        elif model in (Decision, Assessment):
            record = {**builders.eligible_record(), "as_of": clock.now().date().isoformat()}
            submit_record(self.patient.id, record, by=builders.TESTER)
            self.made[Decision] = builders.make_decision(self.patient)
            self.made[Assessment] = db.session.get_one(Assessment, self.made[Decision].assessment_id)
        elif model is CourseProposal:
            self.made[CourseProposal] = self._proposal()
        elif model is Task:
            self.made[Task] = builders.make_task(patient_id=self.patient.id, location_id=self.site.id)
        elif model is Intake:
            self.made[Intake] = builders.make_intake(self.patient)
        return self.made.get(model)

    def _proposal(self) -> CourseProposal:
        device, at = builders.make_device(self.site), clock.now() + timedelta(days=3)
        session = {"number": 1, "kind": "mapping", "need": "map", "device_id": device.id, "location_id": self.site.id}
        times = {"starts_at": at.isoformat(), "ends_at": (at + timedelta(minutes=70)).isoformat()}
        plan = {"location_id": self.site.id, "device_id": device.id, "anchor": 600, "cost": 0, "parts": {}, "why": []}
        row = CourseProposal(
            id=uuid.uuid4(),
            patient_id=self.patient.id,
            kind="earliest",
            protocol="itbs_left",
            request={},
            plan={**plan, "notes": {}, "sessions": [session | times]},
            created_at=clock.now(),
            expires_at=clock.now() + timedelta(minutes=15),
        )
        db.session.add(row)
        return row

    def _make(self, model: type[Base]) -> Any:
        words = _words(model)
        values = {
            column.key: self._value(column, words.get(column.key))
            for column in model.__table__.columns  # type: ignore[attr-defined]
            if not column.nullable and column.identity is None and column.server_default is None
        }
        if "patient_id" in model.__table__.c:
            values["patient_id"] = self.patient.id
        row = model(**values | ALSO.get(model.__tablename__, {}))
        db.session.add(row)
        return row

    def _value(self, column: Any, word: str | None) -> Any:
        for key in column.foreign_keys:
            target = next(m.class_ for m in Base.registry.mappers if m.local_table is key.column.table)
            if target.__tablename__ == "staff_users":
                return builders.make_staff("prescriber").id
            return self.id_of(target)
        if word is not None:
            return word
        kind = column.type
        if isinstance(kind, EncryptedJSON | JSONB):
            return {}
        if isinstance(kind, EncryptedDate | Date):
            return date(2026, 1, 1)
        if isinstance(kind, EncryptedBytes):
            return b"x"
        if (isinstance(kind, TypeDecorator) and isinstance(kind.impl, DateTime)) or isinstance(kind, DateTime):
            return clock.now() + timedelta(days="expires" in column.key)
        if isinstance(kind, ARRAY):
            return []
        if isinstance(kind, Uuid):
            return uuid.uuid4()
        if isinstance(kind, LargeBinary):
            return uuid.uuid4().bytes * 2
        return {int: 1, bool: False}.get(
            kind.python_type, f"x{uuid.uuid4().hex[:8]}"[: getattr(kind, "length", 9) or 9]
        )


def _words(model: type[Base]) -> dict[str, str]:
    """The first word that each CHECK (column IN (...)) allows."""
    texts = [str(c.sqltext) for c in model.__table__.constraints if isinstance(c, CheckConstraint)]  # type: ignore[attr-defined]
    found = (re.fullmatch(r"(\w+) IN \('(\w+)'.*", text) for text in texts)
    return {match[1]: match[2] for match in found if match}
