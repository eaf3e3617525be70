"""Which payer policies are on. One is off until a person of the clinic read the payer's own text, and stale after 180 days."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import broken_constraint, db, transaction
from clinic.eligibility import rule_versions
from clinic.eligibility.engine import knowledge
from clinic.eligibility.models import PolicyVerification
from clinic.errors import Conflict, Invalid, NotFound

MAX_WORDS = 1000


class PolicyState(StrEnum):
    """Whether a policy takes part in assessments; only `on` does."""

    OFF = "off"
    ON = "on"
    STALE = "stale"
    CHANGED = "changed"  # our file is not the one that was verified


@dataclass(frozen=True)
class Standing:
    """A policy with its state on a day, and the verification that it rests on."""

    policy_id: str
    state: PolicyState
    last: PolicyVerification | None

    @property
    def good_until(self) -> date | None:
        """The last day on which the verification counts."""
        return self.last.verified_on + stale_after() if self.last is not None and self.last.is_on else None


@dataclass(frozen=True, kw_only=True)
class Verify:
    """A person read the payer's own text on a day, at a place, and holds our file to say the same."""

    policy_id: str
    read_on: date
    where: str
    content_hash: str  # of the file that was shown, in hex


def stale_after() -> timedelta:
    """How long a verification counts."""
    return timedelta(days=int(knowledge.policy_notes()["meta"]["stale_after_days"]))


def present() -> dict[str, PolicyVerification]:
    """The newest word on each policy that was ever verified."""
    rows = db.session.scalars(select(PolicyVerification).where(PolicyVerification.superseded_at.is_(None)))
    return {row.policy: row for row in rows}


def history(policy_id: str, *, limit: int = 50) -> Sequence[PolicyVerification]:
    """Everything that was said about a policy, newest first."""
    statement = select(PolicyVerification).where(PolicyVerification.policy == policy_id)
    return db.session.scalars(statement.order_by(PolicyVerification.id.desc()).limit(limit)).all()


def standing(policy_id: str, last: PolicyVerification | None, today: date) -> Standing:
    """The state that follows from the newest word. Raises KeyError for a policy that is not in the catalogue."""
    entry = rule_versions.policy(policy_id)
    if last is None or not last.is_on:
        found = PolicyState.OFF
    elif last.content_hash != entry.content_hash:
        found = PolicyState.CHANGED
    else:
        found = PolicyState.STALE if today > last.verified_on + stale_after() else PolicyState.ON
    return Standing(policy_id, found, last)


def standings(today: date) -> dict[str, Standing]:
    """Every policy of the catalogue with its state."""
    rows = present()
    return {each: standing(each, rows.get(each), today) for each in knowledge.policy_ids()}


def state(policy_id: str, today: date) -> PolicyState:
    """Off, on, stale or changed. Raises KeyError for a policy that is not in the catalogue."""
    return standing(policy_id, present().get(policy_id), today).state


def verified_on(today: date) -> dict[str, date]:
    """Policies that are on and not stale, each with the day on which the payer's text was read."""
    return {
        each.policy_id: each.last.verified_on
        for each in standings(today).values()
        if each.state is PolicyState.ON and each.last is not None
    }


def active_policies(today: date) -> list[str]:
    """Ids of the policies that take part in assessments."""
    return sorted(verified_on(today))


def verify(command: Verify, *, today: date, staff_id: int, by: Actor) -> int:
    """Switch a policy on. Raises NotFound, Invalid, Conflict where our file changed while it was read."""
    entry = _entry(command.policy_id)
    where = command.where.strip()
    problems = _problems(command.read_on, where, today)
    if problems:
        raise Invalid(" ".join(problems.values()), fields=list(problems))
    if command.content_hash != entry.content_hash.hex():  # the page shows it: nothing that must be compared in secret
        raise Conflict("Our file changed while you read. Nothing was switched on. Compare the criteria again.")
    return _append(entry, is_on=True, day=command.read_on, note=where, staff_id=staff_id, by=by)


def switch_off(policy_id: str, *, reason: str, today: date, staff_id: int, by: Actor) -> int:
    """Take a policy out of assessments. Raises NotFound, Invalid without a reason."""
    entry, words = _entry(policy_id), reason.strip()
    if not words or len(words) > MAX_WORDS:
        raise Invalid(f"Give a reason of at most {MAX_WORDS} characters.", fields=["reason"])
    return _append(entry, is_on=False, day=today, note=words, staff_id=staff_id, by=by)


def _entry(policy_id: str) -> rule_versions.Entry:
    try:
        return rule_versions.policy(policy_id)
    except KeyError:
        raise NotFound("no such policy") from None


def _problems(read_on: date, where: str, today: date) -> Mapping[str, str]:
    found = {}
    if read_on > today:
        found["read_on"] = "The day of reading lies in the future."
    elif read_on + stale_after() < today:
        found["read_on"] = f"That is more than {stale_after().days} days ago. Read the present text."
    if not where:
        found["where"] = "Say where you read it: the address, or the document."
    elif len(where) > MAX_WORDS:
        found["where"] = f"At most {MAX_WORDS} characters."
    return found


def _append(entry: rule_versions.Entry, *, is_on: bool, day: date, note: str, staff_id: int, by: Actor) -> int:
    try:
        with transaction():
            earlier = _lock(entry.key)
            said = (is_on, day, note, entry.content_hash, staff_id)
            if earlier is not None:
                if said == (
                    earlier.is_on,
                    earlier.verified_on,
                    earlier.note,
                    earlier.content_hash,
                    earlier.verified_by,
                ):
                    return earlier.id  # sent twice
                if not is_on and not earlier.is_on:
                    raise Conflict("This policy is off already.")
                earlier.superseded_at = clock.now()
                db.session.flush()
            elif not is_on:
                raise Conflict("This policy is off already.")
            row = PolicyVerification(
                policy=entry.key,
                version=entry.version,
                content_hash=entry.content_hash,
                is_on=is_on,
                verified_on=day,
                note=note,
                verified_by=staff_id,
                recorded_at=clock.now(),
            )
            db.session.add(row)
            audit.record(
                row, "switched_on" if is_on else "switched_off", by=by, policy=entry.key, version=entry.version
            )
            return row.id
    except IntegrityError as error:
        if broken_constraint(error) == "policy_verifications_present_key":
            raise Conflict("Someone else changed this policy at the same moment. Reload and look.") from None
        raise


def _lock(policy_id: str) -> PolicyVerification | None:
    statement = select(PolicyVerification).where(
        PolicyVerification.policy == policy_id, PolicyVerification.superseded_at.is_(None)
    )
    return db.session.scalar(statement.with_for_update())
