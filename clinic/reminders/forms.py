"""Shapes of the desk's pages."""

from flask_wtf import FlaskForm
from wtforms import SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from clinic.reminders.due import Purpose
from clinic.reminders.models import MessageState

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
    Purpose.DAY_BEFORE: "Day before",
    Purpose.TWO_HOURS_BEFORE: "Two hours before",
    Purpose.WEEKLY_DIGEST: "Weekly message",
    Purpose.SESSION_MOVED: "Visit moved",
    Purpose.SESSION_CANCELLED: "Visit cancelled",
    Purpose.SURVEY_DUE: "Check-in",
    Purpose.LINK: "Link asked for",
    Purpose.ON_CALL: "On call",
}
CHANNEL_WORDS = {"email": "Email", "sms": "Text"}
ALL = ("", "all")


class FilterForm(FlaskForm):
    """What the list of messages shows. Read from the address, so that it can be kept."""

    class Meta:
        csrf = False

    state = SelectField("State", choices=[ALL, *((str(key), word) for key, word in STATE_WORDS.items())])
    purpose = SelectField("About", choices=[ALL, *((str(key), word) for key, word in PURPOSE_WORDS.items())])
    channel = SelectField("Channel", choices=[ALL, *CHANNEL_WORDS.items()])
    record = StringField("Record number", [Length(max=20)])

    def wanted(self) -> dict[str, str]:
        """Chosen filters; one that does not exist counts as not chosen."""
        known = {name: {value for value, _ in self[name].choices} for name in ("state", "purpose", "channel")}
        chosen = {name: self[name].data for name in known if self[name].data in known[name] and self[name].data}
        number = (self.record.data or "").strip().upper()
        if number:
            chosen["record"] = f"D-{number}" if number.isdigit() else number
        return chosen


class ResendForm(FlaskForm):
    """Why a message goes out again."""

    reason = TextAreaField(
        "Why should it go out again?",
        [InputRequired("Say why it should go out again."), Length(max=500, message="At most 500 characters.")],
    )
