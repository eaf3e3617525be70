"""Records that are wrong in one place or in many: refused by field, or answered; never a traceback.

A sample in `make test`, ten thousand in `make soak`. What is judged is the command itself, its exit code and both streams.
"""

import copy
import json
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clinic.cli.assess import assess

# One record in which every kind of value has a place.
WHOLE: dict[str, Any] = {
    "id": "m-1",
    "as_of": "2026-11-20",
    "age": 40,
    "sex": "female",
    "episode": {
        "diagnosis": "mdd",
        "onset_weeks_ago": 60,
        "psychotic_features": False,
        "current_mania": False,
        "severity": "moderate",
        "ect_used": False,
    },
    "trials": [
        {
            "drug": "Zoloft",
            "dose_mg_per_day": 100,
            "formulation": "tablet",
            "weeks": [8, 10],
            "weeks_at_dose": 8,
            "started_on": "2026-01",
            "stopped_on": "2026-04-01",
            "adherence": "good",
            "outcome": "none",
            "stopped_reason": "inefficacy",
            "in_current_episode": True,
            "purpose": "depression",
            "role": "alone",
            "missed_doses_per_week": [0, 1],
            "improvement_percent": 20,
            "weeks_well_after": 0,
            "level_therapeutic": False,
            "side_effect": "nausea",
            "side_effect_on": "2026-02",
            "side_effect_confirmed": True,
            "documentation": "pharmacy",
        },
        {"drug": "venlafaxine", "steps": [{"dose": 75, "weeks": 2}, {"dose": [150, 225], "weeks": 6}]},
    ],
    "psychotherapy": [{"type": "cbt", "sessions": 12, "adequate": True}],
    "phq9": [2, 2, 2, 2, 2, 2, 2, 2, 0],
    "cssrs": {"wish_dead": False, "thoughts": False, "plan": False, "behaviour_3mo": False},
    "mdq_positive": False,
    "audit_c": 1,
    "safety": {"metal_in_head": False, "bp": [120, 80], "liver_impairment": "none", "fainting": False},
    "payer": "tricare",
    "current_medicines": ["lisinopril 10 mg", "ibuprofen"],
    "scores": {"gad7": 9, "madrs": 30},
    "thyroid": {"problem": False, "result": "normal", "tested_on": "2026-05"},
    "other_causes": {"sleep_apnoea": False},
}
# For every place: values that cannot stand there.
NO_FLAG = ["yes", "", 0, 1, 2.5, [], {}, [True]]
NO_COUNT = ["6", True, -1, 2.5, 1e9, [], {}, [1, 2]]
NO_SPAN = ["six", True, -1, [1], [2, 1], [1, 2, 3], [], {}, ["1", 2], 1e12, [False, True]]
NO_DAY = ["yesterday", "2026-13", "2026-02-30", "26-01-01", "2026-1-1", True, 2.5, [], {}, "0000", "9999-99"]
NO_WORD = ["perhaps", "", 1, True, [], {}, ["none"], "GOOD"]
NO_TEXT = [5, True, [], {}, "x" * 301]
NO_LIST = ["none", 1, True, {}, {"0": {}}]
NO_OBJECT = ["none", 1, True, []]
WRONG: dict[tuple[str | int, ...], list[Any]] = {
    ("id",): NO_TEXT,
    ("as_of",): [*NO_DAY, "2026", "2026-11"],
    ("age",): [*NO_COUNT, 400],
    ("sex",): NO_WORD,
    ("episode",): NO_OBJECT,
    ("episode", "diagnosis"): NO_WORD,
    ("episode", "onset_weeks_ago"): NO_COUNT,
    ("episode", "psychotic_features"): NO_FLAG,
    ("episode", "severity"): NO_WORD,
    ("episode", "ect_used"): NO_FLAG,
    ("trials",): NO_LIST,
    ("trials", 0): [*NO_OBJECT, None],
    ("trials", 0, "drug"): NO_TEXT,
    ("trials", 0, "dose_mg_per_day"): NO_SPAN,
    ("trials", 0, "formulation"): NO_TEXT,
    ("trials", 0, "weeks"): NO_SPAN,
    ("trials", 0, "weeks_at_dose"): NO_SPAN,
    ("trials", 0, "started_on"): NO_DAY,
    ("trials", 0, "stopped_on"): NO_DAY,
    ("trials", 0, "adherence"): NO_WORD,
    ("trials", 0, "outcome"): NO_WORD,
    ("trials", 0, "stopped_reason"): NO_WORD,
    ("trials", 0, "in_current_episode"): NO_FLAG,
    ("trials", 0, "purpose"): NO_WORD,
    ("trials", 0, "role"): NO_WORD,
    ("trials", 0, "missed_doses_per_week"): NO_SPAN,
    ("trials", 0, "improvement_percent"): ["half", True, [2, 1], [1], {}, 1e6],
    ("trials", 0, "weeks_well_after"): NO_SPAN,
    ("trials", 0, "level_therapeutic"): NO_FLAG,
    ("trials", 0, "side_effect"): NO_TEXT,
    ("trials", 0, "side_effect_on"): NO_DAY,
    ("trials", 0, "side_effect_confirmed"): NO_FLAG,
    ("trials", 0, "documentation"): NO_WORD,
    ("trials", 1, "steps"): NO_LIST,
    ("trials", 1, "steps", 0): [*NO_OBJECT, None],
    ("trials", 1, "steps", 0, "dose"): NO_SPAN,
    ("trials", 1, "steps", 1, "weeks"): NO_SPAN,
    ("psychotherapy",): NO_LIST,
    ("psychotherapy", 0): [*NO_OBJECT, None],
    ("psychotherapy", 0, "type"): NO_TEXT,
    ("psychotherapy", 0, "sessions"): NO_COUNT,
    ("psychotherapy", 0, "adequate"): NO_FLAG,
    ("phq9",): [*NO_LIST, [], [1] * 8, [1] * 10],
    ("phq9", 8): ["1", True, -1, 4, 1.5, [], {}],
    ("cssrs",): NO_OBJECT,
    ("cssrs", "plan"): NO_FLAG,
    ("mdq_positive",): NO_FLAG,
    ("audit_c",): [*NO_COUNT, 13],
    ("safety",): NO_OBJECT,
    ("safety", "metal_in_head"): NO_FLAG,
    ("safety", "bp"): ["120/80", 120, True, [120], [120, 80, 60], [80, 120], [-1, -2], ["120", "80"], {}],
    ("safety", "bp", 0): ["high", True, 5000, -1, [], {}],
    ("safety", "liver_impairment"): NO_WORD,
    ("safety", "fainting"): NO_FLAG,
    ("payer",): NO_TEXT,
    ("current_medicines",): NO_LIST,
    ("current_medicines", 1): [*NO_TEXT, None],
    ("scores",): NO_OBJECT,
    ("scores", "gad7"): [*NO_COUNT, 22],
    ("thyroid",): NO_OBJECT,
    ("thyroid", "result"): NO_WORD,
    ("thyroid", "tested_on"): NO_DAY,
    ("other_causes",): NO_OBJECT,
    ("other_causes", "sleep_apnoea"): NO_FLAG,
}
OBJECTS: list[tuple[str | int, ...]] = [
    (),
    ("episode",),
    ("trials", 0),
    ("trials", 1, "steps", 1),
    ("psychotherapy", 0),
    ("cssrs",),
    ("safety",),
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 300),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=8,
)


