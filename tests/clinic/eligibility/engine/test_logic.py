import itertools

import pytest

from clinic.eligibility.engine import logic

T, F, U = True, False, None


@pytest.mark.parametrize(
    ("one", "other", "both", "either"),
    [
        (T, T, T, T),
        (T, F, F, T),
        (T, U, U, T),
        (F, T, F, T),
        (F, F, F, F),
        (F, U, F, U),
        (U, T, U, T),
        (U, F, F, U),
        (U, U, U, U),
    ],
)
def test_the_nine_cells_of_and_and_or(one, other, both, either):
    assert logic.all_of([one, other]) is both
    assert logic.any_of([one, other]) is either


def test_nothing_at_all_is_true_for_and_and_false_for_or():
    assert logic.all_of([]) is True
    assert logic.any_of([]) is False


@pytest.mark.parametrize(("answer", "expected"), [(T, F), (F, T), (U, U)])
def test_the_opposite_of_not_known_is_not_known(answer, expected):
    assert logic.opposite(answer) is expected


@pytest.mark.parametrize(
    ("certain", "possible", "expected"), [(2, 2, T), (3, 5, T), (1, 2, U), (0, 2, U), (1, 1, F), (0, 0, F)]
)
def test_a_count_known_as_a_range_against_two(certain, possible, expected):
    assert logic.at_least(certain, possible, 2) is expected


def test_at_least_n_agrees_with_every_way_the_unknowns_can_turn_out():
    for answers in itertools.product([T, F, U], repeat=4):
        for needed in range(6):
            filled = itertools.product(*[[T, F] if each is None else [each] for each in answers])
            outcomes = {sum(each) >= needed for each in filled}
            assert logic.at_least_of(answers, needed) is (outcomes.pop() if len(outcomes) == 1 else None)


@pytest.mark.parametrize(("low", "high", "expected"), [(T, T, T), (F, F, F), (F, T, U), (T, F, U)])
def test_a_range_answers_where_both_ends_agree(low, high, expected):
    assert logic.same_for_all(low, high) is expected
