"""Rows as FHIR R4 resources. Pure: a row as a mapping in, one JSON resource out. Ids are `{table}-{key}`."""

import base64
import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

Row = Mapping[str, Any]
Resource = dict[str, Any]
SYSTEM = "urn:daybreak"
# LOINC codes of total scores; what has none here keeps our own name alone.
LOINC = {"phq9": "44261-6", "gad7": "70274-6", "audit_c": "75626-2"}


def name_of(table: str, key: Any) -> str:
    """The id of a row as a resource: letters, digits and hyphens."""
    return f"{table.replace('_', '-')}-{key}"


def ref(kind: str, table: str, key: Any) -> Resource | None:
    """A reference to another exported row."""
    return None if key is None else {"reference": f"{kind}/{name_of(table, key)}"}


def base(kind: str, table: str, row: Row, **more: Any) -> Resource:
    """A resource without its empty parts."""
    found = {"resourceType": kind, "id": name_of(table, row["id"]), **more}
    return {name: value for name, value in found.items() if value not in (None, [], {}, "")}


def moment(value: datetime | None) -> str | None:
    """An instant with its offset."""
    return None if value is None else value.isoformat(timespec="milliseconds")


def day(value: date | None) -> str | None:
    """A date."""
    return None if value is None else value.isoformat()


def words(text: str | None, code: str = "", system: str = "") -> Resource | None:
    """A concept in words, with a code where there is one."""
    if not text and not code:
        return None
    coding = [{"system": system or SYSTEM, "code": code}] if code else []
    return {name: value for name, value in {"coding": coding, "text": text or None}.items() if value}


def _identifier(name: str, value: str) -> list[Resource]:
    return [{"system": f"{SYSTEM}:{name}", "value": value}]


def _telecom(row: Row) -> list[Resource]:
    return [
        {"system": system, "value": row[column]}
        for system, column in (("phone", "phone"), ("email", "email"))
        if row.get(column)
    ]


def organization(row: Row) -> Resource:
    """The clinic."""
    return base(
        "Organization", "clinic_profile", row, name=row["name"], alias=[row["short_name"]], telecom=_telecom(row)
    )


def location(row: Row) -> Resource:
    """A site."""
    address = {"text": row["address"], "postalCode": row["zip_code"]}
    return base(
        "Location", "locations", row, status="active", name=row["name"], address=address, telecom=_telecom(row),
        managingOrganization=ref("Organization", "clinic_profile", 1),
    )  # fmt: skip


def device(row: Row) -> Resource:
    """A TMS device or a chair."""
    return base(
        "Device", "devices", row, deviceName=[{"name": row["name"], "type": "user-friendly-name"}],
        type=words(row["kind"], row["kind"]), location=ref("Location", "locations", row["location_id"]),
    )  # fmt: skip


def practitioner(row: Row) -> Resource:
    """Someone who works here."""
    return base(
        "Practitioner",
        "staff_users",
        row,
        active=bool(row["active"]),
        name=[{"text": row["name"]}],
        telecom=_telecom(row),
    )


def patient(row: Row) -> Resource:
    """The person."""
    return base(
        "Patient", "patients", row, identifier=_identifier("record-number", row["record_number"]), active=True,
        name=[{"family": row["family_name"], "given": [row["given_name"]]}], telecom=_telecom(row),
        birthDate=day(row["birth_date"]),
        communication=[{"language": words(None, row["language"], "urn:ietf:bcp:47"), "preferred": True}],
        managingOrganization=ref("Organization", "clinic_profile", 1),
    )  # fmt: skip


def channel_consent(row: Row) -> Resource:
    """A yes or a no to a channel of messages."""
    return base(
        "Consent", "channel_consents", row, status="active" if row["superseded_at"] is None else "inactive",
        scope=words(None, "patient-privacy", "http://terminology.hl7.org/CodeSystem/consentscope"),
        category=[words(f"messages by {row['channel']}", row["channel"])],
        patient=ref("Patient", "patients", row["patient_id"]), dateTime=moment(row["recorded_at"]),
        policyRule=words("may be written to" if row["granted"] else "may not be written to"),
        provision={"type": "permit" if row["granted"] else "deny"},
    )  # fmt: skip


def intake(row: Row) -> Resource:
    """A form as it was sent; every answer by its path, as text."""
    status = {"open": "in-progress", "submitted": "completed", "superseded": "amended", "dropped": "stopped"}
    return base(
        "QuestionnaireResponse", "intakes", row, status=status[row["state"]],
        subject=ref("Patient", "patients", row["patient_id"]),
        authored=moment(row["submitted_at"] or row["saved_at"]), item=_items(row["record"] or {}),
    )  # fmt: skip


def _items(value: Any, path: str = "") -> list[Resource]:
    if isinstance(value, dict):
        return [item for key, inner in value.items() for item in _items(inner, f"{path}.{key}" if path else str(key))]
    if isinstance(value, list):
        return [item for place, inner in enumerate(value) for item in _items(inner, f"{path}[{place}]")]
    if value is None or value == "":
        return []
    if isinstance(value, bool):
        answer: Resource = {"valueBoolean": value}
    elif isinstance(value, int | float):
        answer = {"valueDecimal": value}
    else:
        answer = {"valueString": str(value)}
    return [{"linkId": path, "answer": [answer]}]


