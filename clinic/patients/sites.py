"""Who sees whom: staff and tokens see the patients of the sites that they were granted. One filter under every query.

A patient belongs to the preferred site and to every site of a course or session. Who belongs nowhere yet is seen by
all: a new person must be picked up by someone. While a staff page or an API call runs, every ORM statement is narrowed
to those patients, whatever feature built it, and every id in the address is looked up before the view runs.
Planning needs to know that a chair is taken, whoever sits in it: such reads say `with everyone():`.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any, TypeVar

from flask import Flask, current_app, g, has_app_context, request
from sqlalchemy import ColumnElement, Table, and_, event, inspect, or_, select
from sqlalchemy.orm import LoaderCriteriaOption, ORMExecuteState, Session
from sqlalchemy.sql import visitors

from clinic import clock
from clinic.db import Base, db
from clinic.errors import NotFound
from clinic.locations.models import Location
from clinic.patients.models import Patient, RecordOpening
from clinic.web.access import Audience, StaffCaller, declared

log = logging.getLogger(__name__)

Model = TypeVar("Model", bound=Base)


@dataclass(frozen=True)
class Reach:
    """Whom a caller may see: the patients of these sites, and those whose record was opened for a reason."""

    location_ids: frozenset[int]
    patient_ids: frozenset[int] = frozenset()


# Tables above this feature that bind a patient to a site. They register at import.
BELONGS: list[Table] = []
# What an id in an address names: a table of people's rows, or of places.
SUBJECTS: dict[str, type[Base]] = {"patient_id": Patient, "location_id": Location, "opening_id": RecordOpening}


def binds(model: type[Model]) -> type[Model]:
    """Rows of this model (`patient_id`, `location_id`) make a patient belong to a site."""
    table = model.__table__
    assert isinstance(table, Table)
    BELONGS.append(table)
    return model


def named(*names: str) -> Callable[[type[Model]], type[Model]]:
    """In an address `<int:name>` is the id of such a row: it does not exist for who may not see its patient."""

    def register(model: type[Model]) -> type[Model]:
        if taken := [name for name in names if name in SUBJECTS]:
            raise ValueError(f"{taken[0]} names {SUBJECTS[taken[0]].__name__} already: call this one something else")
        SUBJECTS.update(dict.fromkeys(names, model))
        return model

    return register


def init_app(app: Flask) -> None:
    """Narrow staff pages and API calls; after access was enforced, before the view."""
    app.before_request(narrow)
    app.teardown_request(_widen)


def narrow() -> None:
    """From here to the end of the request the caller's reach holds. Raises NotFound for a row out of reach."""
    refuse_impossible(request.view_args or {})
    access = declared(current_app, request.endpoint or "")
    if access is None or access.audience is not Audience.STAFF:
        return
    caller: StaffCaller = g.staff
    if not caller.has_all_sites:
        g.reach = Reach(caller.location_ids, _opened(caller.id))
    check_address(request.view_args or {})


def check_address(ids: dict[str, Any]) -> None:
    """Raise NotFound where the address names a row out of reach, or a number that no row can have."""
    refuse_impossible(ids)
    if _reach() is None:
        return  # whether the row exists is the view's own question
    for name, value in ids.items():
        model = SUBJECTS.get(name)
        if model is not None and not _exists(model, value):
            log.warning("out of reach: %s at %s, %s %s", g.get("actor"), request.endpoint, name, value)
            raise NotFound("no such row")


def refuse_impossible(ids: dict[str, Any]) -> None:
    """Raise NotFound for a number that no row can have: the database is not asked about it."""
    if any(isinstance(value, int) and value >= 2**63 for value in ids.values()):
        raise NotFound("no such row")


def _exists(model: type[Base], key: Any) -> bool:
    if model is Location:
        reach = _reach()
        return reach is None or key in reach.location_ids
    return db.session.scalar(select(key_of(model)).where(key_of(model) == key)) is not None


def key_of(model: type[Base]) -> Any:
    """The model's primary key as the model has it: a table's own column would not be narrowed."""
    return getattr(model, str(inspect(model).primary_key[0].key))


def _widen(_error: BaseException | None = None) -> None:
    g.pop("reach", None)


@contextmanager
def everyone() -> Iterator[None]:
    """Reads that must see every patient, such as which places are taken. Nothing of it is shown."""
    before = g.pop("reach", None)
    try:
        yield
    finally:
        if before is not None:
            g.reach = before


def sees_everyone() -> bool:
    """Nothing narrows what is read now: a statement of SQL alone sees what one of models would."""
    return _reach() is None


def _reach() -> Reach | None:
    return g.get("reach") if has_app_context() else None


def _opened(staff_id: int) -> frozenset[int]:
    statement = select(RecordOpening.patient_id).where(
        RecordOpening.staff_id == staff_id, RecordOpening.expires_at > clock.now(), RecordOpening.closed_at.is_(None)
    )
    return frozenset(db.session.scalars(statement))


