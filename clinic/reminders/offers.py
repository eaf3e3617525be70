"""Places that are held until the person says yes: a course off the waiting list, or earlier times of their own."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select

from clinic.audit import Actor
from clinic.db import db
from clinic.errors import NotFound
from clinic.scheduling import answering, holding, queries, waiting
from clinic.scheduling.models import (
    ChangeState,
    OfferState,
    ScheduleChange,
    SessionState,
    TreatmentSession,
    WaitlistOffer,
)


class Held(NamedTuple):
    """What is held, each visit as (start, site), and until when."""

    visits: Sequence[tuple[datetime, int]]
    until: datetime


def sessions_of(matter: str, now: datetime) -> Held | None:
    """What the occurrence of a message offers; None where nothing is held any more."""
    kind, number, revision = _parts(matter)
    if kind == "o":
        offer = db.session.get(WaitlistOffer, number, populate_existing=True)
        if offer is None or offer.state != OfferState.OPEN or offer.expires_at <= now:
            return None
        planned = holding.planned(queries.proposal(offer.proposal_id))
        days = {(one.starts_at.date(), one.location_id): one for one in reversed(planned)}
        first_of_each = sorted(days.values(), key=lambda one: one.starts_at)
        return Held([(one.starts_at, one.location_id) for one in first_of_each], offer.expires_at)
    change = db.session.get(ScheduleChange, number, populate_existing=True)
    if change is None or (change.state, change.revision) != (ChangeState.ASKED, revision) or change.answer_by <= now:
        return None
    rows = db.session.execute(
        select(TreatmentSession.starts_at, TreatmentSession.location_id)
        .where(TreatmentSession.change_id == change.id, TreatmentSession.state == SessionState.HELD)
        .order_by(TreatmentSession.starts_at)
    ).all()
    return Held([(row.starts_at, row.location_id) for row in rows], change.answer_by) if rows else None


def answer(matter: str, *, yes: bool, by: Actor) -> None:
    """Take what a message offered, or leave it. Raises NotFound, AlreadyOver, Expired, SlotTaken, Conflict."""
    kind, number, revision = _parts(matter)
    if kind == "o":
        if yes:
            waiting.accept(number, by=by)
        else:
            waiting.decline(number, by=by)
        return
    if answering.get(number).revision != revision:
        raise NotFound("there are other times by now")
    answer_change(number, yes=yes, by=by)


def answer_change(change_id: int, *, yes: bool, by: Actor) -> None:
    """Yes or no to new times. Raises NotFound, AlreadyOver, Expired."""
    if yes:
        answering.accept_change(change_id, by=by)
    else:
        answering.decline_change(change_id, by=by)


def change_of(matter: str) -> int | None:
    """The re-plan whose earlier times are offered, if it is one."""
    kind, number, _ = _parts(matter)
    return number if kind == "x" else None


def _parts(matter: str) -> tuple[str, int, int]:
    """`o:7` and `x:4#2`."""
    kind, _, rest = matter.partition(":")
    number, _, revision = rest.partition("#")
    return kind, int(number), int(revision or 0)
