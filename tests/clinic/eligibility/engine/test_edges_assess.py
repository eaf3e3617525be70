"""What to do next and what to ask: which steps are there, in which order, and when none is."""

import pytest


def steps(result):
    return [step.code for step in result.next_steps if step.about is None]


def test_options_are_named_in_the_order_of_the_alphabet_and_only_after_a_verdict(run):
    (offer,) = [step for step in run().next_steps if step.code == "discuss_options"]
    said = "Options to talk about after 2 adequate trials: "
    assert offer.text.startswith(said)
    listed = offer.text.removeprefix(said).removesuffix(".").split("; ")
    assert listed == sorted(listed)
    assert "discuss_options" not in steps(run(age=17))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["discuss_options", "prescriber_decision"]),
        ({"phq9": [0] * 8 + [1]}, ["item9_review", "discuss_options", "prescriber_decision"]),
        ({"cssrs": {"plan": True}}, ["urgent_review", "discuss_options", "prescriber_decision"]),
        ({"mdq_positive": True}, ["bipolar_review", "clinician_review", "discuss_options"]),
        ({"trials": None}, ["complete_history", "clinician_review"]),
        ({"payer": "Nobody Mutual"}, ["discuss_options", "payer_policy", "prescriber_decision"]),
    ],
)
def test_the_steps_in_their_order(run, changes, expected):
    assert steps(run(**changes)) == expected


def test_the_sex_is_asked_where_the_cut_off_of_audit_c_hangs_on_it(run):
    def asked(**changes):
        return "sex" in [ask.field for ask in run(**changes).ask]

    assert asked(sex=None, audit_c=3)
    assert asked(sex="unknown", audit_c=3)
    assert not asked(sex="female", audit_c=3)
    assert not asked(sex=None, audit_c=4)
    assert not asked(sex=None, audit_c=2)


def test_an_answer_that_matters_for_several_treatments_is_asked_once(run, make_record):
    result = run(safety=make_record()["safety"] | {"stroke_or_brain_lesion": None, "bp": None})
    because = {ask.field: ask.because for ask in result.ask}
    assert because["safety.stroke_or_brain_lesion"] == "It matters for TMS, esketamine and IV ketamine."
    assert because["safety.bp"] == "It matters for esketamine and IV ketamine."
