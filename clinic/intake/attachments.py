"""Files of a person's history: checked by content, sealed in the database, every reading written down."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import undefer

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db, transaction
from clinic.errors import Conflict, Invalid, NotFound
from clinic.intake import filetypes, queries
from clinic.intake.models import Attachment, AttachmentKind, Intake
from clinic.patients import queries as patients

MEGABYTE = 1_000_000
MAX_SIZE = 10 * MEGABYTE
MAX_FILES = 20  # a person
MAX_NAME = 120
_UNSAFE = re.compile(r"[^\w .()\[\]+,=@-]+")


class TooBig(Invalid):
    """More than one file may weigh."""

    code = "too_big"


class NotReadable(Invalid):
    """Neither a whole PDF nor a whole picture."""

    code = "not_readable"


class TooMany(Conflict):
    """The person has as many files as we keep."""

    code = "too_many_files"


@dataclass(frozen=True)
class Added:
    """The file's row; `is_new` False: the very same file was there already."""

    id: int
    is_new: bool


def add(
    *,
    intake_id: int | None = None,
    patient_id: int | None = None,
    kind: str,
    name: str,
    content: bytes,
    by: Actor,
    staff_id: int | None = None,
    about_on: date | None = None,
) -> Added:
    """Keep a file of a form or of a patient. The same content twice is one file.

    Raises Invalid for an unknown kind, TooBig, NotReadable, TooMany, NotFound, AlreadyOver once the form was sent.
    """
    if kind not in {str(each) for each in AttachmentKind}:
        raise Invalid("say what the file is", fields=["kind"])
    if len(content) > MAX_SIZE:
        raise TooBig(f"the limit is {MAX_SIZE // MEGABYTE} MB", fields=["file"], size=len(content))
    media_type = filetypes.media_type(content)
    if media_type is None:
        raise NotReadable("this is neither a whole PDF nor a whole picture", fields=["file"])
    digest = hashlib.sha256(content).digest()
    with transaction():
        intake_id, patient_id = _owner(intake_id, patient_id)
        mine = _of(intake_id, patient_id)
        same = db.session.scalar(select(Attachment).where(mine, Attachment.content_hash == digest).limit(1))
        if same is not None and same.removed_at is None:
            return Added(same.id, is_new=False)
        _must_have_room(mine)
        row = Attachment(
            intake_id=intake_id,
            patient_id=patient_id,
            kind=kind,
            name=safe_name(name, media_type),
            media_type=media_type,
            size=len(content),
            content_hash=digest,
            content=content,
            about_on=about_on,
            added_by=staff_id,
            added_at=clock.now(),
        )
        db.session.add(row)
        db.session.flush()
        audit.record(row, "added", by=by, kind=kind, size=row.size)
        return Added(row.id, is_new=True)


def _must_have_room(mine: Any) -> None:
    rows = select(func.count()).select_from(Attachment).where(mine, Attachment.removed_at.is_(None))
    if (db.session.scalar(rows) or 0) >= MAX_FILES:
        raise TooMany(f"we keep {MAX_FILES} files", fields=["file"])


def _owner(intake_id: int | None, patient_id: int | None) -> tuple[int | None, int | None]:
    """Both, locked, so that two uploads at once do not pass the limit. An open form may have no patient yet."""
    if intake_id is not None:
        intake = queries.lock(intake_id)
        queries.must_be_open(intake)
        return intake.id, intake.patient_id
    if patient_id is None:
        raise NotFound("nobody is named")
    patients.lock(patient_id)
    return None, patient_id


def _of(intake_id: int | None, patient_id: int | None) -> Any:
    known = [Attachment.intake_id == intake_id] if intake_id is not None else []
    return or_(*known, *([Attachment.patient_id == patient_id] if patient_id is not None else []))


def safe_name(name: str, media_type: str) -> str:
    """A name to show and to offer as a file name: no folder, no control or direction mark, the ending of its content."""
    plain = _UNSAFE.sub(" ", PurePosixPath(name.replace("\\", "/")).name).replace("_", " ")
    stem, _dot, ending = plain.rpartition(".")
    stem = " ".join((stem if stem and len(ending) <= 5 else plain).split()).strip(". ")[:MAX_NAME]
    return f"{stem or 'file'}{filetypes.ENDINGS[media_type]}"


def of_intake(intake: Intake) -> Sequence[Attachment]:
    """The files that a person sees at the form, without content, oldest first."""
    return _listed(_of(intake.id, intake.patient_id))


