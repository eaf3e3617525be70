"""Delivery status notifications (RFC 3464): which message came back, and whether for good. Pure."""

import re
from collections.abc import Sequence
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from typing import NamedTuple

from clinic.reminders import signed
from clinic.reminders.signed import Use

_STATUS = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})")
_OURS = re.compile(r"\+([\w-]+\.[\w-]+)@")
NO_MAILBOX = {("5", "1", "1"), ("5", "1", "2"), ("5", "1", "3"), ("5", "1", "6"), ("5", "1", "10"), ("5", "2", "1")}
LARGEST = 200_000  # octets


class Bounce(NamedTuple):
    """A message that came back. `is_dead`: the address takes nothing."""

    message_id: int
    code: str
    is_dead: bool


def read(raw: bytes, keys: Sequence[str]) -> Bounce | None:
    """The bounce in a letter; None where it is none, only a delay, or of no message of ours.

    Only the address that the letter came to counts for which message it is: it is ours and sealed, and a forger does
    not know it.
    """
    letter = message_from_bytes(raw[:LARGEST], policy=policy.default)
    message_id = _message_of(letter, keys)
    report = next((part for part in letter.walk() if part.get_content_type() == "message/delivery-status"), None)
    if message_id is None or report is None:
        return None
    for block in _blocks(report):
        if str(block.get("Action", "")).strip().lower() != "failed":
            continue
        found = _STATUS.search(str(block.get("Status", ""))) or _STATUS.search(str(block.get("Diagnostic-Code", "")))
        if found is None:
            return Bounce(message_id, "5.0.0", False)
        return Bounce(message_id, found.group(), found.groups() in NO_MAILBOX)
    return None


def _message_of(letter: EmailMessage | Message, keys: Sequence[str]) -> int | None:
    for name in ("X-Original-To", "Delivered-To", "Envelope-To", "To"):
        for header in letter.get_all(name, []):
            for token in _OURS.findall(str(header)):
                number = signed.read(Use.RETURN, token, keys)
                if number is not None:
                    return number
    return None


def _blocks(report: Message) -> list[Message]:
    payload = report.get_payload()
    return [block for block in payload if isinstance(block, Message)] if isinstance(payload, list) else []
