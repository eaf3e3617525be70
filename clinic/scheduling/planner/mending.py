"""The 0/1 programme of a repair: columns for places and for patterns of days, rows for devices, staff and persons."""

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from clinic.scheduling.planner.changes import BEFORE_ALL, Changes, breaks_gap
from clinic.scheduling.planner.damage import MAKES_ROOM, MISSED, Hit, sessions_of
from clinic.scheduling.planner.facts import PlannedVisit
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.options import STARTS_SAME_DAY, Memory, Now, Option, Places, minutes_between
from clinic.scheduling.planner.programme import Block, Programme
from clinic.scheduling.planner.repair_facts import RepairWeights, RunningCourse

PATTERNS = 120  # day patterns of one course that enter the programme, cheapest first
LEAST_SECONDS = 0.5  # even where setting up took all the time given: less than this finds nothing
BEAM = 600  # and that are looked at on the way

Days = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What the programme chose, its proven bound, and how many seconds it took to set it up.

    constant: see Mending; it comes on top of the bound.
    """

    changes: Changes
    bound: int
    building: float = 0.0
    constant: int = 0


class Mending:
    """All visits that may move, planned together; `freed` lists them.

    A visit hit by the event, or missed, may take any place of its day, the cheapest places of some other days, or none.
    One that only makes room stays or shifts by at most `shift` minutes on its day.
    `constant` is what gap rules broken in courses without a choice of days cost in any case.
    """

    def __init__(
        self,
        courses: Sequence[RunningCourse],
        freed: Sequence[Hit],
        occupancy: Occupancy,
        now: Now,
        weights: RepairWeights,
        *,
        shift: int = 0,
        memory: Memory | None = None,
    ) -> None:
        self.courses, self.freed, self.weights, self.shift = courses, freed, weights, shift
        self.base = occupancy.copy()
        self.moving: dict[int, list[Hit]] = defaultdict(list)
        for hit in freed:
            self.moving[hit.course].append(hit)
            if hit.rule != MISSED:
                self._change(hit, courses[hit.course].placed[hit.position], -1)
        days = {courses[hit.course].placed[hit.position].day for hit in freed}
        known = {key: found for key, found in (memory or {}).items() if key[2] not in days}
        self.places = Places(self.base, now, weights, known)
        self.programme = Programme()
        self.options: dict[tuple[int, int], list[tuple[int, Option]]] = {}
        self.patterns: dict[int, list[tuple[int, Days]]] = {}
        chosen = [c for c, mine in self.moving.items() if any(h.rule != MAKES_ROOM for h in mine)]
        self.constant = sum(self._gap_cost(c, ()) for c in range(len(courses)) if c not in chosen)

    def _change(self, hit: Hit, visit: PlannedVisit, by: int) -> None:
        for session in sessions_of(
            self.courses[hit.course].request.visits[hit.position], visit.day, visit.device, visit.start
        ):
            self.base.book(session) if by > 0 else self.base.release(session)

    # -- columns ------------------------------------------------------------------------------------------------------

    def solve(self, start: Changes, *, seconds: float | None, nodes: int | None, prove: bool = True) -> Found:
        """The cheapest choice; `start` is a plan to begin with. prove: go on until nothing can be cheaper."""
        begin = time.monotonic()
        if not self.options:
            self._build(start)
        building = time.monotonic() - begin
        outcome = self.programme.solve(
            seconds=float("inf") if seconds is None else max(LEAST_SECONDS, seconds - building),
            nodes=nodes,
            start=self._columns_of(start),
            blocks=self._blocks(),
            prove=prove,
        )
        changes: dict[tuple[int, int], PlannedVisit | None] = {
            key: None for key, hit in self._by_key.items() if hit.rule != MAKES_ROOM
        }
        if outcome.chosen is None:
            return Found(start, outcome.bound, building, self.constant)
        taken = set(outcome.chosen)
        for key, options in self.options.items():
            for column, option in options:
                if column in taken:
                    changes[key] = option.visit
        self._prefer_later(changes)
        return Found(changes, outcome.bound, building, self.constant)

    def _build(self, start: Changes) -> None:
        for hit in self.freed:
            self._add_options(hit, start)
        for c in self.moving:
            self._add_patterns(c, self._choosing(c), start)
        self._add_use_rows()
        self._add_hours_rows()

    def _blocks(self) -> list[Block]:
        """Parts to be searched in turn: the visits of each old day, then of each two of them."""
        days = sorted({self.courses[c].placed[k].day for c, k in self.options})
        groups = [(day,) for day in days] + list(combinations(days, 2))
        return [partial(self._columns_of_days, frozenset(group)) for group in groups if len(group) < len(days)]

    def _columns_of_days(self, days: frozenset[int], chosen: Sequence[int]) -> NDArray[np.intp]:
        """Everything about the visits of these days; all else as chosen."""
        best = set(chosen)
        columns = set(chosen)
        for (c, k), options in self.options.items():
            if self.courses[c].placed[k].day in days:
                columns.update(column for column, _ in options)
        for c, patterns in self.patterns.items():
            positions = self._choosing(c)
            present = next(pattern for column, pattern in patterns if column in best)
            fixed = [j for j, k in enumerate(positions) if self.courses[c].placed[k].day not in days]
            columns.update(x for x, pattern in patterns if all(pattern[j] == present[j] for j in fixed))
        return np.array(sorted(columns), dtype=np.intp)

    def _choosing(self, c: int) -> list[int]:
        """Positions of a course that may take another day."""
        return [h.position for h in self.moving[c] if h.rule != MAKES_ROOM]

    def _prefer_later(self, changes: dict[tuple[int, int], PlannedVisit | None]) -> None:
        """An earlier time needs the patient's yes: where a later one of the day costs the same and is free, take that."""
        for (c, k), visit in changes.items():
            if visit is not None:
                self._change(self._by_key[c, k], visit, 1)
        for (c, k), visit in changes.items():
            old = self.courses[c].placed[k]
            if visit is None or (c, k) in self._missed or (visit.day, visit.start) >= (old.day, old.start):
                continue
            others = [changes.get((c, j), v) for j, v in enumerate(self.courses[c].placed) if j != k]
            fixed = [v for v in others if v is not None]
            self._change(self._by_key[c, k], visit, -1)
            price = self.places.cost(old, visit)
            later = [
                o
                for o in self.places.on_day(self.courses[c], k, visit.day, fixed)
                if o.cost == price and o.visit.start >= old.start and self._person_is_free(c, o.visit, changes)
            ]
            changes[c, k] = later[0].visit if later and visit.day == old.day else visit
            self._change(self._by_key[c, k], changes[c, k] or visit, 1)

    def _person_is_free(self, c: int, visit: PlannedVisit, changes: Changes) -> bool:
        who = self.courses[c].person
        same = [v for (other, _), v in changes.items() if other != c and self.courses[other].person == who]
        return who is None or not any(
            v is not None and v.day == visit.day and v.start < visit.end and visit.start < v.end for v in same
        )

    @cached_property
    def _missed(self) -> frozenset[tuple[int, int]]:
        return frozenset((h.course, h.position) for h in self.freed if h.rule == MISSED)

    @cached_property
    def _by_key(self) -> dict[tuple[int, int], Hit]:
        return {(h.course, h.position): h for h in self.freed}

    def _add_options(self, hit: Hit, start: Changes) -> None:
        key = (hit.course, hit.position)
        course, old = self.courses[hit.course], self.courses[hit.course].placed[hit.position]
        moving = {h.position for h in self.moving[hit.course]}
        fixed = [v for j, v in enumerate(course.placed) if j not in moving and j not in course.missed]
        found: list[Option] = []
        if hit.rule == MAKES_ROOM:
            found = self.places.on_day(course, hit.position, old.day, fixed, within=self.shift)
        else:
            own = {course.placed[j].day for j in moving if j not in course.missed}
            taken = {v.day for v in fixed} | own
            if hit.rule != MISSED:
                found = self.places.on_day(course, hit.position, old.day, fixed, most=STARTS_SAME_DAY)
            choosing = len(self._choosing(hit.course))
            for options in self.places.elsewhere(course, hit.position, fixed, taken, more=choosing - 1).values():
                found.extend(options)
        known = {o.visit for o in found}
        needed = [start.get(key, None)] if hit.rule != MAKES_ROOM else [start.get(key, old)]
        if not hit.certain:
            needed.append(old)
        for visit in needed:
            if visit is not None and visit not in known:
                found.append(Option(visit, self.places.cost(old, visit)))
                known.add(visit)
        self.options[key] = [(self.programme.column(option.cost), option) for option in found]
        if hit.rule == MAKES_ROOM:
            self.programme.exactly_one([column for column, _ in self.options[key]])

    def _add_patterns(self, c: int, positions: Sequence[int], start: Changes) -> None:
        """One column per way to give the visits of a course their days; linked to the places on those days."""
        if not positions:
            return
        cheapest: list[dict[int | None, int]] = []
        for k in positions:
            best: dict[int | None, int] = {None: self.weights.drop}
            for _, option in self.options[c, k]:
                best[option.visit.day] = min(option.cost, best.get(option.visit.day, option.cost))
            cheapest.append(best)
        wanted = tuple(None if (v := start.get((c, k), self._kept(c, k))) is None else v.day for k in positions)
        patterns = self._cheapest_patterns(c, positions, cheapest)
        for must in (wanted, (None,) * len(positions)):
            if must not in patterns:
                patterns.append(must)
        self.patterns[c] = []
        by_day: dict[tuple[int, int], list[int]] = defaultdict(list)
        for days in patterns:
            items = [(day, k) for day, k in zip(days, positions, strict=True) if day is not None]
            column = self.programme.column(self._gap_cost(c, items, positions) + self.weights.drop * days.count(None))
            self.patterns[c].append((column, days))
            for day, k in items:
                by_day[k, day].append(column)
        self.programme.exactly_one([column for column, _ in self.patterns[c]])
        for k in positions:
            for day in {o.visit.day for _, o in self.options[c, k]}:
                here = [column for column, o in self.options[c, k] if o.visit.day == day]
                self.programme.as_many(here, by_day[k, day])

    def _kept(self, c: int, k: int) -> PlannedVisit | None:
        hit = self._by_key[c, k]
        return None if hit.certain else self.courses[c].placed[k]

    def _cheapest_patterns(
        self, c: int, positions: Sequence[int], cheapest: Sequence[dict[int | None, int]]
    ) -> list[Days]:
        """Patterns by the least that they can cost; two visits never on one day."""
        beam: list[tuple[int, Days]] = [(0, ())]
        for best in cheapest:
            grown = [
                (cost + price, (*days, day))
                for cost, days in beam
                for day, price in best.items()
                if day is None or day not in days
            ]
            grown.sort(key=_cheapest_first)
            beam = grown[:BEAM]
        scored = []
        for cost, days in beam:
            items = [(day, k) for day, k in zip(days, positions, strict=True) if day is not None]
            scored.append((cost + self._gap_cost(c, items, positions), days))
        scored.sort(key=_cheapest_first)
        return [days for _, days in scored[:PATTERNS]]

    def _gap_cost(self, c: int, items: Iterable[tuple[int, int]], positions: Sequence[int] = ()) -> int:
        """Price of the broken gap rules of a course whose visits at `positions` fall on the days of `items`."""
        return self._skeleton(c, tuple(positions)).cost(items) * self.weights.gap

    def _skeleton(self, c: int, positions: tuple[int, ...]) -> "_Skeleton":
        if (c, positions) not in self._skeletons:
            self._skeletons[c, positions] = _Skeleton(self.courses[c], positions)
        return self._skeletons[c, positions]

    @cached_property
    def _skeletons(self) -> "dict[tuple[int, tuple[int, ...]], _Skeleton]":
        return {}

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _add_use_rows(self) -> None:
        """No device twice, no pool beyond its size, no person at two places."""
        base = self.base
        device: dict[tuple[int, int, int], dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        pool: dict[tuple[str, int, int, int], dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        person: dict[tuple[str, int, int], dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        shared = self._shared_persons()
        for number, ((c, k), options) in enumerate(self.options.items()):
            spec, who = self.courses[c].request.visits[k], self.courses[c].person
            for column, option in options:
                visit = option.visit
                i = base.device_index[visit.device]
                site, turnover = int(base.device_location[i]), base.devices[i].turnover
                for session in sessions_of(spec, visit.day, visit.device, visit.start):
                    end = session.start + session.duration
                    held, staffed = base.outward(session.start, end + turnover), base.outward(session.start, end)
                    for slot in range(held.start, held.stop):
                        device[i, visit.day, slot][number].append(column)
                    for name in ("obs",) if spec.need == "obs" else ("tms", "map") if spec.need == "map" else ("tms",):
                        for slot in range(staffed.start, staffed.stop):
                            pool[name, site, visit.day, slot][number].append(column)
                if who in shared:
                    together = base.outward(visit.start, visit.end)
                    for slot in range(together.start, together.stop):
                        person[str(who), visit.day, slot][number].append(column)
        seen: dict[tuple[int, ...], int] = {}
        for device_key, users in device.items():
            self._collect(seen, users, 1 - int(base.bookings_on[device_key]))
        for (name, *at), users in pool.items():
            on, used = base.staff_on[name][tuple(at)], base.staff_used[name][tuple(at)]
            if name == "tms":
                used = used + base.staff_used["map"][tuple(at)]
            self._collect(seen, users, int(on - used))
        for users in person.values():
            self._collect(seen, users, 1)
        for columns, limit in seen.items():
            self.programme.at_most(columns, limit)

    def _shared_persons(self) -> set[str | None]:
        count: dict[str | None, int] = defaultdict(int)
        for c in self.moving:
            count[self.courses[c].person] += 1
        return {who for who, courses in count.items() if who is not None and courses > 1}

    @staticmethod
    def _collect(seen: dict[tuple[int, ...], int], users: dict[int, list[int]], limit: int) -> None:
        """Keep the tightest limit of each set of columns; a row that cannot be exceeded is left out."""
        if len(users) > max(0, limit):
            columns = tuple(sorted(x for mine in users.values() for x in mine))
            seen[columns] = min(max(0, limit), seen.get(columns, limit))

    def _add_hours_rows(self) -> None:
        """Hours between the starts of two moving visits of one course."""
        for c, mine in self.moving.items():
            hours = self.courses[c].request.min_hours
            if hours is None:
                continue
            for a in mine:
                for b in mine:
                    if a.position != b.position:
                        self._keep_apart(self.options[c, a.position], self.options[c, b.position], hours)

    def _keep_apart(self, first: list[tuple[int, Option]], second: list[tuple[int, Option]], hours: int) -> None:
        """No place of `first` with a later one of `second` that is too close to it."""
        for start in sorted({(o.visit.day, o.visit.start) for _, o in first}):
            these = [x for x, o in first if o.visit.day == start[0] and o.visit.start >= start[1]]
            at = next(o.visit for _, o in first if (o.visit.day, o.visit.start) == start)
            those = [
                x for x, o in second if o.visit.day > start[0] and minutes_between(self.base, at, o.visit) < hours * 60
            ]
            if those:
                self.programme.at_most([*these, *those], 1)

    # -- a plan as columns --------------------------------------------------------------------------------------------

    def _columns_of(self, start: Changes) -> list[int]:
        columns = []
        for (c, k), options in self.options.items():
            wanted = start.get((c, k), self.courses[c].placed[k] if not self._by_key[c, k].certain else None)
            columns.extend([column for column, option in options if option.visit == wanted][:1])
        for c, patterns in self.patterns.items():
            positions = self._choosing(c)
            visits = [start.get((c, k), self._kept(c, k)) for k in positions]
            days = tuple(None if v is None else v.day for v in visits)
            columns.extend(column for column, pattern in patterns if pattern == days)
        return columns


def _cheapest_first(scored: tuple[int, Days]) -> tuple[int, tuple[int, ...]]:
    return scored[0], tuple(-1 if day is None else day for day in scored[1])


class _Skeleton:
    """The fixed visits of a course in order, so that inserting some costs only a look at their neighbours."""

    def __init__(self, course: RunningCourse, positions: tuple[int, ...]) -> None:
        self.request = course.request
        fixed = [(v.day, k) for k, v in enumerate(course.placed) if k not in positions and k not in course.missed]
        if course.request.previous_day is not None:
            fixed.append((course.request.previous_day, BEFORE_ALL))
        self.fixed = sorted(fixed)
        self.broken = [self._breaks(a, b) for a, b in pairwise(self.fixed)]
        self.total = sum(self.broken)

    def _breaks(self, a: tuple[int, int], b: tuple[int, int]) -> bool:
        return breaks_gap(self.request, a[1], b[1], b[0] - a[0])

    def cost(self, items: Iterable[tuple[int, int]]) -> int:
        """Number of broken gaps with (day, position) inserted."""
        total, groups = self.total, defaultdict(list)
        for item in sorted(items):
            groups[bisect_left(self.fixed, item)].append(item)
        for at, group in groups.items():
            before = self.fixed[at - 1 : at] if at else []
            chain = [*before, *group, *self.fixed[at : at + 1]]
            total += sum(self._breaks(a, b) for a, b in pairwise(chain))
            if at and at < len(self.fixed):
                total -= self.broken[at - 1]
        return total
