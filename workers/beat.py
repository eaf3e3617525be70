"""The schedule: one table. Beat only rings; what is due is found by the sweeps."""

from clinic.jobs import Job, queue_of
from workers.celery_app import celery

SCHEDULE = {
    Job.SWEEP_INTAKES: 15.0,
    Job.SWEEP_REMINDERS: 15.0,
    Job.SWEEP_URGENT: 15.0,
    Job.SWEEP_SURVEYS: 30.0,
    Job.SWEEP_SCHEDULE: 15.0,
    Job.SWEEP_STARTS: 60.0,
    Job.PROVE_SCHEDULE: 1800.0,  # asks whether a day has gone by; the row says so, not the beat
    Job.SWEEP_RECORDS: 3600.0,
    Job.SWEEP_CARE: 300.0,  # dates are days: minutes do not matter
}

celery.conf.beat_schedule = {
    str(job): {"task": str(job), "schedule": seconds, "options": {"expires": seconds * 2, "queue": str(queue_of(job))}}
    for job, seconds in SCHEDULE.items()
}
