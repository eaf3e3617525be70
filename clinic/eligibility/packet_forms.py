"""Shapes of what a clinician adds to a packet, and of who fills what is missing."""

from collections.abc import Mapping, Sequence
from datetime import date

from flask_wtf import FlaskForm
from wtforms import HiddenField, SelectField, TextAreaField
from wtforms.validators import Length

from clinic.eligibility.packet_parts import Hole
from clinic.eligibility.packets import MAX_WORDS, ROLES, Assignment
from clinic.errors import Invalid
from clinic.protocols.base import Protocol

ROLE_WORDS = {role: role.replace("_", " ").capitalize() for role in ROLES}


class DraftForm(FlaskForm):
    """The one paragraph in a clinician's words, and the protocol asked for."""

    protocol = SelectField("Protocol asked for", validate_choice=False)
    words = TextAreaField(
        "Paragraph in your own words",
        validators=[Length(max=MAX_WORDS, message=f"At most {MAX_WORDS} characters.")],
    )
    revision = HiddenField()

    def offer(self, protocols: Sequence[Protocol]) -> None:
        """The protocols to choose from."""
        self.protocol.choices = [
            ("", "Not chosen yet"),
            *((each.key, f"{each.name}, {each.session_count} sessions") for each in protocols),
        ]

    def whole_revision(self) -> int:
        """The revision that the page was made from."""
        text = self.revision.data or ""
        return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0


def assignments(form: Mapping[str, str], holes: Sequence[Hole], chosen: Sequence[str]) -> list[Assignment]:
    """Who fills which of the chosen holes, and by when. Raises Invalid with the names of the fields."""
    found, faults = [], []
    for hole in holes:
        if hole.id not in chosen:
            continue
        kind, _, key = form.get(f"owner-{hole.id}", "").partition(":")
        try:
            due_on = date.fromisoformat(form.get(f"due-{hole.id}", ""))
        except ValueError:
            faults.append(f"due-{hole.id}")
            continue
        if kind == "role" and key in ROLES:
            found.append(Assignment(hole.key, due_on, role=key))
        elif kind == "staff" and key.isascii() and key.isdigit() and len(key) < 10:
            found.append(Assignment(hole.key, due_on, staff_id=int(key)))
        else:
            faults.append(f"owner-{hole.id}")
    if faults:
        raise Invalid("Each chosen line needs an owner and a day.", fields=faults)
    if not found:
        raise Invalid("Choose at least one line.", fields=["pick"])
    return found
