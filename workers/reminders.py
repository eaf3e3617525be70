"""Messages: a sweep rings for each that is due, the other task makes one try."""

from celery import shared_task

from clinic import jobs
from clinic.jobs import Job
from clinic.reminders import operations


@shared_task(name=Job.SWEEP_REMINDERS)
def sweep() -> None:
    for message_id in operations.collect_due():
        jobs.ring(Job.SEND_MESSAGE, message_id=message_id)


@shared_task(name=Job.SEND_MESSAGE)
def send_one(message_id: int) -> None:
    operations.send_message(message_id)
