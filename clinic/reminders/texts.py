"""The clinic's own wording: checked, kept as a new version, taken back to ours. One operation, one transaction."""

from collections.abc import Sequence

from sqlalchemy import func, select, update

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db, transaction
from clinic.errors import Invalid, NotFound
from clinic.locations import queries as locations
from clinic.reminders import facts, text_rules, wording
from clinic.reminders.models import MessageText
from clinic.reminders.text_rules import RULES, Problem
from clinic.reminders.wording import Parts, Place, Text

LOCK = 720_451  # advisory lock: two managers who save at once get two versions


class NotFit(Invalid):
    """The wording may not be used; `problems` says why, part by part."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(" ".join(problem.words for problem in problems), fields=[one.part for one in problems])
        self.problems = problems


def in_force(key: str, language: str) -> tuple[Parts, MessageText | None]:
    """The parts that go out now, and the clinic's row where they are its own. Raises NotFound."""
    _must_exist(key, language)
    row = db.session.scalar(
        select(MessageText).where(
            MessageText.key == key, MessageText.language == language, MessageText.superseded_at.is_(None)
        )
    )
    return (row.parts if row is not None else wording.default_parts(key, language)), row


def own_versions() -> dict[tuple[str, str], int]:
    """Version of each text that the clinic words itself, by key and language."""
    return {key: version for key, (version, _) in facts.own_texts().items()}


def versions(key: str, language: str) -> Sequence[MessageText]:
    """What the clinic wrote so far, newest first."""
    statement = select(MessageText).where(MessageText.key == key, MessageText.language == language)
    return db.session.scalars(statement.order_by(MessageText.version.desc())).all()


def check(key: str, language: str, parts: Parts, base: str) -> list[Problem]:
    """Everything that is wrong with a wording. Raises NotFound."""
    _must_exist(key, language)
    return text_rules.problems(key, language, parts, _clinic(), _places(), base)


def preview(key: str, language: str, parts: Parts, channel: str, base: str) -> Text:
    """How it reads, with facts that are made up."""
    return text_rules.sample(key, language, parts, channel, _clinic(), _places(), base)


def save_text(key: str, language: str, parts: Parts, *, base: str, by: Actor) -> int:
    """Use this wording from now on; answers its version. Raises NotFit, NotFound."""
    wrong = check(key, language, parts, base)
    if wrong:
        raise NotFit(wrong)
    with transaction():
        db.session.execute(select(func.pg_advisory_xact_lock(LOCK)))
        before, row = in_force(key, language)
        kept = {name: parts[name].strip() for name in text_rules.names(key)}
        if row is not None and kept == before:
            return row.version
        _supersede(key, language)
        last = db.session.scalar(
            select(func.max(MessageText.version)).where(MessageText.key == key, MessageText.language == language)
        )
        made = MessageText(
            key=key,
            language=language,
            version=(last or 0) + 1,
            parts=kept,
            written_by=str(by)[:40],
            created_at=clock.now(),
        )
        db.session.add(made)
        audit.record(made, "worded", by=by, key=key, language=language, version=made.version)
        return made.version


def use_ours(key: str, language: str, *, by: Actor) -> None:
    """Go back to the wording that comes with the software. Raises NotFound."""
    _must_exist(key, language)
    with transaction():
        for row in _supersede(key, language):
            audit.record(row, "taken_back", by=by, key=key, language=language)


def _supersede(key: str, language: str) -> Sequence[MessageText]:
    return db.session.scalars(
        update(MessageText)
        .where(MessageText.key == key, MessageText.language == language, MessageText.superseded_at.is_(None))
        .values(superseded_at=clock.now())
        .returning(MessageText)
    ).all()


def _must_exist(key: str, language: str) -> None:
    if key not in RULES or language not in wording.LANGUAGES:
        raise NotFound("there is no such text")


def _clinic() -> str:
    profile = locations.profile()
    return profile.short_name if profile is not None else "Daybreak"


def _places() -> list[Place]:
    return [Place(site.name, site.address, site.tz) for site in locations.active()]
