import itertools
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from clinic.cli.plan import plan
from tests.clinic.scheduling.planner.builders import DATA, tool

KNOWN = json.loads((DATA / "refs_open.json").read_text())["online"]["online seed=117 grid=15 util=0.9"]


@pytest.fixture(scope="module")
def instance():
    return tool("instances").make("online", seed=117, grid=15, util=0.9)


@pytest.fixture(scope="module")
def answer(instance):
    return json.loads(run(instance).stdout)


def run(document, *options):
    text = document if isinstance(document, str) else json.dumps(document)
    return CliRunner().invoke(plan, ["course", *options], input=text)


def test_the_answer_passes_the_referee_at_the_known_optima(instance):
    result = run(instance)
    answer = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (0, "")
    verdict = tool("checker").check(instance, answer)
    assert verdict["errors"] == []
    assert verdict["cost"] == answer["cost"]
    wanted = {pid: known and known["optimum"] for pid, known in KNOWN["patients"].items()}
    assert {pid: p and p["cost"] for pid, p in answer["patients"].items()} == wanted


def test_every_course_carries_its_cost_parts(answer):
    for course in answer["patients"].values():
        if course is not None:
            assert sum(course["parts"].values()) == course["cost"]
            assert set(course["parts"]) == {"wait", "late", "gap", "tod", "dev", "loc", "pref"}


def test_the_whole_answer_carries_its_cost_parts_unplaced_patients_too(instance, answer):
    assert sum(answer["parts"].values()) == answer["cost"]
    assert answer["parts"]["unplaced"] > 0
    verdict = tool("checker").check(instance, answer)
    assert {name: answer["parts"][name] for name in verdict["parts"]} == verdict["parts"]


def test_every_visit_that_costs_something_says_why(instance, answer):
    known = {booking["id"] for booking in instance["bookings"]}
    blocked = []
    for course in answer["patients"].values():
        if course is not None:
            visits = course["reasons"]["visits"]
            assert sum(sum(visit["parts"].values()) for visit in visits) == course["cost"]
            blocked += [visit["blocked"] for visit in visits if visit["blocked"]]
    assert blocked
    assert all(each["rules"] and each["opens"] and each["saves"] > 0 for each in blocked)
    assert all(set(each["bookings"]) <= known for each in blocked)


def test_long_gaps_are_named_with_their_dates(answer):
    courses = [course for course in answer["patients"].values() if course]
    for course in courses:
        days = [visit[0] for visit in course["visits"]]
        long = [b - a for a, b in itertools.pairwise(days) if b - a > 4]
        assert [gap["days"] for gap in course["gaps"]] == long
        assert all(gap["text"].startswith(f"{gap['days']} days from ") for gap in course["gaps"])


def test_no_course_is_an_answer_with_the_binding_rule_beside_it(answer):
    refused = {pid for pid, course in answer["patients"].items() if course is None}
    assert refused == set(answer["binding"]) != set()
    for binding in answer["binding"].values():
        assert binding["rule"]
        assert binding["text"]
        assert binding["relaxations"]


def test_a_file_or_a_dash_is_read(instance, tmp_path):
    path = tmp_path / "instance.json"
    path.write_text(json.dumps(instance))
    from_file = CliRunner().invoke(plan, ["course", str(path)])
    assert from_file.stdout == run(instance, "-").stdout == run(instance).stdout


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"grid": "15"}, "$.grid: "),
        ({"surprise": 1}, "$.surprise: unknown key"),
        ({"task": "repair"}, "$.task: "),
        ({"patients": [{}]}, "$.patients[0].id: missing"),
    ],
)
def test_a_refusal_names_the_path_and_leaves_stdout_empty(instance, change, line):
    result = run({**instance, **change})
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(line)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": "tms-plan/1", "format": "x"}'])
def test_what_is_no_instance_is_refused(text):
    result = run(text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("$")


@pytest.mark.parametrize("seconds", ["0", "-1", "soon"])
def test_a_senseless_time_is_refused(instance, seconds):
    result = run(instance, "--seconds", seconds)
    assert (result.exit_code, result.stdout) == (2, "")


def test_what_the_time_did_not_reach_is_not_called_infeasible(instance):
    answer = json.loads(run(instance, "--seconds", "0.01").stdout)
    assert set(answer["patients"].values()) == {None}
    assert {b["rule"] for b in answer["binding"].values()} == {"time_limit"}


def test_the_command_needs_no_web_application():
    code = "import sys; from clinic.cli.plan import plan; import clinic.scheduling.planner.instance; print('flask' in sys.modules, 'sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
