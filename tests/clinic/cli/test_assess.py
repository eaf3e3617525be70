import json

import pytest
from click.testing import CliRunner

from clinic.cli.assess import assess


def call(*args, text=""):
    return CliRunner().invoke(assess, list(args), input=text)


def test_one_record_is_answered_on_standard_output():
    result = call(text='{"id": "a", "age": 40}')
    assert result.exit_code == 0
    assert json.loads(result.stdout)["id"] == "a"
    assert result.stderr == ""


def test_a_file_and_a_dash_are_read(tmp_path):
    path = tmp_path / "record.json"
    path.write_text('{"id": "b"}')
    assert json.loads(call(str(path)).stdout)["id"] == "b"
    assert json.loads(call("-", text='{"id": "c"}').stdout)["id"] == "c"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"age": true}', "$.age: "),
        ('{"ages": 3}', "$.ages: unknown key"),
        ('{"trials": [{"weeks": -1}]}', "$.trials[0].weeks: "),
        ('{"trials": [{"weeks": NaN}]}', "$: "),
        ('{"trials": [{"weeks": 1e999}]}', "$.trials[0].weeks: "),
        ('{"age": 3, "age": 4}', "$: "),
        ("[]", "$: must be an object"),
        ("nonsense", "$: not JSON"),
        ("", "$: not JSON"),
        ("[" * 100000, "$: "),
    ],
)
def test_a_refused_record_says_where_and_prints_nothing_else(text, problem):
    result = call(text=text)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(problem)
    assert "Traceback" not in result.stderr


def test_each_problem_has_its_own_line():
    result = call(text='{"age": "x", "sex": "x", "extra": 1}')
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == ["$.age", "$.sex", "$.extra"]


def test_a_file_that_is_not_there_is_refused(tmp_path):
    result = call(str(tmp_path / "none.json"))
    assert (result.exit_code, result.stdout) == (2, "")


def test_bytes_that_are_no_text_are_refused():
    result = CliRunner().invoke(assess, [], input=b"\xff\xfe{}")
    assert (result.exit_code, result.stdout) == (2, "")


@pytest.mark.parametrize("args", [("--policy", "nobody"), ("--ruleset", "nine")])
def test_an_unknown_policy_or_rule_set_is_refused(args):
    result = call(*args, text="{}")
    assert (result.exit_code, result.stdout) == (2, "")
    assert args[0] in result.stderr


def test_policy_and_rule_set_are_passed_on():
    args = ("--policy", "aetna_cpb_0469", "--policy", "uhc_optum", "--ruleset", "min_weeks_4")
    found = json.loads(call(*args, text="{}").stdout)
    assert [policy["id"] for policy in found["policies"]] == ["aetna_cpb_0469", "uhc_optum"]
    assert found["ruleset"]["id"] == "min_weeks_4"


def test_lines_are_answered_in_order_and_a_refused_one_does_not_stop_the_rest():
    lines = ['{"id": "a"}', '{"id": "b", "age": "x"}', "nonsense", '{"id": "d"}']
    result = call("--jsonl", text="\n".join(lines) + "\n")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["id"] for row in rows] == ["a", "b", None, "d"]
    assert [("error" in row) for row in rows] == [False, True, True, False]
    assert rows[1]["error"][0].startswith("$.age")
    assert result.exit_code == 2


def test_lines_without_a_fault_end_well():
    result = call("--jsonl", text='{"id": "a"}\n\n{"id": "b"}')
    assert result.exit_code == 0
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == ["a", "b"]


def test_odd_characters_are_echoed_as_plain_ascii():
    result = call(text='{"id": "é\\u0000", "trials": [{"drug": "Zoloft\\n"}]}')
    assert result.exit_code == 0
    assert result.stdout.isascii()
    assert json.loads(result.stdout)["id"] == "é\x00"


def test_half_a_character_is_refused():
    result = call(text='{"id": "\\ud800"}')
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("$.id: ")


def test_each_of_a_thousand_full_lines_is_answered_in_order():
    trial = {"drug": "Zoloft", "dose_mg_per_day": 25, "weeks_at_dose": 8, "adherence": "good", "outcome": "none"}
    lines = (json.dumps({"id": str(n), "trials": [trial] * 4}) for n in range(1000))
    result = call("--jsonl", text="\n".join(lines))
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == [str(n) for n in range(1000)]
