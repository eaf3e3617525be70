"""What is watched: how much waits and for how long, what came to rest, and an alarm where messages stand still."""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta

from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import func, select

from clinic import clock
from clinic.db import db, transaction
from clinic.reminders.ledger import BY, STUCK_AFTER
from clinic.reminders.models import Lane, Message, MessageState
from clinic.tasks import operations as tasks
from clinic.tasks.models import Task, TaskKind, TaskLevel

log = logging.getLogger(__name__)

# How long the oldest message of a lane may wait before someone is told.
PATIENCE = {Lane.URGENT: timedelta(minutes=3), Lane.NORMAL: timedelta(minutes=10), Lane.BULK: timedelta(minutes=30)}
HOUR = timedelta(hours=1)


def waiting(now: datetime) -> dict[str, tuple[int, timedelta]]:
    """By lane: how many messages wait, and how long the oldest has."""
    rows = db.session.execute(
        select(Message.lane, func.count(), func.min(Message.not_before))
        .where(Message.state == MessageState.DUE, Message.not_before <= now)
        .group_by(Message.lane)
    )
    found = {lane: (count, now - oldest) for lane, count, oldest in rows}
    return {str(lane): found.get(lane, (0, timedelta())) for lane in Lane}


def measures() -> Iterator[Metric]:
    """For /metrics: counts only, nothing about a person."""
    now = clock.now()
    count = GaugeMetricFamily("daybreak_messages_waiting", "Messages that are due and not sent", labels=["lane"])
    oldest = GaugeMetricFamily("daybreak_messages_oldest_seconds", "How long the oldest of them waits", labels=["lane"])
    for lane, (number, age) in waiting(now).items():
        count.add_metric([lane], number)
        oldest.add_metric([lane], max(0.0, age.total_seconds()))
    yield count
    yield oldest
    claimed, old = db.session.execute(
        select(func.count(), func.count().filter(Message.claimed_at <= now - STUCK_AFTER)).where(
            Message.state == MessageState.SENDING
        )
    ).one()
    yield GaugeMetricFamily("daybreak_messages_sending", "Messages on their way to a provider", value=claimed)
    yield GaugeMetricFamily("daybreak_messages_stuck", "Of these, held by a worker that died", value=old)
    ended = GaugeMetricFamily(
        "daybreak_messages_last_hour", "Messages that came to rest within an hour", labels=["state", "channel"]
    )
    rows = db.session.execute(
        select(Message.state, Message.channel, func.count())
        .where(Message.ended_at > now - HOUR)
        .group_by(Message.state, Message.channel)
    )
    for state, channel, number in rows:
        ended.add_metric([state, channel], number)
    yield ended
    alarms = db.session.scalar(
        select(func.count()).where(Task.kind == TaskKind.MESSAGES_STUCK, Task.closed_at.is_(None))
    )
    yield GaugeMetricFamily(
        "daybreak_messages_alarm", "1 while a task says that messages stand still", value=alarms or 0
    )


def watch() -> list[str]:
    """Open a task where messages stand still, close it where they go again; answers the lanes that stand still.

    Runs in worker and beat, without the broker: one of them is enough.
    """
    with transaction():
        now = clock.now()
        stuck = [lane for lane, (_, age) in waiting(now).items() if age > PATIENCE[Lane(lane)]]
        open_keys = db.session.scalars(
            select(Task.dedupe_key).where(Task.kind == TaskKind.MESSAGES_STUCK, Task.closed_at.is_(None))
        ).all()
        if not stuck:
            words = "The messages go out again."
            tasks.close_keyed_within_transaction(list(open_keys), outcome=words, by=BY)
        elif not open_keys:
            log.error("messages stand still in lanes %s", ", ".join(stuck))
            tasks.open_within_transaction(
                kind=TaskKind.MESSAGES_STUCK,
                level=TaskLevel.SAME_DAY,
                dedupe_key=f"stuck:{int(now.timestamp()) // 60}",
                for_role="manager",
                due_at=now,
                by=BY,
                subject={"lanes": stuck},
            )
        return stuck
