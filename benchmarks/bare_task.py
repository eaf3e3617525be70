"""The baseline of the reminders: a Celery application whose task does one insert. `celery -A benchmarks.bare_task`."""

import os

from celery import shared_task
from flask import Flask
from sqlalchemy import create_engine, text

from clinic.jobs import init_celery

TASK = "bare.insert"
celery = init_celery(Flask(__name__), os.environ["CLINIC_REDIS_URL"])
celery.set_default()
engine = create_engine(os.environ["CLINIC_DATABASE_URL"])
INSERT = text("INSERT INTO bare (number, said) VALUES (:number, :said)")


@shared_task(name=TASK)
def insert(number: int) -> None:
    with engine.begin() as connection:
        connection.execute(INSERT, {"number": number, "said": "one row"})
