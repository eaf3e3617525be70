"""Three-valued logic: True, False, and None for not known. What is not known stays so until it cannot matter."""

from collections.abc import Iterable


def all_of(answers: Iterable[bool | None]) -> bool | None:
    """False where one is False, None where one is not known, else True."""
    known = True
    for answer in answers:
        if answer is False:
            return False
        known = known and answer is not None
    return True if known else None


def any_of(answers: Iterable[bool | None]) -> bool | None:
    """True where one is True, None where one is not known, else False."""
    known = True
    for answer in answers:
        if answer:
            return True
        known = known and answer is not None
    return False if known else None


def opposite(answer: bool | None) -> bool | None:
    """The other answer; not known stays so."""
    return None if answer is None else not answer


def at_least(certain: int, possible: int, needed: int) -> bool | None:
    """Whether a count that lies from `certain` to `possible` reaches `needed`."""
    if certain >= needed:
        return True
    return None if possible >= needed else False


def at_least_of(answers: Iterable[bool | None], needed: int) -> bool | None:
    """Whether at least `needed` of the answers are True."""
    rows = list(answers)
    certain = sum(1 for answer in rows if answer)
    return at_least(certain, certain + sum(1 for answer in rows if answer is None), needed)


def same_for_all(low: bool, high: bool) -> bool | None:
    """A condition over a range by its two ends: the answer where both agree."""
    return low if low is high else None
