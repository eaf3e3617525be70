"""The network demo's places: more towns like the sites of clinic.yaml, with their devices and everybody who works there."""

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import yaml
from flask_security.utils import hash_password
from sqlalchemy import select

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db, transaction
from clinic.locations import operations as locations
from clinic.locations.models import StaffShift
from clinic.locations.operations import NewDevice, NewLocation, Span
from clinic.locations.zips import center
from clinic.scheduling.models import VisitKind
from clinic.staff.models import StaffLocation, StaffRole, StaffUser
from clinic.treatment import permits
from clinic.treatment.rules import programs

FILE = Path(__file__).with_name("network.yaml")
WEEKDAYS = {"mon": 0, "tue": 1, "wed": 2, "thu": 3, "fri": 4, "sat": 5, "sun": 6}
STATE = "CA"  # of the four sites of clinic.yaml
SEES = {"therapist": (VisitKind.THERAPY,), "prescriber": (VisitKind.CONSULT, VisitKind.MEDICATION)}

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Visitor:
    """Somebody who sees people at a site and gives no treatment; minutes after midnight."""

    staff_id: int
    kinds: tuple[str, ...]
    from_minute: int
    until_minute: int
    break_from: int
    break_until: int


@dataclass(frozen=True)
class Place:
    """A site that is filled with people: who records there, and whom one visits there."""

    location_id: int
    state: str
    operator_id: int
    prescriber_id: int
    visitors: tuple[Visitor, ...]


@dataclass(frozen=True)
class Names:
    """Given and family names of the demo."""

    given: list[str]
    family: list[str]


def read() -> Any:
    """network.yaml."""
    return yaml.load(FILE.read_text("utf-8"), Loader=yaml.CSafeLoader)


def add_towns(count: int, note: str, years: list[int], by: Actor, progress: Progress) -> dict[int, str]:
    """Create so many towns with devices and closures; answers the state of each new site by its id."""
    data, found = read(), {}
    hours = [
        Span(WEEKDAYS[day], time.fromisoformat(opens), time.fromisoformat(closes))
        for day, spans in data["hours"].items()
        for opens, closes in spans
    ]
    devices = [
        NewDevice(name=x["name"], kind=x["kind"], protocols=x["protocols"], turnover_minutes=x["turnover"])
        for x in data["devices"]
    ]
    for n, town in enumerate(data["towns"][:count], 1):
        at = center(town["zip_code"])
        new = NewLocation(
            slug=re.sub(r"[^a-z]+", "-", town["name"].lower()),
            name=town["name"],
            address=f"{n}00 Demo Street, {town['name']}, {town['state']}",
            zip_code=town["zip_code"],
            tz=town["tz"],
            phone=f"+1714555{120 + n:04d}",
            note=note,
            latitude=at.latitude if at else None,
            longitude=at.longitude if at else None,
            chairs_per_observer=data["chairs_per_observer"],
            hours=hours,
            devices=devices,
        )
        location_id = locations.create_location(new, by=by)
        found[location_id] = town["state"]
        for year in years:
            locations.start_closures(location_id, year, by=by)
        progress("towns", n, count)
    return found


def certify(location_ids: list[int], manager_id: int, by: Actor, today: date) -> None:
    """The new sites hold their certificate."""
    for n, location_id in enumerate(location_ids, 1):
        permits.certify_site(
            location_id,
            next(iter(programs())),
            number=f"DEMO-N-{n:04d}",
            certified_on=today - timedelta(days=900),
            expires_on=None,
            staff_id=manager_id,
            by=by,
        )


def hire(sites: Mapping[int, str], towns: set[int], names: Names, since: date, password: str, by: Actor) -> list[Place]:
    """Staff of every site: visitors everywhere, the whole rota in the towns. They share the demo's printed password."""
    data = read()
    sealed = hash_password(password)  # once: hashing is slow by design, and the password is printed on the screen
    people = cycle(f"{given} {family}" for family in names.family for given in names.given)
    found = []
    with transaction():
        roles = {row.name: row for row in db.session.scalars(select(StaffRole))}
        for location_id, state in sites.items():
            staff: dict[str, list[tuple[StaffUser, Any]]] = {}
            wanted = [*(data["staff"] if location_id in towns else ()), *data["visitors"]]
            for group in wanted:
                for _ in range(group.get("count", 1)):
                    number = len(staff.get(group["role"], ())) + 1
                    user = StaffUser(
                        email=f"{group['role'].replace('_', '-')}{number}.site{location_id}@demo.example.org",
                        name=next(people),
                        password=sealed,
                        active=True,
                        fs_uniquifier=secrets.token_hex(32),
                        confirmed_at=clock.now(),
                        skills=sorted(group.get("skills", ())),
                        has_all_sites=False,
                        licensed_in=[state],
                        morning_mail=False,
                        roles=[_role(roles, group["role"])],
                    )
                    db.session.add(user)
                    staff.setdefault(group["role"], []).append((user, group))
            db.session.flush()
            for user, group in (one for each in staff.values() for one in each):
                db.session.add(StaffLocation(user_id=user.id, location_id=location_id))
                db.session.add_all(_shifts(user.id, location_id, group, since))
                audit.record(user, "created", by=by)
            db.session.flush()
            found.append(_place(location_id, state, staff))
    return found


def _role(known: dict[str, StaffRole], name: str) -> StaffRole:
    if name not in known:
        known[name] = StaffRole(name=name)
        db.session.add(known[name])
    return known[name]


def _shifts(user_id: int, location_id: int, group: Any, since: date) -> list[StaffShift]:
    if "hours" not in group:
        return []
    starts, ends = (time.fromisoformat(wall) for wall in group["hours"])
    break_starts, break_ends = (time.fromisoformat(wall) for wall in group["break"])
    return [
        StaffShift(
            user_id=user_id,
            location_id=location_id,
            weekday=weekday,
            starts=starts,
            ends=ends,
            break_starts=break_starts,
            break_ends=break_ends,
            valid_from=since,
        )
        for weekday in range(5)
    ]


def _place(location_id: int, state: str, staff: dict[str, list[tuple[StaffUser, Any]]]) -> Place:
    prescriber = staff["prescriber"][0][0].id
    return Place(
        location_id=location_id,
        state=state,
        operator_id=staff["operator"][0][0].id if "operator" in staff else prescriber,
        prescriber_id=prescriber,
        visitors=tuple(
            Visitor(user.id, SEES[role], *(_minute(group[key][n]) for key in ("hours", "break") for n in (0, 1)))
            for role in SEES
            for user, group in staff[role]
        ),
    )


def _minute(wall: str) -> int:
    hours, minutes = wall.split(":")
    return int(hours) * 60 + int(minutes)
