"""The care plan: one sweep opens the tasks whose date has come. Rows are the queue."""

from celery import shared_task

from clinic.care import planning, referring
from clinic.jobs import Job


@shared_task(name=Job.SWEEP_CARE)
def sweep() -> None:
    planning.open_due_tasks()
    referring.open_due_tasks()
