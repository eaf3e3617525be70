"""Messages: sweeps ring for what is due, the other tasks send one row, or rows of a lane in small batches."""

from celery import shared_task

from clinic import jobs
from clinic.jobs import Job
from clinic.reminders import answers, inbound, ledger, sending
from clinic.reminders.keeper import SWEEP
from clinic.reminders.models import Lane

RING = {
    Lane.URGENT: lambda: jobs.ring(Job.SEND_URGENT),
    Lane.NORMAL: lambda: jobs.ring(Job.SEND_NORMAL),
    Lane.BULK: lambda: jobs.ring(Job.SEND_BULK),
}
RINGS = 10  # at most, a lane and sweep: each answers for batch after batch


@shared_task(name=Job.SWEEP_REMINDERS)
def sweep() -> None:
    for lane, count in ledger.sweep().items():
        _ring(lane, count)
    inbound.finish_left()
    answers.close_arrived()
    jobs.record_heartbeat(SWEEP)


@shared_task(name=Job.SWEEP_URGENT)
def sweep_urgent() -> None:
    _ring(Lane.URGENT, ledger.sweep_urgent())


def _ring(lane: str, count: int) -> None:
    for _ in range(min(-(-count // sending.BATCH), RINGS)):
        RING[Lane(lane)]()


@shared_task(name=Job.SEND_MESSAGE)
def send_one(message_id: int) -> None:
    sending.send_message(message_id)


@shared_task(name=Job.SEND_URGENT)
def send_urgent() -> None:
    _work(Lane.URGENT)


@shared_task(name=Job.SEND_NORMAL)
def send_normal() -> None:
    _work(Lane.NORMAL)


@shared_task(name=Job.SEND_BULK)
def send_bulk() -> None:
    _work(Lane.BULK)


def _work(lane: Lane) -> None:
    if sending.work(lane):
        RING[lane]()
