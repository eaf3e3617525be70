import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from clinic.config import Settings
from clinic.queues import Queue

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(TEXT)
PARTS = ("postgres", "redis", "web", "worker-urgent", "worker", "worker-bulk", "beat")


@pytest.mark.parametrize("part", PARTS)
def test_every_part_has_a_health_check(part):
    assert COMPOSE["services"][part]["healthcheck"]["test"]


@pytest.mark.parametrize("part", PARTS)
def test_no_part_runs_as_root(part):
    assert COMPOSE["services"][part]["user"] not in ("root", "0", "0:0")


@pytest.mark.parametrize("part", PARTS)
def test_data_lives_in_named_volumes(part):
    names = [volume.split(":")[0] for volume in COMPOSE["services"][part]["volumes"]]
    assert names
    assert set(names) <= set(COMPOSE["volumes"])


def test_every_queue_has_a_worker_of_its_own():
    listens = [part["command"] for name, part in COMPOSE["services"].items() if name.startswith("worker")]
    assert sorted(command[command.index("-Q") + 1] for command in listens) == sorted(map(str, Queue))


def test_no_secret_stands_in_the_file():
    for name in ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "CLINIC_SECRET_KEYS", "CLINIC_DATA_KEYS"):
        values = re.findall(rf"^ *{name}: (.*)$", TEXT, re.MULTILINE)
        assert all(value.startswith(f"${{{name}:?") for value in values)
    assert re.findall(r"://[^$\s]*:[^$\s/]+@", TEXT) == []


def test_every_setting_can_be_given_to_the_clinic():
    known = {item.metadata["name"] for item in fields(Settings)} - {"CLINIC_CLOCK_START", "CLINIC_CLOCK_OFFSET"}
    assert set(COMPOSE["services"]["web"]["environment"]) == known


def test_the_image_does_not_run_as_root():
    users = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("USER ")]
    assert users == ["USER 10001:10001"]


def test_the_image_is_made_of_named_folders_and_holds_no_repository():
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    assert not [line for line in lines if ".git" in line]
