"""A plan for several who wait, in the words of its page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from clinic import clock
from clinic.patients import queries as patients
from clinic.protocols.shapes import bookable
from clinic.scheduling import presenter, queries, waiting
from clinic.scheduling.board_presenter import number
from clinic.scheduling.models import LineOutcome, WaitlistOffer, WaitlistPlan, WaitlistPlanLine
from clinic.scheduling.presenter import CourseWords, day_words

OUTCOMES = {
    LineOutcome.BOOKED: ("good", "Booked", "check"),
    LineOutcome.OFFERED: ("now", "Offered", "clock"),
    LineOutcome.LOST: ("stop", "Not booked", "x"),
}


@dataclass(frozen=True)
class Line:
    """One person: the course, or why there is none; and what became of it."""

    entry_id: int
    patient_id: int
    initials: str
    record_number: str
    protocol: str
    proposal_id: UUID | None
    course: CourseWords | None
    reason: str
    state: tuple[str, str, str] | None
    said: str
    course_id: int | None
    offer: WaitlistOffer | None

    @property
    def is_open(self) -> bool:
        """Can it still be booked or offered."""
        return self.course is not None and self.course_id is None and self.offer is None


@dataclass(frozen=True)
class View:
    """The page: a sentence, the people with a course, those without one, what it costs at least."""

    title: str
    placed: tuple[Line, ...]
    without: tuple[Line, ...]
    cost: str
    is_old: bool

    @property
    def open(self) -> int:
        """How many can still be booked or offered."""
        return 0 if self.is_old else sum(line.is_open for line in self.placed)

    @property
    def said(self) -> str:
        """What was done so far."""
        done = [line.state for line in self.placed if line.state is not None]
        if not done:
            return "Nothing is held or booked, and nobody is told, until you press."
        booked, offered, lost = (done.count(OUTCOMES[one]) for one in LineOutcome)
        parts = (
            (booked, "booked"),
            (offered, "offered"),
            (lost, "no longer fitting"),
            (self.undecided, "left as they are"),
        )
        return f"{', '.join(f'{count} {words}' for count, words in parts if count)}."

    @property
    def undecided(self) -> int:
        """How many have a course that nobody pressed for."""
        return sum(line.state is None for line in self.placed)

    @property
    def lost(self) -> int:
        """How many no longer fitted."""
        return sum(line.state == OUTCOMES[LineOutcome.LOST] for line in self.placed)


def view(plan: WaitlistPlan, lines: Sequence[WaitlistPlanLine]) -> View:
    """As many statements for many people as for one."""
    people = patients.briefs(line.patient_id for line in lines)
    entries = {row.id: row for row in waiting.entries([line.entry_id for line in lines])}
    words = presenter.in_few_words(queries.proposals([line.proposal_id for line in lines if line.proposal_id]))
    offers = waiting.open_offers_of(list(entries))
    names = {key: one.name for key, one in bookable().items()}
    made = [
        Line(
            entry_id=line.entry_id,
            patient_id=line.patient_id,
            initials=people[line.patient_id].initials,
            record_number=people[line.patient_id].record_number,
            protocol=names.get(entries[line.entry_id].protocol, entries[line.entry_id].protocol),
            proposal_id=line.proposal_id,
            course=words.get(line.proposal_id),
            reason=line.reason or "",
            state=OUTCOMES[LineOutcome(line.outcome)] if line.outcome else None,
            said=line.said or "",
            course_id=line.course_id,
            offer=offers.get(line.entry_id) if line.outcome == LineOutcome.OFFERED else None,
        )
        for line in lines
    ]
    placed = tuple(one for one in made if one.course is not None)
    return View(
        title=_title(placed, len(made)),
        placed=placed,
        without=tuple(one for one in made if one.course is None),
        cost=_cost(plan, len(made) - len(placed)),
        is_old=plan.expires_at <= clock.now(),
    )


def _title(placed: Sequence[Line], of: int) -> str:
    """The answer: who gets a course, when the first and the last of them begins."""
    if not placed:
        return "Nobody gets a whole course now." if of > 1 else "No whole course fits now."
    firsts = sorted(one.course.first for one in placed if one.course is not None)
    if len(placed) < of:
        who = f"{_number(len(placed))} of {number(of)} {'get' if len(placed) > 1 else 'gets'} a whole course"
    elif of == 1:
        who = "The one person gets a whole course"
    else:
        who = f"All {number(of)} get a whole course"
    return f"{who}; {_starts(firsts)}."


def _starts(firsts: Sequence[date]) -> str:
    if firsts[0] == firsts[-1]:
        return f"{'they start' if len(firsts) > 1 else 'it starts'} on {day_words(firsts[0])}"
    return f"they start between {day_words(firsts[0])} and {day_words(firsts[-1])}"


def _number(count: int) -> str:
    words = number(count)
    return f"{words[0].upper()}{words[1:]}"


def _cost(plan: WaitlistPlan, without: int) -> str:
    if plan.cost == plan.bound:
        return "No plan for these people can do better."
    counted = ", whoever gets no course counted in" if without else ""
    if not plan.bound:  # nothing is known of what cannot be done better
        return f"{plan.cost:,} in all, {presenter.PRICE_NOTE}{counted}."
    return (
        f"{plan.cost:,} in all, {presenter.PRICE_NOTE}{counted}. No plan for these people can be below {plan.bound:,}."
    )
