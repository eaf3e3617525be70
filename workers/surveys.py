"""Check-ins: the sweep alone; the messages about them are the ledger's."""

from celery import shared_task

from clinic.jobs import Job
from clinic.surveys import operations


@shared_task(name=Job.SWEEP_SURVEYS)
def sweep() -> None:
    operations.keep_up()
