"""How long pages take to read and to answer: one formula, for "about 8 minutes left" and for what the form promises. Pure.

    seconds = 60 * (words + KNOWN * known words) / WORDS_PER_MINUTE + TAP * taps + TYPED * typed fields + TURN * pages

`known words` stood on an earlier page in the same form: the questions of a second medicine, the answers and the stem of
a questionnaire that goes on. They are found again, not read again.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

WORDS_PER_MINUTE = 200  # plain text on a phone, read by a tired person; adults read 238 on average (Brysbaert 2019)
KNOWN = 0.2  # of the time of a new word
TAP = 2.0  # seconds to choose one of a few answers
TYPED = 7.0  # seconds for a name, a number or a short line
TURN = 1.0  # seconds from one page to the next
TYPICAL_MEDICINES = 5  # counted where the list was not made yet

_WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")


@dataclass(frozen=True)
class Effort:
    """What one or several pages ask of a person."""

    words: int = 0
    known_words: int = 0
    taps: int = 0
    typed: int = 0
    pages: int = 1

    def __add__(self, other: "Effort") -> "Effort":
        return Effort(
            self.words + other.words,
            self.known_words + other.known_words,
            self.taps + other.taps,
            self.typed + other.typed,
            self.pages + other.pages,
        )

    def again(self) -> "Effort":
        """The same page once more: every word is known."""
        return Effort(0, self.words + self.known_words, self.taps, self.typed, self.pages)


NOTHING = Effort(pages=0)


def count_words(text: str) -> int:
    """Words and numbers of a text."""
    return len(_WORD.findall(text))


def seconds(effort: Effort) -> float:
    """Time for all of it."""
    words = effort.words + KNOWN * effort.known_words
    return 60 * words / WORDS_PER_MINUTE + TAP * effort.taps + TYPED * effort.typed + TURN * effort.pages


def minutes(efforts: Iterable[Effort]) -> int:
    """Whole minutes for these, never fewer than it takes."""
    return math.ceil(round(sum(map(seconds, efforts)) / 60, 3))
