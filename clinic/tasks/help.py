"""What a page may say after a safety answer: the fixed words of the safety table, the same for every form."""

from datetime import datetime
from typing import Protocol

from flask import g
from flask_babel import gettext as _

from clinic.audit import Actor
from clinic.tasks import safety
from clinic.web import context


class Facts(Protocol):
    """What the words depend on; instants in UTC. `call_by` only where the clinic promises a call, and in its hours."""

    @property
    def is_open(self) -> bool: ...

    @property
    def call_by(self) -> datetime | None: ...

    @property
    def opens_at(self) -> datetime | None: ...

    @property
    def tz(self) -> str: ...


def promises(facts: Facts | None) -> list[str]:
    """What happens next, as far as it is true. At a device of the clinic in its hours, people are near."""
    if facts is None:
        return []
    if _is_at_kiosk() and facts.is_open:
        return [_("You are at the clinic. Please tell anyone who works here, now. They will bring someone to you.")]
    if facts.call_by is not None:
        return [_("A person from the clinic will call you by %(time)s.", time=context.moment(facts.call_by, facts.tz))]
    if facts.is_open:
        return [_("We cannot say when someone at the clinic reads this. Call or text 988 now.")]
    if facts.opens_at is None:
        return [_("Nobody at the clinic reads this now. Call or text 988 now.")]
    opening = context.moment(facts.opens_at, facts.tz)
    return [_("Nobody at the clinic reads this before %(opening)s. Call or text 988 now.", opening=opening)]


def medical_promises(facts: Facts) -> list[str]:
    """The same after an answer about the body: the ambulance in place of the crisis line."""
    if _is_at_kiosk() and facts.is_open:
        return [_("You are at the clinic. Please tell anyone who works here, now. They will bring someone to you.")]
    if facts.call_by is not None:
        return [_("A person from the clinic will call you by %(time)s.", time=context.moment(facts.call_by, facts.tz))]
    if facts.is_open:
        return [_("We cannot say when someone at the clinic reads this. If it cannot wait, call the clinic now.")]
    if facts.opens_at is None:
        return [_("Nobody at the clinic reads this now. If it cannot wait, call 911.")]
    opening = context.moment(facts.opens_at, facts.tz)
    return [_("Nobody at the clinic reads this before %(opening)s. If it cannot wait, call 911.", opening=opening)]


def note_kiosk(source_key: str, *, by: Actor) -> None:
    """Where the person sits at a device of the clinic, tell those who read the alert."""
    if _is_at_kiosk():
        safety.add_words(source_key, safety.AT_A_KIOSK, by=by)


def _is_at_kiosk() -> bool:
    caller = g.get("patient")
    return caller is not None and bool(caller.is_kiosk)
