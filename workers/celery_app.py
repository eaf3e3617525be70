"""The worker's and beat's entry: `celery -A workers.celery_app worker`."""

import logging
from typing import Any

from celery import Task
from celery.signals import after_setup_logger, after_setup_task_logger, worker_process_init
from flask import Flask

from clinic import logs
from clinic.app import create_app
from clinic.db import db

app: Flask = create_app()
celery = app.extensions["celery"]


class AppTask(Task):  # type: ignore[misc]
    """Every task runs in its own application context, with its own database session."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with app.app_context():
            return self.run(*args, **kwargs)


celery.Task = AppTask
celery.set_default()


@after_setup_logger.connect
@after_setup_task_logger.connect
def _ids_only(logger: logging.Logger, **_: Any) -> None:
    for handler in logger.handlers:
        handler.setFormatter(logs.Lines())


@worker_process_init.connect
def _fresh_connections(**_: Any) -> None:
    """A forked worker must not share its parent's database connections."""
    with app.app_context():
        db.engine.dispose(close=False)


import workers.beat  # noqa: E402 - registers the schedule; below, the tasks
import workers.calls  # noqa: E402
import workers.care  # noqa: E402
import workers.eligibility  # noqa: E402
import workers.heartbeat  # noqa: E402
import workers.records  # noqa: E402
import workers.reminders  # noqa: E402
import workers.scheduling  # noqa: E402
import workers.sealing  # noqa: E402
import workers.surveys  # noqa: E402,F401
