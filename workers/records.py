"""What is not kept: forms that nobody finished."""

from celery import shared_task

from clinic.audit import system
from clinic.jobs import Job
from clinic.records import retention


@shared_task(name=Job.SWEEP_RECORDS)
def sweep() -> None:
    while retention.erase_drafts(by=system("retention")):
        pass
