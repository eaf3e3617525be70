"""Every page that opens a person's record leaves one event, also where the view wrote none itself."""

from typing import Any

from flask import Flask, Response, current_app, g, request
from sqlalchemy import select

from clinic import audit
from clinic.audit import Actor
from clinic.db import db, transaction
from clinic.patients import sites
from clinic.patients.sites import everyone
from clinic.web.access import Audience, declared


def init_app(app: Flask) -> None:
    """Look at every answer to staff and tokens."""
    app.after_request(note)


def note(response: Response) -> Response:
    """Write that the record was opened, unless this request wrote an event about that person already."""
    actor = g.get("actor")
    if request.method == "GET" and response.status_code == 200 and isinstance(actor, Actor):
        access = declared(current_app, request.endpoint or "")
        if access is not None and access.audience in (Audience.STAFF, Audience.TOKEN):
            is_told = bool(g.get("audited", set()) - {None})
            opened = set() if is_told or not request.view_args else people_of(request.view_args)
            if opened:
                with transaction():
                    for patient_id in sorted(opened):
                        audit.record_event(
                            "patients", patient_id, "viewed", by=actor, patient_id=patient_id, part=request.endpoint
                        )
    return response


def people_of(ids: dict[str, Any]) -> set[int]:
    """The patients whose rows an address names."""
    found: set[int | None] = set()
    for name, value in ids.items():
        model = sites.SUBJECTS.get(name)
        column = sites.person_of(model) if model is not None else None
        if model is not None and column is not None:
            with everyone():
                found.add(db.session.scalar(select(column).where(sites.key_of(model) == value)))
    return {patient_id for patient_id in found if patient_id is not None}
