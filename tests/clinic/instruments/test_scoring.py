import pytest

from clinic import instruments
from clinic.instruments import BadAnswers, band, load, response, score


@pytest.mark.parametrize("key", instruments.keys())
def test_every_file_loads(key):
    assert load(key).key == key


def test_only_free_questionnaires_show_their_items():
    shown = {each for each in instruments.keys() if load(each).items}  # noqa: SIM118  a function, not a dict
    ours = {"side_effects_tms", "side_effects_ketamine", "sleep_clinic", "mood_clinic"}
    assert shown == {"phq9", "phq2", "gad7", "cssrs", "audit_c", "pcptsd5"} | ours


def test_an_unknown_questionnaire_is_an_error():
    with pytest.raises(KeyError):
        load("phq10")


# PHQ-9: Kroenke, Spitzer, Williams 2001


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (0, "minimal"),
        (4, "minimal"),
        (5, "mild"),
        (9, "mild"),
        (10, "moderate"),
        (14, "moderate"),
        (15, "moderately_severe"),
        (19, "moderately_severe"),
        (20, "severe"),
        (27, "severe"),
    ],
)
def test_bands_of_the_phq9(total, expected):
    items = [3] * (total // 3) + [total % 3] + [0] * 9
    assert score("phq9", items[:9])["band"] == expected
    assert band("phq9", total) == expected


def test_phq9_total_and_item_9():
    assert score("phq9", [1, 2, 3, 0, 1, 2, 3, 0, 1]) == {"total": 13, "band": "moderate", "item9_positive": True}
    assert score("phq9", [3] * 8 + [0])["item9_positive"] is False


def test_up_to_two_missing_items_of_the_phq9_are_filled_with_the_mean_and_named():
    # 10 over 7 answers: 10 / 7 * 9 = 12.86
    found = score("phq9", [1, 2, 3, 0, 1, 2, None, None, 1])
    assert (found["total"], found["imputed"]) == (13, [7, 8])


def test_three_missing_items_of_the_phq9_leave_no_total():
    found = score("phq9", [1, 2, 3, 0, 1, None, None, None, 1])
    assert (found["total"], found["band"], found["missing"]) == (None, None, [6, 7, 8])


def test_item_9_is_never_filled():
    found = score("phq9", [1] * 8 + [None])
    assert (found["total"], found["missing"], found["item9_positive"]) == (None, [9], None)


# GAD-7: Spitzer and others 2006


@pytest.mark.parametrize(
    ("total", "expected"),
    [(0, "minimal"), (4, "minimal"), (5, "mild"), (9, "mild"), (10, "moderate"), (14, "moderate"), (15, "severe")],
)
def test_bands_of_the_gad7(total, expected):
    items = [3] * (total // 3) + [total % 3] + [0] * 7
    assert score("gad7", items[:7]) == {"total": total, "band": expected}


def test_one_missing_item_of_the_gad7_is_filled_and_two_are_not():
    assert score("gad7", [1, 2, 3, 0, 1, 2, None]) == {
        "total": 11,
        "band": "moderate",
        "imputed": [7],
    }  # 9 / 6 * 7 = 10.5
    assert score("gad7", [1, 2, 3, 0, 1, None, None])["total"] is None


# AUDIT-C


@pytest.mark.parametrize(
    ("items", "sex", "positive"),
    [
        ([1, 1, 1], "female", True),
        ([1, 1, 0], "female", False),
        ([1, 1, 1], "male", False),
        ([2, 1, 1], "male", True),
        ([1, 1, 1], "unknown", True),
        ([1, 1, 1], "other", True),
        ([1, 1, 1], None, True),
    ],
)
def test_audit_c_cut_off_by_sex(items, sex, positive):
    found = score("audit_c", items, sex=sex)
    assert (found["total"], found["positive"]) == (sum(items), positive)
    assert found.get("lower_cutoff_used", False) is (sex not in ("male", "female"))


def test_a_missing_item_of_the_audit_c_leaves_no_total():
    found = score("audit_c", [1, None, 0], sex="female")
    assert (found["total"], found["positive"], found["missing"]) == (None, None, [2])
    assert score("audit_c", [4, None, 0], sex="female")["positive"] is True


# Columbia screener triage

NO = dict.fromkeys(instruments.CSSRS_ANSWERS, False)


@pytest.mark.parametrize(
    ("yes", "risk"),
    [
        ([], "none"),
        (["wish_dead"], "low"),
        (["thoughts"], "low"),
        (["method"], "moderate"),
        (["behaviour_lifetime"], "moderate"),
        (["intent"], "high"),
        (["plan"], "high"),
        (["behaviour_3mo"], "high"),
        (["wish_dead", "plan"], "high"),
    ],
)
def test_triage_of_the_columbia_screener(yes, risk):
    assert score("cssrs", NO | dict.fromkeys(yes, True)) == {"risk": risk}


def test_skipped_questions_of_the_columbia_screener_are_no():
    assert score("cssrs", {"wish_dead": True, "thoughts": False, "behaviour_lifetime": False}) == {"risk": "low"}


def test_a_missing_answer_of_the_columbia_screener_is_never_a_no():
    found = score("cssrs", NO | {"thoughts": True, "plan": None})
    assert (found["risk"], found["at_least"], found["missing"]) == (None, "low", ["plan"])
    assert score("cssrs", {"intent": True}) == {"risk": "high"}


# Others


def test_ptsd_screen_and_the_two_question_screen():
    assert score("pcptsd5", [1, 1, 1, 1, 0]) == {"total": 4, "positive": True}
    assert score("phq2", [1, 1]) == {"total": 2, "positive": False}


@pytest.mark.parametrize(
    ("key", "answers"),
    [
        ("phq9", [0] * 8),
        ("phq9", [0] * 8 + [4]),
        ("phq9", [0] * 8 + [-1]),
        ("phq9", [True] * 9),
        ("phq9", [1.0] * 9),
        ("phq9", "012301230"),
        ("phq9", {}),
        ("phq9", None),
        ("audit_c", [5, 0, 0]),
        ("cssrs", {"plan": 1}),
        ("cssrs", {"plans": True}),
        ("cssrs", [True]),
        ("madrs", [1] * 10),
    ],
)
def test_answers_that_do_not_fit_are_refused(key, answers):
    with pytest.raises(BadAnswers):
        score(key, answers)


# Change


@pytest.mark.parametrize(
    ("baseline", "now", "percent", "level", "remission"),
    [
        (20, 10, 50.0, "response", False),
        (20, 11, 45.0, "partial_response", False),
        (20, 15, 25.0, "partial_response", False),
        (20, 16, 20.0, "non_response", False),
        (20, 4, 80.0, "response", True),
        (10, 14, -40.0, "non_response", False),
    ],
)
def test_response_and_remission(baseline, now, percent, level, remission):
    found = response(baseline, now)
    assert (found.percent, found.level, found.remission) == (percent, level, remission)
    assert found.response is (level == "response")


def test_percent_change_from_zero_is_undefined():
    found = response(0, 3)
    assert (found.percent, found.response, found.remission) == (None, None, True)


def test_remission_by_the_cut_off_of_the_scale():
    assert response(30, 10, "madrs").remission is True
    assert response(30, 11, "madrs").remission is False


# Each questionnaire's own rule for missing items


@pytest.mark.parametrize(
    ("key", "items", "expected"),
    [
        ("phq2", [3, None], {"total": None, "missing": [2], "positive": True}),
        ("phq2", [2, None], {"total": None, "missing": [2], "positive": None}),
        ("pcptsd5", [1, 1, 1, 1, None], {"total": None, "missing": [5], "positive": True}),
        ("pcptsd5", [1, 1, 1, None, None], {"total": None, "missing": [4, 5], "positive": None}),
        ("pcptsd5", [0, 0, 0, 0, 0], {"total": 0, "positive": False}),
    ],
)
def test_a_screen_is_positive_where_no_missing_item_could_change_it(key, items, expected):
    assert score(key, items) == expected


@pytest.mark.parametrize(
    ("gate", "expected"),
    [(False, {"total": 0, "positive": False}), (None, {"total": None, "missing": ["gate"], "positive": None})],
)
def test_the_question_before_the_pcptsd5_decides(gate, expected):
    assert score("pcptsd5", [None] * 5, gate=gate) == expected


def test_our_own_questions_make_no_total():
    found = score("side_effects_tms", [3, None, 0, 0, 0, 0, 0, 0, 1, "buzzing"])
    assert found["total"] is None
    assert found["said"]["headache_0_10"] == 3
    assert "scalp_pain_0_10" not in found["said"]
    assert found["said"]["other_text"] == "buzzing"


@pytest.mark.parametrize("answer", [11, -1, True, "3"])
def test_an_answer_outside_of_its_scale_is_refused(answer):
    with pytest.raises(BadAnswers):
        score("mood_clinic", [answer])


def test_words_are_at_most_500_characters():
    with pytest.raises(BadAnswers):
        score("side_effects_tms", [None] * 9 + ["x" * 501])


def test_how_sure_an_instrument_is_names_its_sources() -> None:
    assert load("phq9").how_sure.endswith("recalled (Kroenke, Spitzer, Williams, J Gen Intern Med 2001)")
    every = [load(key) for key in instruments.keys()]  # noqa: SIM118  a function, not a dict
    assert not [one.key for one in every for source in one.data.get("sources") or {} if source in one.how_sure]
