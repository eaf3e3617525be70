"""Shapes of the desk's pages, and the words of the ledger."""

from typing import Any

from flask_wtf import FlaskForm
from wtforms import SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional

from clinic.reminders.due import Purpose
from clinic.reminders.models import Answer, MessageState, Receipt
from clinic.reminders.operations import MAX_REASON
from clinic.reminders.queries import CAME_BACK
from clinic.reminders.replies import Meaning

STATE_WORDS = {
    MessageState.DUE: "Waiting",
    MessageState.SENDING: "Sending",
    MessageState.SENT: "Sent",
    MessageState.FAILED: "Not delivered",
    MessageState.QUIET: "Skipped, quiet hours",
    MessageState.VOID: "Not needed any more",
}
PURPOSE_WORDS = {
    Purpose.COURSE_BOOKED: "Course booked",
    Purpose.FIRST_VISIT: "Before the first visit",
    Purpose.DAY_BEFORE: "Day before",
    Purpose.TWO_HOURS_BEFORE: "Two hours before",
    Purpose.RIDE_AND_FASTING: "Ride and fasting",
    Purpose.WEEKLY_DIGEST: "Weekly message",
    Purpose.SESSION_MOVED: "Visit moved",
    Purpose.SESSION_CANCELLED: "Visit cancelled",
    Purpose.FREED_SLOT: "Earlier time offered",
    Purpose.MISSED_VISIT: "Missed visit",
    Purpose.SURVEY_DUE: "Check-in",
    Purpose.SURVEY_OVERDUE: "Check-in, reminder",
    Purpose.ANSWERS_MISSING: "Answers missing",
    Purpose.DOCUMENTS_MISSING: "Papers missing",
    Purpose.LINK: "Link asked for",
    Purpose.ON_CALL: "On call",
    Purpose.STAFF_DIGEST: "Mail of the morning",
    Purpose.RECORD_OPENED: "Record opened from another site",
    Purpose.AUTHORIZATION_ENDING: "Approval runs out",
    Purpose.STAFF_LINK: "Link for a password",
}
CHANNEL_WORDS = {"email": "Email", "sms": "Text", "voice": "Call"}
RECEIPT_WORDS = {
    Receipt.ON_ITS_WAY: "On its way",
    Receipt.DELIVERED: "Arrived",
    Receipt.UNDELIVERED: "Did not arrive",
    Receipt.BOUNCED: "Address takes nothing",
}
ANSWER_WORDS = {Answer.COMING: "Comes", Answer.LATE: "Comes late", Answer.CANNOT: "Cannot come"}
MEANING_WORDS = {
    Meaning.COMING: "Comes",
    Meaning.LATE: "Comes late",
    Meaning.CANNOT: "Cannot come",
    Meaning.STOP: "No more texts",
    Meaning.START: "Texts again",
    Meaning.HELP: "Asked for help",
    Meaning.UNCLEAR: "Needs a person",
}
ALL = ("", "all")


class FilterForm(FlaskForm):
    """What the list of messages shows. Read from the address, so that it can be kept."""

    class Meta:
        csrf = False

    state = SelectField(
        "State",
        choices=[ALL, *((str(key), word) for key, word in STATE_WORDS.items()), (CAME_BACK, "Sent, did not arrive")],
    )
    purpose = SelectField("About", choices=[ALL, *((str(key), word) for key, word in PURPOSE_WORDS.items())])
    channel = SelectField("Channel", choices=[ALL, *CHANNEL_WORDS.items()])
    q = StringField("Record number, phone or initials", [Length(max=80)])

    def wanted(self) -> dict[str, str]:
        """Chosen filters; one that does not exist counts as not chosen."""
        known = {name: {value for value, _ in self[name].choices} for name in ("state", "purpose", "channel")}
        chosen = {name: self[name].data for name in known if self[name].data in known[name] and self[name].data}
        looked_for = (self.q.data or "").strip()[:80]
        return chosen | ({"q": looked_for} if looked_for else {})


class ResendForm(FlaskForm):
    """Why a message goes out again."""

    reason = TextAreaField(
        "Why should it go out again?",
        [
            InputRequired("Say why it should go out again."),
            Length(max=MAX_REASON, message=f"At most {MAX_REASON} characters."),
        ],
    )


class TextForm(FlaskForm):
    """The clinic's own wording of one text. The operation checks what it says."""

    subject = StringField("Subject of the mail", [Optional(), Length(max=120)])
    mail = TextAreaField("Mail", [Optional(), Length(max=4000)])
    text = TextAreaField("Text message", [Optional(), Length(max=800)])

    def parts(self, names: Any) -> dict[str, str]:
        """What was written, of the parts that this text has."""
        return {name: (self[name].data or "").replace("\r\n", "\n") for name in names}
