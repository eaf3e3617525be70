"""Assessments: a sweep rings for each intake that was sent and not assessed, the other task assesses one."""

from celery import shared_task

from clinic import jobs
from clinic.audit import system
from clinic.eligibility import operations, queries
from clinic.jobs import Job


@shared_task(name=Job.SWEEP_INTAKES)
def sweep() -> None:
    for intake_id in queries.unassessed_intake_ids():
        jobs.ring(Job.ASSESS_INTAKE, intake_id=intake_id)


@shared_task(name=Job.ASSESS_INTAKE)
def assess_one(intake_id: int) -> None:
    operations.assess_intake(intake_id, by=system("eligibility"))
