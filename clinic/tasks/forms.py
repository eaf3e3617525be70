"""Shapes of what closes a task, and of what a patient tells the team."""

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import HiddenField, RadioField, TextAreaField
from wtforms.validators import InputRequired, Length

from clinic.tasks.operations import MAX_OUTCOME


class OutcomeForm(FlaskForm):
    """What came of it."""

    outcome = TextAreaField(
        "What came of it?",
        [InputRequired("Say what came of it."), Length(max=MAX_OUTCOME, message="At most 1000 characters.")],
    )


class TellForm(FlaskForm):
    """A few words from a patient to the team."""

    topic = RadioField(
        _("What is it about?"),
        choices=[
            ("medicines", _("My medicines changed")),
            ("effect", _("I had a headache or another effect")),
            ("question", _("I have a question")),
        ],
        validators=[InputRequired(_("Choose one."))],
    )
    words = TextAreaField(
        _("In your words"),
        [InputRequired(_("Write a few words.")), Length(max=MAX_OUTCOME, message=_("Please use fewer words."))],
    )
    nonce = HiddenField(validators=[Length(min=8, max=40)])
