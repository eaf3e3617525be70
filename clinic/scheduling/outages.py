"""Reads of outages, and whom they hit. An outage counts from the moment it is known."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select

from clinic import clock
from clinic.db import db
from clinic.errors import AlreadyOver, NotFound
from clinic.locations.models import Closure
from clinic.patients.sites import everyone
from clinic.scheduling import fitting, queries
from clinic.scheduling.models import (
    PERSON,
    ChangeKind,
    ChangeState,
    Hold,
    Outage,
    OutageState,
    ScheduleChange,
    TreatmentSession,
)
from clinic.scheduling.moving import is_news

RECENT = timedelta(days=14)
SAME = "same"

# -- reads ----------------------------------------------------------------------------------------------------------


def get(outage_id: int) -> Outage:
    """The outage. Raises NotFound."""
    row = db.session.get(Outage, outage_id)
    if row is None:
        raise NotFound("no such outage")
    return row


def open_outages(location_ids: Collection[int]) -> Sequence[Outage]:
    """Outages at these sites that wait to be applied, soonest first."""
    statement = select(Outage).where(Outage.state == OutageState.OPEN, _at(location_ids))
    return db.session.scalars(statement.order_by(Outage.starts_at, Outage.id)).all()


def recent_outages(location_ids: Collection[int], *, limit: int = 10) -> Sequence[Outage]:
    """Outages at these sites that were applied in the last two weeks, or whose people may still answer; newest first."""
    waits = select(ScheduleChange.outage_id).where(ScheduleChange.state.in_([ChangeState.TOLD, ChangeState.ASKED]))
    statement = select(Outage).where(
        Outage.state == OutageState.APPLIED,
        or_(Outage.applied_at > clock.now() - RECENT, Outage.id.in_(waits)),
        _at(location_ids),
    )
    return db.session.scalars(statement.order_by(Outage.applied_at.desc(), Outage.id).limit(limit)).all()


def _at(location_ids: Collection[int]) -> ColumnElement[bool]:
    """Of one of these sites, or of none: a person of several sites."""
    return or_(Outage.location_id.in_(location_ids), Outage.location_id.is_(None))


@everyone()
def answers(outage_ids: Collection[int]) -> dict[int, dict[str, int]]:
    """How many courses are in which state, by outage; `same`: nobody had to be asked, the time stays."""
    statement = select(ScheduleChange.outage_id, ScheduleChange.state, ScheduleChange.moves)
    found: dict[int, dict[str, int]] = {}
    for outage_id, state, moves in db.session.execute(statement.where(ScheduleChange.outage_id.in_(outage_ids))):
        counts = found.setdefault(outage_id or 0, {})
        key = state if any(map(is_news, moves)) else SAME
        counts[key] = counts.get(key, 0) + 1
    return found


def changes(outage_id: int) -> Sequence[ScheduleChange]:
    """What was changed for an outage, a row a person and course."""
    statement = select(ScheduleChange).where(ScheduleChange.outage_id == outage_id)
    return db.session.scalars(statement.order_by(ScheduleChange.id)).all()


def still_open(outage_id: int, *, lock: bool = False) -> Outage:
    """The outage, while it was neither applied nor withdrawn. Raises NotFound, AlreadyOver."""
    row = db.session.get(Outage, outage_id, with_for_update=lock or None, populate_existing=True)
    if row is None:
        raise NotFound("no such outage")
    if row.state != OutageState.OPEN:
        raise AlreadyOver(f"this outage is {row.state}", state=row.state)
    return row


def sites(row: Outage) -> set[int]:
    """Sites in its reach."""
    return {row.location_id} if row.location_id is not None else queries.sites_of_person(row.staff_id or 0)


# -- whom it hits ---------------------------------------------------------------------------------------------------


def _where(row: Outage) -> Any:
    """Condition on the appointments in the reach of an outage. A person's pool may hit anyone at their sites."""
    since, day = max(row.starts_at, clock.now()), timedelta(days=1)
    in_time = and_(
        TreatmentSession.starts_at < row.ends_at,
        TreatmentSession.starts_at > since - day,
        TreatmentSession.device_until > row.starts_at,
    )
    days = TreatmentSession.local_on.between((since - day).date(), (row.ends_at + day).date())  # for the index
    here = and_(TreatmentSession.location_id.in_(sites(row)), days)
    if row.kind == ChangeKind.CAPACITY:
        return TreatmentSession.id.in_(fitting.misfits(row.location_id or 0))
    if row.kind == ChangeKind.DEVICE:
        return and_(in_time, here, TreatmentSession.device_id == row.device_id)
    if row.kind == ChangeKind.SITE:
        return and_(in_time, here)
    return and_(in_time, or_(TreatmentSession.staff_id == row.staff_id, and_(here, TreatmentSession.need != PERSON)))


@everyone()
def holds_in(row: Outage) -> list[int]:
    """Holds of plans that can no longer be kept."""
    statement = select(TreatmentSession.hold_id).join(Hold, Hold.id == TreatmentSession.hold_id)
    return (
        list(db.session.scalars(statement.where(_where(row), TreatmentSession.course_id.is_(None)).distinct()))
        if row.kind != ChangeKind.PERSON
        else []
    )


@everyone()
def hit(row: Outage) -> Sequence[TreatmentSession]:
    """Appointments ahead in its reach, by time."""
    ahead = (TreatmentSession.state.in_(queries.FREEABLE), TreatmentSession.starts_at > clock.now())
    return db.session.scalars(
        select(TreatmentSession).where(_where(row), *ahead).order_by(TreatmentSession.starts_at, TreatmentSession.id)
    ).all()


def hit_by_closures(location_ids: Collection[int]) -> Sequence[TreatmentSession]:
    """Booked appointments in person on days on which their site is closed: closures that were entered late."""
    return db.session.scalars(
        select(TreatmentSession)
        .join(
            Closure,
            and_(Closure.location_id == TreatmentSession.location_id, Closure.on_date == TreatmentSession.local_on),
        )
        .where(
            TreatmentSession.location_id.in_(location_ids),
            TreatmentSession.local_on >= clock.now().date() - timedelta(days=1),
            TreatmentSession.state.in_(queries.AHEAD),
            TreatmentSession.starts_at > clock.now(),
            TreatmentSession.mode == "in_person",
        )
        .order_by(TreatmentSession.starts_at, TreatmentSession.id)
    ).all()
