"""A clinic with years behind it, loaded in minutes: rows by COPY instead of operation by operation, under every constraint.

The people of the small demo come first, through the operations. Then each site's calendar is woven full around them by the
planner's rules, played until now, and written in one statement a site, so that foreign keys and the authorisations' ledger
judge every row. What keeps appointments apart is taken off meanwhile, and judges all of them when it is put back. All of it
is one transaction. What would have been told by now is in the messages' ledger as told: nothing of the past is sent.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from random import Random
from typing import Any

import numpy as np
from sqlalchemy import func, select, text

from clinic import clock, jobs
from clinic.audit import Actor
from clinic.audit.sealing import seal
from clinic.db import db, transaction
from clinic.demo import asking, crowd, places, sink
from clinic.demo.crowd import Event, Funding, Someone, Template, instant
from clinic.demo.filling import WAIT_HERE, Filled, weave
from clinic.demo.places import Names, Place, Progress
from clinic.demo.sizes import Size
from clinic.locations import queries as locations
from clinic.locations.models import Device, DeviceKind
from clinic.locations.operations import start_closures
from clinic.reminders import ledger
from clinic.scheduling.models import Course, TreatmentSession

KINDS = ("mapping", "daily", "taper", "induction", "optimisation", "infusion", "consult", "medication", "therapy")
NEEDS, MODES = ("tms", "map", "obs", "person"), ("in_person", "video")
STATES = ("booked", "confirmed", "arrived", "completed", "cancelled", "no_show")

NUMBERS = [
    *("course", "patient", "device", "staff", "authorisation", "agreement", "number", "kind", "need", "mode", "state"),
    *("starts", "ends", "device_until", "spaced_until", "day", "started", "ended", "confirmed", "revision"),
]
WOVEN = f"CREATE TEMPORARY TABLE woven ({', '.join(f'{name} bigint' for name in NUMBERS)}) ON COMMIT DROP"
# Ordered by device and time: neighbors in the calendar are neighbors in the indexes that keep them apart.
INSERT = text(
    """
    INSERT INTO treatment_sessions (course_id, patient_id, location_id, device_id, staff_id, number, kind, need, mode,
        patient_state, starts_at, ends_at, device_until, spaced_until, local_on, state, revision, confirmed_at, started_at,
        ended_at, authorisation_id, self_pay_id)
    SELECT nullif(course, 0), patient, :location_id, nullif(device, 0), nullif(staff, 0), number,
        (cast(:kinds AS varchar[]))[kind + 1], (cast(:needs AS varchar[]))[need + 1], (cast(:modes AS varchar[]))[mode + 1],
        CASE mode WHEN 1 THEN :patient_state END, to_timestamp(starts), to_timestamp(ends), to_timestamp(device_until),
        to_timestamp(spaced_until), date '2000-01-01' + cast(day AS integer), (cast(:states AS varchar[]))[state + 1],
        revision, to_timestamp(nullif(confirmed, 0)), to_timestamp(nullif(started, 0)), to_timestamp(nullif(ended, 0)),
        nullif(authorisation, 0), nullif(agreement, 0)
    FROM woven ORDER BY device, starts
    """
)
THRESHOLDS = text(
    """
    INSERT INTO motor_thresholds (patient_id, course_id, session_id, percent, measured_at, recorded_by)
    SELECT patient_id, course_id, id, 40 + id % 30, ended_at, :staff_id FROM treatment_sessions
    WHERE location_id = :location_id AND kind = 'mapping' AND state = 'completed' AND course_id >= :first
    """
)
HISTORY = (
    *("patients", "intakes", "assessments", "decisions", "courses", "authorisations", "self_pay_agreements"),
    *("treatment_sessions", "surveys", "scores"),
)
ANALYZE = text(f"ANALYZE {', '.join(HISTORY)}")


def add_years(
    size: Size,
    site_ids: Iterable[int],
    names: Names,
    histories: Mapping[str, Any],
    *,
    note: str,
    password: str,
    manager: tuple[int, Actor],
    by: Actor,
    seed: int,
    progress: Progress,
) -> int:
    """Years of history for the sites that are there, and for the towns of a network, until `size.appointments` are there.

    `manager`: who is responsible for the new sites. Answers how many people were added.
    """
    tz = locations.clinic_tz()
    today = clock.today(tz)
    since = today - timedelta(days=size.days)
    years = list(range(since.year, today.year + 2))
    sites = dict.fromkeys(site_ids, places.STATE)
    for location_id in sites:
        for year in years:
            start_closures(location_id, year, by=by)
    towns = places.add_towns(size.towns, note, years, by, progress)
    places.certify([*towns], *manager, today)
    staffed = places.hire({**sites, **towns}, set(towns), names, since, password, by)
    known = crowd.templates(histories)
    with jobs.silence():
        return _fill(size, staffed, names, known, by=by, seed=seed, progress=progress)


def _fill(
    size: Size,
    staffed: Sequence[Place],
    names: Names,
    known: Sequence[Template],
    *,
    by: Actor,
    seed: int,
    progress: Progress,
) -> int:
    random, numbers, people = Random(seed), iter(range(100, 10**7)), 0
    with transaction():
        done = db.session.scalar(select(func.count()).select_from(TreatmentSession)) or 0
        rules = _take_off_rules()
        db.session.execute(text(WOVEN))
        shares = [_share(place) for place in staffed]
        for n, place in enumerate(staffed):
            wanted = round((size.appointments - done) * shares[n] / sum(shares[n:]))
            filled = weave(place, size, wanted, random)
            _write(filled, place, names, known, numbers, random, by)
            done += filled.appointments
            people += len(filled.people)
            progress("appointments", done, size.appointments)
            if n == 0:  # constraints and the ledger planned their questions for tables that were all but empty
                db.session.execute(ANALYZE)
        _put_back(rules, progress)
        db.session.execute(ANALYZE)
        _tell_nothing(progress)
    while seal():
        pass
    _gather_statistics(progress)
    return people


def _share(place: Place) -> float:
    """How much of the whole lies at a site: a device gives many short sessions a day, a chair few long ones."""
    kinds = db.session.scalars(select(Device.kind).where(Device.location_id == place.location_id))
    return 0.5 + sum(1.0 if kind == DeviceKind.TMS else 0.2 for kind in kinds)


# -- writing --------------------------------------------------------------------------------------------------------


def _write(
    filled: Filled,
    place: Place,
    names: Names,
    known: Sequence[Template],
    numbers: Iterator[int],
    random: Random,
    by: Actor,
) -> None:
    tz, people = filled.site.tz, filled.people
    crowd.write(people, place, tz, names, known, numbers, random)
    waiting = people[len(people) - 2 * WAIT_HERE :]
    crowd.open_tasks(waiting, place, instant(filled.calendar.now) + timedelta(days=2))
    keys = sink.reserve(Course, len(filled.courses))
    owners = [people[n] for n in filled.owners]
    funds = _funds(filled, owners, random)
    _write_courses(filled, owners, keys)
    _write_sessions(filled, place, owners, keys, funds, random)
    db.session.execute(
        THRESHOLDS,
        {"location_id": place.location_id, "first": keys.start, "staff_id": place.operator_id},
    )
    now = filled.calendar.now
    asked = [
        one
        for course, owner, key in zip(filled.courses, owners, keys, strict=True)
        for one in asking.of_course(course, owner.id, key, now, random)
    ]
    asking.write(asked, now, random)
    crowd.record(_events(filled, owners, keys), by)
    db.session.execute(
        text("UPDATE locations SET schedule_version = schedule_version + 1 WHERE id = :id"), {"id": place.location_id}
    )


def _write_courses(filled: Filled, owners: Sequence[Someone], keys: range) -> None:
    devices = [key for key, _ in filled.site.devices]

    def rows() -> Iterator[tuple[object, ...]]:
        for course, owner, key in zip(filled.courses, owners, keys, strict=True):
            usual = next((row.session for row in course.rows if row.session.takes.is_consistent), course.first)
            protocol = course.pattern.protocol
            cost = sum(abs(row.session.start - usual.start) for row in course.rows if row.session.takes.is_consistent)
            yield (
                *(key, owner.id, owner.decisions[protocol.modality], protocol.key, protocol.edition),
                *(filled.site.id, devices[usual.device], usual.start, course.pattern.sessions, cost, course.state),
                *(instant(course.created), instant(course.ended) if course.ended else None),
            )

    sink.copy(
        Course,
        (
            *("id", "patient_id", "decision_id", "protocol", "protocol_version", "location_id", "device_id"),
            *("anchor_minute", "planned_sessions", "cost", "state", "created_at", "ended_at"),
        ),
        rows(),
    )


def _funds(filled: Filled, owners: Sequence[Someone], random: Random) -> list[tuple[int, int]]:
    """Of each course the authorisation or the agreement that pays for it, 0 for none."""
    wanted, places = [], []
    for n, (course, owner) in enumerate(zip(filled.courses, owners, strict=True)):
        protocol = course.pattern.protocol
        is_own = protocol.modality == "iv_ketamine"
        if is_own or protocol.modality == "esketamine" or random.random() < 0.6:
            first = instant(course.created).date() - timedelta(days=2)
            last = instant(course.rows[-1].ends).date() + timedelta(days=60)
            wanted.append(
                Funding(owner.id, protocol.modality, protocol.key, course.pattern.sessions, first, last, is_own)
            )
            places.append(n)
    funds = [(0, 0)] * len(filled.courses)
    for n, key, one in zip(places, crowd.fund(wanted), wanted, strict=True):
        funds[n] = (0, key) if one.is_own else (key, 0)
    return funds


def _write_sessions(
    filled: Filled,
    place: Place,
    owners: Sequence[Someone],
    keys: range,
    funds: Sequence[tuple[int, int]],
    random: Random,
) -> None:
    day_zero = (filled.site.start - date(2000, 1, 1)).days
    devices = [(key, facts.turnover * 60) for key, facts in filled.site.devices]
    kinds, needs, states = ({word: n for n, word in enumerate(words)} for words in (KINDS, NEEDS, STATES))
    rows: list[tuple[int, ...]] = []
    for course, owner, key, fund in zip(filled.courses, owners, keys, funds, strict=True):
        spacing = course.pattern.spacing
        for row in course.rows:
            takes = row.session.takes
            device, turnover = devices[row.session.device]
            apart = spacing[min(row.number, len(spacing)) - 1] * 60
            rows.append(
                (
                    *(key, owner.id, device, 0, *fund, row.number, kinds[takes.kind], needs[takes.need], 0),
                    *(states[row.state], row.starts, row.ends, row.ends + turnover, row.starts + apart),
                    *(day_zero + row.session.day, row.started, row.ended, row.confirmed, row.revision),
                )
            )
    rows.extend(_visit_rows(filled, place, day_zero, random))
    woven = np.array(rows, dtype=np.int64).reshape(-1, len(NUMBERS))
    form = np.dtype([(name, np.int64) for name in NUMBERS])
    sink.copy_numbers("woven", woven.view(form).reshape(-1))
    db.session.execute(
        INSERT,
        {
            "location_id": place.location_id,
            "patient_state": place.state,
            "kinds": list(KINDS),
            "needs": list(NEEDS),
            "modes": list(MODES),
            "states": list(STATES),
        },
    )
    db.session.execute(text("TRUNCATE woven"))


def _visit_rows(filled: Filled, place: Place, day_zero: int, random: Random) -> Iterator[tuple[int, ...]]:
    now = filled.calendar.now
    for day, minute, n, person in filled.visits:
        visitor = place.visitors[n]
        starts = filled.calendar.at(day, minute)
        ends = starts + 1800
        state, started, ended = "booked", 0, 0
        if ends <= now:
            state, started, ended = "completed", starts, ends
            if random.random() < 0.04:
                state, started, ended = "no_show", 0, starts + 1200
        elif starts <= now:
            state, started = "arrived", starts
        yield (
            *(0, filled.people[person].id, 0, visitor.staff_id, 0, 0, 1, KINDS.index(random.choice(visitor.kinds))),
            *(NEEDS.index("person"), int(random.random() < 0.35), STATES.index(state), starts, ends, ends, ends),
            *(day_zero + day, started, ended, 0, 0),
        )


def _events(filled: Filled, owners: Sequence[Someone], keys: range) -> Iterator[Event]:
    for one in filled.people:
        yield "patients", one.id, "created", one.id, one.created, {}
        yield "intakes", one.intake_id, "submitted", one.id, one.sent, {}
        yield "assessments", one.assessment_id, "assessed", one.id, one.sent, {}
        for pathway, at in one.pathways.items():
            yield "decisions", one.decisions[pathway], "decided", one.id, at, {"decision": "approve", "override": False}
    for course, owner, key in zip(filled.courses, owners, keys, strict=True):
        planned = {"patient_id": owner.id, "sessions": course.pattern.sessions}
        yield "courses", key, "booked", owner.id, instant(course.created), planned
        if course.ended:
            given = {"delivered": len(course.delivered)}
            yield "courses", key, course.state, owner.id, instant(course.ended), given


# -- rules ----------------------------------------------------------------------------------------------------------


def _take_off_rules() -> dict[str, str]:
    """Take what keeps appointments apart off the table, in this transaction; answers each rule by its name."""
    statement = text(
        "SELECT conname, pg_get_constraintdef(oid) AS rule FROM pg_constraint"
        " WHERE contype = 'x' AND conrelid = 'treatment_sessions'::regclass"
    )
    rules = {row.conname: row.rule for row in db.session.execute(statement)}
    for name in rules:
        db.session.execute(text(f'ALTER TABLE treatment_sessions DROP CONSTRAINT "{name}"'))
    return rules


def _put_back(rules: Mapping[str, str], progress: Progress) -> None:
    """Each rule again: PostgreSQL looks at every appointment, in a third of the time that one by one takes."""
    db.session.execute(text("SET LOCAL maintenance_work_mem = '256MB'"))
    for n, (name, rule) in enumerate(rules.items(), 1):
        db.session.execute(text(f'ALTER TABLE treatment_sessions ADD CONSTRAINT "{name}" {rule}'))
        progress("rules", n, len(rules))


# -- afterwards -----------------------------------------------------------------------------------------------------


def _tell_nothing(progress: Progress) -> None:
    """What is due by now was told, says the ledger: the clinic did not begin today."""
    progress("messages", 0, 1)
    ledger.count_as_told_within_transaction(clock.now())
    progress("messages", 1, 1)


def _gather_statistics(progress: Progress) -> None:
    """So that the first question after loading is planned like every later one."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for n, table in enumerate(tables := [*sorted(db.metadata.tables)], 1):
            connection.execute(text(f"VACUUM (ANALYZE) {table}" if table in HISTORY else f"ANALYZE {table}"))
            progress("statistics", n, len(tables))