def of_patient(patient_id: int) -> Sequence[Attachment]:
    """The files of a patient, without content, oldest first."""
    return _listed(_of(None, patient_id))


def _listed(mine: Any) -> Sequence[Attachment]:
    query = select(Attachment).where(mine, Attachment.removed_at.is_(None)).order_by(Attachment.id)
    return db.session.scalars(query).all()


def count_of(patient_id: int) -> int:
    """How many files a patient has."""
    rows = select(func.count()).select_from(Attachment)
    return db.session.scalar(rows.where(Attachment.patient_id == patient_id, Attachment.removed_at.is_(None))) or 0


def get(attachment_id: int) -> Attachment:
    """One file, without content. Raises NotFound, also for one that was taken off."""
    row = db.session.get(Attachment, attachment_id)
    if row is None or row.removed_at is not None:
        raise NotFound("no such file")
    return row


def content(attachment_id: int, *, by: Actor) -> tuple[Attachment, bytes]:
    """One file with its content; the reading is written down first. Raises NotFound."""
    with transaction():
        get(attachment_id)
        row = db.session.scalars(
            select(Attachment).where(Attachment.id == attachment_id).options(undefer(Attachment.content))
        ).one()
        audit.record(row, "read", by=by, kind=row.kind)
        return row, row.content


def remove(intake: Intake, attachment_id: int, *, by: Actor) -> str:
    """Take a file off the list of an open form and answer its name; `restore` brings it back. Raises NotFound."""
    return _mark(intake, attachment_id, is_removed=True, by=by)


def restore(intake: Intake, attachment_id: int, *, by: Actor) -> str:
    """Undo `remove`. Raises NotFound, TooMany."""
    return _mark(intake, attachment_id, is_removed=False, by=by)


def _mark(intake: Intake, attachment_id: int, *, is_removed: bool, by: Actor) -> str:
    with transaction():
        queries.must_be_open(queries.lock(intake.id))
        return _mark_one(_of(intake.id, intake.patient_id), attachment_id, is_removed=is_removed, by=by)


def take_off(patient_id: int, attachment_id: int, *, is_own: bool, by: Actor) -> str:
    """Take a file off a patient's list, also after the form was sent, and answer its name; `put_back` undoes it.

    `is_own`: only of those that the person added. It is kept, and nobody opens it any more. Raises NotFound.
    """
    with transaction():
        patients.lock(patient_id)
        return _mark_one(_of_record(patient_id, is_own), attachment_id, is_removed=True, by=by)


def put_back(patient_id: int, attachment_id: int, *, is_own: bool, by: Actor) -> str:
    """Undo `take_off`. Raises NotFound, TooMany."""
    with transaction():
        patients.lock(patient_id)
        return _mark_one(_of_record(patient_id, is_own), attachment_id, is_removed=False, by=by)


def _of_record(patient_id: int, is_own: bool) -> Any:
    own = [Attachment.added_by.is_(None)] if is_own else []
    return and_(_of(None, patient_id), *own)


def _mark_one(mine: Any, attachment_id: int, *, is_removed: bool, by: Actor) -> str:
    row = db.session.scalar(select(Attachment).where(mine, Attachment.id == attachment_id).with_for_update())
    if row is None:
        raise NotFound("no such file")
    if (row.removed_at is not None) != is_removed:
        if not is_removed:
            _must_have_room(_of(row.intake_id, row.patient_id))
        row.removed_at = clock.now() if is_removed else None
        audit.record(row, "removed" if is_removed else "restored", by=by)
    return row.name


def removed_name(intake: Intake, attachment_id: int) -> str:
    """The name of a file that was taken off this form's list; empty for any other."""
    return _removed_name(_of(intake.id, intake.patient_id), attachment_id)


def taken_off_name(patient_id: int, attachment_id: int, *, is_own: bool) -> str:
    """The same of a patient's list."""
    return _removed_name(_of_record(patient_id, is_own), attachment_id)


def _removed_name(mine: Any, attachment_id: int) -> str:
    query = select(Attachment.name).where(mine, Attachment.id == attachment_id, Attachment.removed_at.is_not(None))
    return db.session.scalar(query) or ""


def give_to_patient_within_transaction(intake: Intake) -> None:
    """Once the person is known, the files that came before belong to the patient too."""
    assert intake.patient_id is not None
    for row in db.session.scalars(
        select(Attachment).where(Attachment.intake_id == intake.id, Attachment.patient_id.is_(None))
    ):
        row.patient_id = intake.patient_id
