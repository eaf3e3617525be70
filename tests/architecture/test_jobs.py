"""Every job has a worker that does it, and something that starts it."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clinic.jobs import Job

ROOT = Path(__file__).parents[2]
ASK = """
import json
from workers.celery_app import celery
print(json.dumps({"tasks": sorted(celery.tasks), "beat": sorted(row["task"] for row in celery.conf.beat_schedule.values())}))
"""


@pytest.fixture(scope="module")
def workers(postgres, redis, template_database, tmp_path_factory) -> dict[str, list[str]]:
    """What the workers registered, asked of a process of their own."""
    environment = {
        **os.environ,
        "CLINIC_DATABASE_URL": postgres.url(template_database),
        "CLINIC_REDIS_URL": redis.url,
        "CLINIC_SECRET_KEYS": "test-signing-key",
        "CLINIC_DATA_KEYS": "test-data-key",
        "CLINIC_INSTANCE": str(tmp_path_factory.mktemp("instance")),
    }
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, list[str]] = json.loads(done.stdout)
    return answer


def rung() -> set[str]:
    """Names of the jobs that some line of the code rings."""
    found = set()
    for folder in ("clinic", "workers"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and _name(node.func) == "ring" and node.args:
                    argument = node.args[0]
                    if isinstance(argument, ast.Attribute) and _name(argument.value) == "Job":
                        found.add(str(Job[argument.attr]))
    return found


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def test_every_job_has_a_task(workers) -> None:
    assert {str(job) for job in Job} - set(workers["tasks"]) == set()


def test_no_task_without_a_job(workers) -> None:
    ours = {task for task in workers["tasks"] if not task.startswith("celery.")}
    assert ours == {str(job) for job in Job}


def test_every_job_is_started_by_beat_or_by_a_ring(workers) -> None:
    assert {str(job) for job in Job} - set(workers["beat"]) - rung() == set()


def test_beat_rings_only_known_jobs(workers) -> None:
    assert set(workers["beat"]) <= {str(job) for job in Job}
