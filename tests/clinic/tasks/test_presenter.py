"""Deadlines in words."""

from datetime import UTC, datetime, timedelta

import pytest

from clinic.tasks.presenter import Groups, sentence, when

NOW = datetime(2026, 11, 23, 18, 40, tzinfo=UTC)  # 10:40 in Los Angeles


@pytest.mark.parametrize(
    ("minutes", "words", "note", "is_over"),
    [
        (18, "18 min left", "by 10:58", False),
        (59, "59 min left", "by 11:39", False),
        (60, "Today", "by 11:40", False),
        (13 * 60 + 20, "Tomorrow", "by 00:00", False),
        (7 * 24 * 60, "Mon, Nov 30", "by 10:40", False),
        (0, "0 min late", "was due 10:40", True),
        (-20, "20 min late", "was due 10:20", True),
        (-150, "2 h late", "was due 08:10", True),
        (-24 * 60, "Late since Sun, Nov 22", "was due 10:40", True),
    ],
)
def test_a_deadline_in_words(minutes: int, words: str, note: str, is_over: bool) -> None:
    assert when(NOW + timedelta(minutes=minutes), NOW, "America/Los_Angeles") == (words, note, is_over)


def test_the_sentence_counts_to_nine_in_words() -> None:
    row = object()
    assert sentence(Groups([row], [], [])) == "One thing needs a person now"  # type: ignore[list-item]
    assert sentence(Groups([], [row] * 10, [])) == "10 things need a person today"  # type: ignore[list-item]
    assert sentence(Groups([], [], [row])) == "Nothing needs a person today"  # type: ignore[list-item]