def medications(row: Row) -> list[Resource]:
    """Each medicine of a form that counts now, as the person wrote it."""
    trials = (row["record"] or {}).get("trials") or [] if row["state"] == "submitted" else []
    return [
        base(
            "MedicationStatement", "intakes", {"id": f"{row['id']}-{place}"}, status="unknown",
            medicationCodeableConcept=words(str(trial.get("drug") or "not known")),
            subject=ref("Patient", "patients", row["patient_id"]),
            dosage=[{"text": f"{trial['dose_mg_per_day']} mg per day"}] if trial.get("dose_mg_per_day") else None,
            note=[{"text": json.dumps(trial, ensure_ascii=False, sort_keys=True)}],
        )
        for place, trial in enumerate(trials)
        if isinstance(trial, dict)
    ]  # fmt: skip


def score(row: Row) -> Resource:
    """The total of a questionnaire."""
    result = row["result"] or {}
    total = result.get("total") if isinstance(result, dict) else None
    code = LOINC.get(row["instrument"], "")
    return base(
        "Observation", "scores", row, status="final" if row.get("superseded_at") is None else "amended",
        code=words(row["instrument"], code, "http://loinc.org" if code else ""),
        subject=ref("Patient", "patients", row["patient_id"]), effectiveDateTime=moment(row["taken_at"]),
        valueInteger=total if isinstance(total, int) else None,
        dataAbsentReason=None if isinstance(total, int) else words("too many items are missing", "unknown"),
        note=[{"text": json.dumps({"items": row["items"], "result": result}, ensure_ascii=False)}],
    )  # fmt: skip


def course(row: Row) -> Resource:
    """A series of sessions."""
    status = {"booked": "active", "running": "active", "paused": "on-hold", "completed": "completed"}
    return base(
        "CarePlan", "courses", row, status=status.get(row["state"], "revoked"), intent="order", title=row["protocol"],
        subject=ref("Patient", "patients", row["patient_id"]), created=moment(row["created_at"]),
    )  # fmt: skip


def appointment(row: Row) -> Resource:
    """A session or visit."""
    status = {
        "booked": "booked", "confirmed": "booked", "arrived": "arrived", "completed": "fulfilled",
        "cancelled": "cancelled", "no_show": "noshow",
    }  # fmt: skip
    who = [ref("Patient", "patients", row["patient_id"]), ref("Location", "locations", row["location_id"])]
    if row.get("device_id") is not None:
        who.append(ref("Device", "devices", row["device_id"]))
    if row.get("staff_id") is not None:
        who.append(ref("Practitioner", "staff_users", row["staff_id"]))
    return base(
        "Appointment", "treatment_sessions", row, status=status.get(row["state"], "proposed"),
        serviceType=[words(row["kind"])], start=moment(row["starts_at"]), end=moment(row["ends_at"]),
        participant=[{"actor": one, "status": "accepted"} for one in who],
    )  # fmt: skip


def message(row: Row) -> Resource | None:
    """What was written to a person, as it was sent."""
    if row["patient_id"] is None:
        return None
    status = {"sent": "completed", "failed": "stopped", "void": "not-done", "quiet": "not-done"}
    return base(
        "Communication", "messages", row, status=status.get(row["state"], "preparation"),
        category=[words(row["purpose"], row["purpose"])], medium=[words(row["channel"], row["channel"])],
        subject=ref("Patient", "patients", row["patient_id"]), sent=moment(row["sent_at"]),
        payload=[{"contentString": row["body"]}] if row["body"] else None,
    )  # fmt: skip


def task(row: Row) -> Resource:
    """Something that a person at the clinic had to do."""
    return base(
        "Task", "tasks", row, status="requested" if row["closed_at"] is None else "completed", intent="order",
        code=words(row["kind"], row["kind"]), description=row["note"], authoredOn=moment(row["created_at"]),
        owner=ref("Practitioner", "staff_users", row["owner_id"]),
        restriction={"period": {"end": moment(row["due_at"])}},
        **({"for": ref("Patient", "patients", row["patient_id"])} if row["patient_id"] is not None else {}),
        note=[{"text": row["outcome"]}] if row["outcome"] else None,
    )  # fmt: skip


def attachment(row: Row) -> Resource:
    """A file; its content lies beside."""
    file = {
        "contentType": row["media_type"], "title": row["name"], "size": row["size"], "url": row["content"],
        "creation": moment(row["added_at"]),
    }  # fmt: skip
    return base(
        "DocumentReference", "attachments", row, status="current" if row["removed_at"] is None else "superseded",
        type=words(row["kind"], row["kind"]), subject=ref("Patient", "patients", row["patient_id"]),
        date=moment(row["added_at"]), content=[{"attachment": file}],
    )  # fmt: skip


def packet(row: Row) -> Resource:
    """Papers for a payer as they were issued."""
    file = {"contentType": "application/pdf", "title": row["policy"], "url": row["pdf"]}
    return base(
        "DocumentReference", "packets", row, status="current", type=words("prior authorization"),
        subject=ref("Patient", "patients", row["patient_id"]), date=moment(row["issued_at"]),
        content=[{"attachment": file}],
    )  # fmt: skip


MAKERS: dict[str, list[Callable[[Row], Resource | list[Resource] | None]]] = {
    "clinic_profile": [organization],
    "locations": [location],
    "devices": [device],
    "staff_users": [practitioner],
    "patients": [patient],
    "channel_consents": [channel_consent],
    "intakes": [intake, medications],
    "scores": [score],
    "courses": [course],
    "treatment_sessions": [appointment],
    "messages": [message],
    "tasks": [task],
    "attachments": [attachment],
    "packets": [packet],
}


def resources(table: str, row: Row) -> list[Resource]:
    """What a row is in FHIR; tables without a place there are in the CSV files alone."""
    found: list[Resource] = []
    for make in MAKERS.get(table, []):
        made = make(row)
        found += made if isinstance(made, list) else [made] if made is not None else []
    return found


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, date):
        return day(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value
