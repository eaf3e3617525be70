"""`clinic plan batch` and `clinic plan repair`: the answers pass the referee, in time, on standard output alone."""

import json
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from clinic.cli.plan import plan
from tests.clinic.scheduling.planner.builders import tool


@pytest.fixture(scope="module")
def waiting_list():
    return tool("instances").make("batch", seed=203, patients=5)


@pytest.fixture(scope="module")
def outage():
    return tool("instances").make("repair", seed=306, event="staff")


def run(command, document, *options):
    return CliRunner().invoke(plan, [command, *options], input=json.dumps(document))


def judged(document, answer):
    verdict = tool("checker").check(document, answer)
    assert (verdict["errors"], verdict["cost"]) == ([], answer["cost"])
    return verdict


def test_a_waiting_list_is_answered_with_parts_and_bound(waiting_list):
    result = run("batch", waiting_list, "--seconds", "2")
    assert (result.exit_code, result.stderr) == (0, "")
    answer = json.loads(result.stdout)
    assert judged(waiting_list, answer)["unplaced"] == answer["unplaced"] == len(answer["binding"])
    assert sum(answer["parts"].values()) == answer["cost"] >= answer["bound"] > 0


def test_a_patient_who_is_left_out_has_the_rule_beside(waiting_list):
    closed = {**waiting_list, "locations": [{**x, "hours": [[]] * 7} for x in waiting_list["locations"]]}
    closed["bookings"] = []
    answer = json.loads(run("batch", closed, "--seconds", "1").stdout)
    assert set(answer["patients"].values()) == {None}
    assert {b["rule"] for b in answer["binding"].values()} == {"location_is_open"}


def test_an_outage_is_answered_with_moves_parts_and_bound(outage):
    result = run("repair", outage, "--seconds", "3")
    assert (result.exit_code, result.stderr) == (0, "")
    answer = json.loads(result.stdout)
    judged(outage, answer)
    assert sum(answer["parts"].values()) == answer["cost"] >= answer["bound"] >= 0
    changed = {p for p, c in answer["patients"].items() if c["visits"] != outage["old_plan"][p]["visits"]}
    assert changed == {m["patient"] for m in answer["moves"]}


@pytest.mark.parametrize("command", ["batch", "repair"])
def test_an_instance_of_another_task_is_refused(command, waiting_list, outage):
    result = run(command, outage if command == "batch" else waiting_list)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("$.task: ")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (None, "$.old_plan: missing"),
        ({"nobody": {"anchor": 540, "home": "L0T0", "visits": []}}, "$.old_plan.nobody: unknown patient"),
        ({"p0": {"anchor": 540, "home": "x", "visits": []}}, "$.old_plan.p0.home: unknown device x"),
        ({"p0": {"anchor": 540, "home": "L0T0", "visits": []}}, "$.old_plan.p0.visits: 0 visits, the protocol has"),
        ({"p0": {"anchor": 540, "home": "L0T0", "visits": [[0, "L0T0"]]}}, "$.old_plan.p0.visits[0][2]: "),
    ],
)
def test_a_broken_old_plan_is_refused_with_its_path(outage, change, line):
    result = run("repair", {**outage, "old_plan": change})
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(line)


def test_a_visit_that_was_impossible_before_is_refused(outage):
    name = next(iter(outage["old_plan"]))
    course = json.loads(json.dumps(outage["old_plan"][name]))
    course["visits"][-1][2] += 1
    result = run("repair", {**outage, "old_plan": {**outage["old_plan"], name: course}})
    assert result.exit_code == 2
    assert result.stderr.startswith(f"$.old_plan.{name}.visits[{len(course['visits']) - 1}][2]: start ")


def test_the_solver_writes_nothing_and_is_loaded_only_when_needed(waiting_list):
    code = (
        "import sys; from clinic.cli.plan import plan; import clinic.scheduling.planner;"
        "print('highspy' in sys.modules, file=sys.stderr); plan(['batch', '--seconds', '1.5'])"
    )
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(waiting_list), capture_output=True, text=True, check=False
    )
    assert time.monotonic() - begin < 60
    assert done.stderr == "False\n"
    assert json.loads(done.stdout)["task"] == "batch"