def sees(staff: StaffCaller, patient_id: int) -> bool:
    """May this staff member open the record."""
    if staff.has_all_sites:
        return True
    reach = _reach() or Reach(staff.location_ids, _opened(staff.id))
    table = Patient.__table__
    with everyone():
        return (
            db.session.scalar(select(table.c.id).where(table.c.id == patient_id, _within(reach, table.c.id)))
            is not None
        )


def site_ids(patient_id: int) -> frozenset[int]:
    """The sites that a patient belongs to."""
    table = Patient.__table__
    found: set[int | None] = {
        db.session.scalar(select(table.c.preferred_location_id).where(table.c.id == patient_id)),
    }
    for bound in BELONGS:
        found |= set(db.session.scalars(select(bound.c.location_id).where(bound.c.patient_id == patient_id).distinct()))
    return frozenset(site for site in found if site is not None)


# -- the filter -------------------------------------------------------------------------------------------------------


class _Seen(LoaderCriteriaOption):
    """A condition on every use of a model in a statement. SQLAlchemy forgets the alias in a join with its own ON."""

    _traverse_internals = LoaderCriteriaOption._traverse_internals  # what makes statements with it cached apart

    def _resolve_where_criteria(self, ext_info: Any) -> ColumnElement[bool]:
        found = super()._resolve_where_criteria(ext_info)
        return ext_info._adapter.traverse(found) if ext_info.is_aliased_class else found  # type: ignore[no-any-return]


@event.listens_for(Session, "do_orm_execute")
def _narrowed(state: ORMExecuteState) -> None:
    reach = _reach()
    if reach is None or state.is_column_load or not (state.is_select or state.is_update or state.is_delete):
        return
    options = [option for model in _models(state.statement) if (option := _option(model, reach)) is not None]
    if options:
        state.statement = state.statement.options(*options)  # type: ignore[attr-defined]


def _models(statement: Any) -> set[type[Base]]:
    """Every mapped class that a statement reads, subqueries too."""
    found = {
        entity.mapper.class_
        for part in visitors.iterate(statement)
        if (entity := getattr(part, "_annotations", {}).get("parententity")) is not None
    }
    table = getattr(statement, "entity_description", None)  # an UPDATE or DELETE names its table without saying whose
    return found | ({table["entity"]} if table and table.get("entity") else set())


@cache
def person_of(model: type[Base]) -> Any:
    """The patient's id of a row: its own column, or by a foreign key that leads there; None: about no person."""
    if model is Patient:
        return Patient.id
    steps = _way(model.__table__, frozenset())  # type: ignore[arg-type]
    if steps is None:
        return None
    column: Any = getattr(model, inspect(model).get_property_by_column(model.__table__.c[steps[0][0]]).key)
    for (_, table), (name, _) in pairwise(steps):
        assert table is not None
        other = table.alias(f"way_{table.name}")
        column = select(other.c[name]).where(other.c.id == column).correlate_except(other).scalar_subquery()
    return column


def _way(table: Table, behind: frozenset[str]) -> list[tuple[str, Table | None]] | None:
    """Columns and tables from a row to `patient_id`, the shortest way; a link that is always set comes first."""
    if "patient_id" in table.c:
        return [("patient_id", None)]
    ways = []
    for column in table.c:
        for key in column.foreign_keys:
            target = key.column.table
            if target.name not in behind and target.name != "patients":
                way = _way(target, behind | {table.name})
                if way is not None:
                    ways.append((bool(column.nullable), len(way), [(column.name, target), *way]))
    return min(ways, key=lambda found: found[:2])[2] if ways else None


@lru_cache(maxsize=1000)
def _option(model: type[Base], reach: Reach) -> _Seen | None:
    column = person_of(model)
    if column is None:
        return None
    within = _within(reach, column)
    return _Seen(model, within if model is Patient else or_(column.is_(None), within), include_aliases=True)


def _within(reach: Reach, patient_id: Any) -> ColumnElement[bool]:
    """Condition on the id of a patient. Core tables only: the filter is not to be filtered again."""
    person, sites = Patient.__table__.alias("seen_person"), sorted(reach.location_ids)
    rows = [table.alias(f"seen_{table.name}") for table in BELONGS]
    bound = [select(row.c.id).where(row.c.patient_id == person.c.id).correlate(person) for row in rows]
    allowed = [
        person.c.preferred_location_id.in_(sites),
        *(found.where(row.c.location_id.in_(sites)).exists() for row, found in zip(rows, bound, strict=True)),
        and_(person.c.preferred_location_id.is_(None), *(~found.exists() for found in bound)),
    ]
    if reach.patient_ids:
        allowed.append(person.c.id.in_(sorted(reach.patient_ids)))
    found = select(person.c.id).where(person.c.id == patient_id, or_(*allowed))
    return found.correlate_except(person, *rows).exists()