@pytest.fixture(params=[pytest.param(1, id="sample"), pytest.param(40, id="full", marks=pytest.mark.soak)])
def search(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Draws records: the same few every time, or many by the seed of the run."""

    def look(check: Callable[..., None], *, examples: int, **strategies: Any) -> None:
        settings(
            max_examples=examples * request.param,
            derandomize=request.param == 1,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )(given(**strategies)(check))()

    return look


def json_path(parts: tuple[str | int, ...]) -> str:
    words = [
        f"[{part}]" if isinstance(part, int) else f".{part}" if part.isidentifier() else f"[{json.dumps(part)}]"
        for part in parts
    ]
    return "$" + "".join(words)


def replaced(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    record = copy.deepcopy(WHOLE)
    target: Any = record
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value
    return record


def call(text: str | bytes, *args: str) -> Any:
    result = CliRunner().invoke(assess, list(args), input=text)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in (0, 2)
    assert "Traceback" not in result.stderr
    return result


def refused_paths(text: str | bytes) -> list[str]:
    """The paths that a refusal names; empty where the record was answered."""
    result = call(text)
    if result.exit_code == 0:
        assert result.stderr == ""
        assert set(json.loads(result.stdout)) >= {"trd", "trials", "pathways", "urgent", "ask"}
        return []
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines
    assert all(line.startswith("$") and ": " in line for line in lines)
    return [line.split(": ", 1)[0] for line in lines]


def names(path: str, field: str) -> bool:
    """Whether a refused path is the field, or lies in it, or holds it."""
    return path.startswith(field) or field.startswith(path)


def test_the_whole_record_is_answered():
    assert refused_paths(json.dumps(WHOLE)) == []


@pytest.mark.parametrize("path", WRONG, ids=json_path)
def test_a_value_that_cannot_stand_there_is_refused_by_its_field(path):
    field = json_path(path)
    for value in WRONG[path]:
        paths = refused_paths(json.dumps(replaced(path, value)))
        assert paths, f"{value!r} was answered"
        # A pair of pressures, nine answers and a list of two numbers are one field each.
        held = [field] if path[:1] not in (("phq9",), ("safety",)) else [field, field.rsplit("[", 1)[0]]
        assert all(any(each.startswith(start) for start in held) for each in paths), (value, paths)


def test_wrong_values_anywhere_are_refused_by_their_fields(search):
    places = st.sampled_from([(path, value) for path, values in WRONG.items() for value in values])

    def check(wrongs):
        record = WHOLE
        done: list[str] = []
        for path, value in wrongs:
            if any(names(json_path(path), other) for other in done):
                continue
            whole, record = record, copy.deepcopy(record)
            target: Any = record
            try:
                for part in path[:-1]:
                    target = target[part]
                target[path[-1]] = copy.deepcopy(value)
            except (TypeError, KeyError, IndexError):
                record = whole
                continue
            done.append(json_path(path))
        paths = refused_paths(json.dumps(record))
        for field in done:
            assert any(names(path, field) for path in paths), (field, paths)
        for path in paths:
            assert any(names(path, field) for field in done), (path, done)

    search(check, examples=90, wrongs=st.lists(places, min_size=1, max_size=5))


def test_a_key_that_nobody_knows_is_refused_by_name(search):
    def check(path, key, value):
        target: Any = WHOLE
        for part in path:
            target = target[part]
        # Letters that no key begins with keep a drawn name from being a real one.
        key = f"zz{key}"
        paths = refused_paths(json.dumps(replaced((*path, key), value)))
        assert len(paths) == 1
        assert paths[0].startswith(json_path(path))
        assert "zz" in paths[0]

    search(
        check,
        examples=60,
        path=st.sampled_from(OBJECTS),
        key=st.text(st.characters(categories=["L", "N"]), max_size=6),
        value=ANYTHING,
    )


def test_anything_anywhere_is_refused_by_its_field_or_answered(search):
    def check(path, value):
        field = json_path(path)
        for refused in refused_paths(json.dumps(replaced(path, value))):
            assert names(refused, field), (refused, field)

    search(check, examples=90, path=st.sampled_from([*WRONG]), value=ANYTHING)


def test_whatever_the_document_is_it_is_refused_or_answered(search):
    def check(value):
        for refused in refused_paths(json.dumps(value)):
            assert refused.startswith("$")

    search(check, examples=30, value=ANYTHING)


def test_a_text_cut_or_stirred_is_refused_or_answered(search):
    whole = json.dumps(WHOLE)

    def check(seed, cuts):
        rng = random.Random(seed)
        text = list(whole)
        for _ in range(cuts):
            place = rng.randrange(len(text))
            rng.choice([text.pop, lambda at: text.insert(at, rng.choice('{}[]",:0e-\\\0é'))])(place)
        refused_paths("".join(text))

    search(check, examples=40, seed=st.integers(0, 10**6), cuts=st.integers(1, 4))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" \n",
        b"{",
        b'{"age": NaN}',
        b'{"age": 1, "age": 2}',
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"id": "\\ud800"}',
        b'{"trials": [' + b"{}," * 400 + b"{}]}",
        b'{"age": ' + b"9" * 5000 + b"}",
        b'"text"',
        b"null",
        b"[]",
    ],
    ids=range(13),
)
def test_documents_that_are_none(text):
    assert refused_paths(text)


def test_among_lines_each_refused_one_is_named_and_the_others_are_answered():
    records = [
        WHOLE,
        *(
            replaced(path, values[0]) | {"id": f"m-{n}"}
            for n, (path, values) in enumerate(WRONG.items(), 2)
            if path != ("id",)
        ),
    ]
    text = (
        "".join(json.dumps(record) + "\n" for record in records) + "{not json\n\n" + json.dumps({"id": "last"}) + "\n"
    )
    result = call(text, "--jsonl")
    assert result.exit_code == 2
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["id"] for each in answers] == [*(record["id"] for record in records), None, "last"]
    assert ["error" in each for each in answers] == [False, *[True] * (len(records) - 1), True, False]
    for each in answers[1:-1]:
        assert all(problem.startswith("$") for problem in each["error"])


def test_the_real_command_refuses_without_a_traceback(tmp_path):
    command = [sys.executable, "-m", "clinic.cli.main", "assess"]
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(replaced(("trials", 0, "dose_mg_per_day"), "a lot")))
    single = subprocess.run([*command, str(wrong)], capture_output=True, text=True, check=False)
    assert (single.returncode, single.stdout) == (2, "")
    assert single.stderr.startswith("$.trials[0].dose_mg_per_day: ")
    lines = f"{json.dumps(WHOLE)}\n{wrong.read_text()}\n\x00\n{{}}\n"
    many = subprocess.run([*command, "--jsonl"], input=lines, capture_output=True, text=True, check=False)
    assert many.returncode == 2
    assert "Traceback" not in many.stderr
    answers = [json.loads(line) for line in many.stdout.splitlines()]
    assert ["error" in each for each in answers] == [False, True, True, False]
    assert len(many.stderr.splitlines()) == 2
