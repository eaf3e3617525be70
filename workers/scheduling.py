"""The calendar: what ran out is let go, it is proven sound once a day, and each site's next possible starts are kept. Rows are the queue."""

from celery import shared_task

from clinic import jobs
from clinic.jobs import Job
from clinic.scheduling import proving, starts, sweeping


@shared_task(name=Job.SWEEP_SCHEDULE)
def sweep() -> None:
    sweeping.sweep()


@shared_task(name=Job.PROVE_SCHEDULE)
def prove() -> None:
    proving.prove_if_due()


@shared_task(name=Job.SWEEP_STARTS)
def sweep_starts() -> None:
    for location_id in starts.stale_sites():
        jobs.ring(Job.REFRESH_STARTS, location_id=location_id)


@shared_task(name=Job.REFRESH_STARTS, acks_late=True)
def refresh_starts(location_id: int) -> None:
    starts.refresh_starts(location_id)
