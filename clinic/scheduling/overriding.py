"""Soft rules: staff may set one aside with a reason that goes on record. Nobody sets aside a physical one.

Physical are device, chair, room, patient, named staff member, operator pool, observer capacity and mapping skill: they
have no entry here, and a constraint or a count under the lock behind them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db
from clinic.errors import ReasonNeeded, Refused
from clinic.scheduling.models import RuleOverride, TreatmentSession
from clinic.staff import queries as staff
from clinic.staff.models import Role


@dataclass(frozen=True)
class Soft:
    """A soft rule that stands against what is asked. `price`: what the planner charges for it, where it has one."""

    rule: str
    why: str
    prescriber_only: bool = False
    price: int | None = None

    def as_json(self) -> dict[str, object]:
        """As it is shown and sent."""
        role = str(Role.PRESCRIBER) if self.prescriber_only else None
        return {"rule": self.rule, "why": self.why, "needs_role": role, "price": self.price}


def settle(rules: Sequence[Soft], reason: str, *, by: Actor) -> None:
    """Go on where no soft rule is in the way, or a reason was given by somebody who may. Raises ReasonNeeded, Refused."""
    if not rules:
        return
    if not reason.strip():
        words = "; ".join(one.why for one in rules)
        raise ReasonNeeded(f"{words}. Give a reason to do it all the same.", rules=[one.as_json() for one in rules])
    if any(one.prescriber_only for one in rules) and Role.PRESCRIBER not in staff.roles_of(by):
        raise Refused("Only a prescriber may approve this.", rules=[one.as_json() for one in rules])


def record(row: TreatmentSession, rules: Sequence[Soft], reason: str, *, by: Actor) -> None:
    """Keep which rules were set aside for an appointment, by whom and why."""
    for one in rules:
        db.session.add(
            RuleOverride(
                session_id=row.id,
                patient_id=row.patient_id,
                rule=one.rule,
                reason=reason.strip(),
                actor_kind=by.kind,
                actor_key=by.key,
                created_at=clock.now(),
            )
        )
        audit.record(row, "rule_set_aside", by=by, reason=reason.strip(), rule=one.rule)
