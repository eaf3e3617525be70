"""How long pages take to read and to answer: one formula, for "about 8 minutes left" and for what the form promises. Pure.

    seconds = 60 * (words + SKIMMED * skimmed + KNOWN * known) / WORDS_PER_MINUTE
              + TAP * taps + TYPED * typed + TOLD * told + TURN * pages

`words` are read in full: headings, questions, consent texts. `skimmed` are answers to choose from and hints: one stops at
the answer that fits, and a hint is for whom the question is not clear. `known` stood on an earlier page in the same words:
the questions of a second medicine, the answers of a questionnaire that goes on. They are found again, not read again.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

WORDS_PER_MINUTE = (
    238  # adults reading plain text in silence, on average (Brysbaert 2019); docs/intake-time.md has slower ones
)
SKIMMED = 0.5
KNOWN = 0.05
TAP = 1.3  # seconds to settle on an answer that was read, and to tap it
TYPED = 5.0  # seconds for a name, a number or a short line
TOLD = 20.0  # seconds for a sentence in one's own words
TURN = 0.8  # seconds to go on: the tap and the next page
TYPICAL_MEDICINES = 4  # counted where the list was not made yet

_WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")


@dataclass(frozen=True)
class Effort:
    """What one or several pages ask of a person."""

    words: int = 0
    skimmed: int = 0
    known: int = 0
    taps: int = 0
    typed: int = 0
    told: int = 0
    pages: int = 1

    def __add__(self, other: "Effort") -> "Effort":
        return Effort(
            words=self.words + other.words,
            skimmed=self.skimmed + other.skimmed,
            known=self.known + other.known,
            taps=self.taps + other.taps,
            typed=self.typed + other.typed,
            told=self.told + other.told,
            pages=self.pages + other.pages,
        )

    def again(self) -> "Effort":
        """The same page once more: every word is known."""
        known = self.words + self.skimmed + self.known
        return Effort(known=known, taps=self.taps, typed=self.typed, told=self.told, pages=self.pages)


NOTHING = Effort(pages=0)


def count_words(text: str) -> int:
    """Words and numbers of a text."""
    return len(_WORD.findall(text))


def seconds(effort: Effort, words_per_minute: float = WORDS_PER_MINUTE) -> float:
    """Time for all of it."""
    words = effort.words + SKIMMED * effort.skimmed + KNOWN * effort.known
    answers = TAP * effort.taps + TYPED * effort.typed + TOLD * effort.told
    return 60 * words / words_per_minute + answers + TURN * effort.pages


def minutes(efforts: Iterable[Effort]) -> int:
    """Whole minutes for these, never fewer than it takes."""
    return math.ceil(round(sum(map(seconds, efforts)) / 60, 3))
