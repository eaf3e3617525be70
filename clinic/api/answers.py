"""What the calls of scheduling answer, as JSON Schema for the description. The shapes are public: extended, never cut."""

from typing import Any

Shape = dict[str, Any]

TEXT: Shape = {"type": "string"}
NUMBER: Shape = {"type": "integer"}
FLAG: Shape = {"type": "boolean"}
MOMENT: Shape = {"type": "string", "format": "date-time", "description": "ISO 8601 with offset"}
DAY: Shape = {"type": "string", "format": "date"}


def maybe(shape: Shape) -> Shape:
    """The shape, or null where it is not known."""
    return {**shape, "type": [shape["type"], "null"]} if "type" in shape else {"anyOf": [shape, {"type": "null"}]}


def many(shape: Shape) -> Shape:
    """A list of the shape."""
    return {"type": "array", "items": shape}


def ref(name: str) -> Shape:
    """A shape of this module by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(*optional: str, **fields: Shape) -> Shape:
    """An object; every field is there but those named first."""
    return {"type": "object", "required": [x for x in fields if x not in optional], "properties": fields}


def page(item: Shape) -> Shape:
    """One page of a list: `next_cursor` asks for the next, null where there is none."""
    return record(items=many(item), next_cursor=maybe(TEXT))


_PLACE = {"starts_at": MOMENT, "ends_at": MOMENT, "device": NUMBER, "location": TEXT}
_MAKE_UP = {**_PLACE, "gap_days": NUMBER, "shift_minutes": NUMBER}
_SESSION = {"number": NUMBER, "kind": TEXT, **_PLACE}
_APPOINTMENT = {
    "id": NUMBER,
    "course_id": maybe(NUMBER),
    "patient_id": NUMBER,
    "number": NUMBER,
    "kind": TEXT,
    "mode": {"enum": ["in_person", "video"]},
    "starts_at": MOMENT,
    "ends_at": MOMENT,
    "device": maybe(NUMBER),
    "room": maybe(NUMBER),
    "staff": maybe(NUMBER),
    "location": TEXT,
    "patient_state": maybe(TEXT),
    "state": {"enum": ["held", "booked", "confirmed", "arrived", "completed", "cancelled", "no_show"]},
    "revision": NUMBER,
    "paid_by": {"enum": ["payer", "patient", "open"]},
}
_MOVE = record(
    "needs_yes",
    "because",
    "text",
    "minutes",
    "days",
    session_id=NUMBER,
    course_id=NUMBER,
    patient_id=NUMBER,
    number=NUMBER,
    from_at=MOMENT,
    from_device=NUMBER,
    to_at=maybe(MOMENT),
    to_device=maybe(NUMBER),
    to_location=maybe(TEXT),
    needs_yes=FLAG,
    because=TEXT,
    text=TEXT,
    minutes=NUMBER,
    days=NUMBER,
)

SCHEMAS: dict[str, Shape] = {
    "LocationPage": page(
        record(
            id=TEXT,
            slug=TEXT,
            name=TEXT,
            address=TEXT,
            zip_code=TEXT,
            timezone=TEXT,
            phone=TEXT,
            note=TEXT,
            protocols=many(TEXT),
            hours=many(record(weekday=NUMBER, opens=TEXT, closes=TEXT)),
        )
    ),
    "DevicePage": page(
        record(id=NUMBER, name=TEXT, location=TEXT, kind=TEXT, protocols=many(TEXT), turnover_minutes=NUMBER)
    ),
    "ProtocolPage": page(
        record(
            id=TEXT,
            name=TEXT,
            version=NUMBER,
            pathway=TEXT,
            device_kind=TEXT,
            sessions=NUMBER,
            min_hours_between=maybe(NUMBER),
            first_minutes=NUMBER,
            session_minutes=NUMBER,
        )
    ),
    "OpenTimePage": page(record(id=TEXT, starts_at=MOMENT, ends_at=MOMENT, device=NUMBER)),
    "Proposals": record(
        "binding",
        "held_until",
        proposals=many(
            record(
                id=TEXT,
                kind=TEXT,
                expires_at=MOMENT,
                location=TEXT,
                starts_on=DAY,
                ends_on=DAY,
                cost=NUMBER,
                why=many(TEXT),
                sessions=many(record(**_SESSION)),
            )
        ),
        binding=many(record(rule=TEXT, text=TEXT)),
        held_until=maybe(MOMENT),
    ),
    "Appointment": record(**_APPOINTMENT),
    "AppointmentWithMakeUps": record(
        **_APPOINTMENT,
        proposals=many(record(**_MAKE_UP)),
        beyond=many(record(**_MAKE_UP, breach=TEXT, cost=NUMBER)),
        reason=maybe(TEXT),
        needs_review=FLAG,
    ),
    "Course": record(
        "needs_review",
        "review",
        id=NUMBER,
        patient_id=NUMBER,
        protocol=TEXT,
        state={"enum": ["booked", "running", "paused", "completed", "discontinued", "cancelled"]},
        location=TEXT,
        device=NUMBER,
        planned_sessions=NUMBER,
        sessions=many(ref("Appointment")),
        needs_review=FLAG,
        review=TEXT,
    ),
    "CourseFunds": record(
        course_id=NUMBER,
        left=NUMBER,
        self_paid=NUMBER,
        unfunded=NUMBER,
        owed=NUMBER,
        runs_out_on=maybe(DAY),
        ask_by=maybe(DAY),
        authorisations=many(
            record(
                id=NUMBER,
                payer=TEXT,
                approved=NUMBER,
                used=NUMBER,
                booked=NUMBER,
                left=NUMBER,
                valid_from=DAY,
                valid_until=DAY,
            )
        ),
    ),
    "Outage": record(
        "applied",
        id=NUMBER,
        kind={"enum": ["device", "person", "site", "capacity"]},
        state={"enum": ["open", "applied", "withdrawn"]},
        device=maybe(NUMBER),
        location=maybe(TEXT),
        starts_at=MOMENT,
        ends_at=MOMENT,
        reason=TEXT,
        revision=NUMBER,
        preview=record(
            moved=many(_MOVE),
            unplaced=many(_MOVE),
            visits=many(record(session_id=NUMBER, patient_id=NUMBER, starts_at=MOMENT, kind=TEXT)),
            breaches=many(record(course_id=NUMBER, days=NUMBER, text=TEXT, cost=NUMBER)),
            people=NUMBER,
            cost=NUMBER,
            bound=maybe(NUMBER),
            stage=TEXT,
        ),
        applied=many(NUMBER),
    ),
    "Change": record(
        id=NUMBER,
        patient_id=NUMBER,
        course_id=maybe(NUMBER),
        state={"enum": ["told", "asked", "accepted", "declined", "lapsed"]},
        revision=NUMBER,
        answer_by=MOMENT,
        moves=many(_MOVE),
    ),
    "ChangePage": page(ref("Change")),
    "Authorisation": record(
        id=NUMBER,
        patient_id=NUMBER,
        payer=TEXT,
        pathway=TEXT,
        protocol=maybe(TEXT),
        location=maybe(TEXT),
        device=maybe(NUMBER),
        sessions_approved=NUMBER,
        sessions_left=NUMBER,
        valid_from=DAY,
        valid_until=DAY,
        ended=FLAG,
    ),
    "AuthorisationPage": page(ref("Authorisation")),
    "Created": record(id=NUMBER),
}
