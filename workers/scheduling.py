"""The calendar: what ran out is let go. Rows are the queue."""

from celery import shared_task

from clinic.jobs import Job
from clinic.scheduling import sweeping


@shared_task(name=Job.SWEEP_SCHEDULE)
def sweep() -> None:
    sweeping.sweep()
