"""A worker whose one task sends what waits row by row: `celery -A benchmarks.row_task:celery`.

No task of the clinic's does only that: `sending.send_each` is what a batch that breaks, and changes, go through.
"""

from typing import TYPE_CHECKING

from celery import shared_task

from clinic import clock
from clinic.reminders import queries, sending
from clinic.reminders.models import Lane

if TYPE_CHECKING:
    from celery import Celery

TASK = "bench.row_by_row"


@shared_task(name=TASK)
def row_by_row() -> None:
    """One ring sends as many as a batch holds, as the clinic's own tasks do."""
    sending.send_each(queries.due_ids(clock.now(), sending.BATCH, lane=Lane.NORMAL))


def __getattr__(name: str) -> "Celery":
    """The worker's application; made only where a worker asks for it."""
    if name != "celery":
        raise AttributeError(name)
    from workers.celery_app import celery

    return celery
