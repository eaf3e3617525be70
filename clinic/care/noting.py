"""What this clinic says of a treatment, and its own wording of the guide's figures. A change supersedes, never edits."""

from datetime import date

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from clinic import audit, clock
from clinic.audit import Actor
from clinic.care import options
from clinic.care.models import OptionNote
from clinic.care.wording import forbidden
from clinic.db import broken_constraint, db, transaction
from clinic.errors import Conflict, Invalid

COST, COVER, NOTE = "cost", "cover", "note"
FIELDS = (COST, COVER, NOTE)
GUIDE = "guide"  # `option` of a quote; the quote's id stands in `field`
LANGUAGES = ("en", "es")
MAX_TEXT, MAX_SOURCE = 2000, 300
ONLY_HERE = "a word that lays it on the person"  # of the released words, the one kind that education may not use either


def write(
    option: str, field: str, language: str, *, text: str, source: str, as_of: date | None, staff_id: int, by: Actor
) -> int | None:
    """Keep a note in place of the present one; without text the present one is taken away. Raises Invalid, Conflict."""
    words, origin = text.strip(), source.strip()
    _check(option, field, language, words, origin, as_of)
    try:
        with transaction():
            present = db.session.scalar(
                select(OptionNote)
                .where(
                    OptionNote.option == option,
                    OptionNote.field == field,
                    OptionNote.language == language,
                    OptionNote.superseded_at.is_(None),
                )
                .with_for_update()
            )
            if present is not None:
                present.superseded_at = clock.now()
                audit.record(present, "superseded", by=by)
                db.session.flush()
            if not words:
                return None
            assert as_of is not None
            row = OptionNote(
                option=option,
                field=field,
                language=language,
                text=words,
                source=origin,
                as_of=as_of,
                edited_by=staff_id,
                edited_at=clock.now(),
            )
            db.session.add(row)
            audit.record(row, "written", by=by, option=option, field=field, language=language)
            return row.id
    except IntegrityError as error:
        if broken_constraint(error) == "option_notes_present_key":
            raise Conflict("Someone else wrote this note at the same moment. Reload and look.") from None
        raise


def _check(option: str, field: str, language: str, words: str, origin: str, as_of: date | None) -> None:
    known = set(options.quotes()) if option == GUIDE else set(FIELDS) if option in options.ids() else set()
    if field not in known:
        raise Invalid("There is no such note.", fields=["field"])
    if language not in LANGUAGES:
        raise Invalid("Choose a language.", fields=["language"])
    if not words:
        return
    if len(words) > MAX_TEXT:
        raise Invalid(f"At most {MAX_TEXT} characters.", fields=["text"])
    if not origin or len(origin) > MAX_SOURCE:
        raise Invalid(f"Say where this comes from, in at most {MAX_SOURCE} characters.", fields=["source"])
    if as_of is None or as_of > clock.now().date():
        raise Invalid("Give the date on which it was true, not one ahead.", fields=["as_of"])
    if any(number in words for number in options.suppressed(option)):
        raise Invalid("This figure is not shown beside this treatment: its origin was not found.", fields=["text"])
    blaming = [found for found in forbidden(words) if found.why == ONLY_HERE]
    if blaming:
        raise Invalid(f"“{blaming[0].word}” is {blaming[0].why}.", fields=["text"])
