"""Shapes of the check-in's pages: one item, word for word; the questions after the safety card."""

from typing import Any

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import RadioField
from wtforms.validators import InputRequired, Optional

from clinic.surveys.cadence import INSTRUMENT
from clinic.web import scales

SCREENER_STEPS = (("c1", "c2"), ("c3", "c4", "c5"), ("c6", "c6b"))


def item_form(number: int, **values: Any) -> FlaskForm:
    """One item of the questionnaire with its own answers. Skipping is a link beside the form."""
    item = scales.items(INSTRUMENT)[number]

    class ItemForm(FlaskForm):
        answer = RadioField(
            item.text,
            choices=[(value, label) for value, label in sorted(item.answers.items())],
            coerce=int,
            validators=[InputRequired(_("Choose one of the answers, or skip this question."))],
        )

    return ItemForm(**values)


class AfterSafetyForm(FlaskForm):
    """What comes after the safety card."""

    next = RadioField(
        _("A few more questions help us know how to help"),
        choices=[
            ("questions", _("Go on with 6 short questions")),
            ("person", _("I would rather talk to a person")),
        ],
        validators=[InputRequired(_("Choose one."))],
    )


def screener_form(step: int, **values: Any) -> FlaskForm:
    """Questions of one page of the screener, word for word; any of them may stay open."""
    items = scales.items("cssrs")
    texts = {f"c{number}": item.text for number, item in items.items()} | {"c6b": scales.follow_up("cssrs")}

    class ScreenerForm(FlaskForm):
        pass

    for key in SCREENER_STEPS[step - 1]:
        choices = list(items[int(key[1])].answers.items())
        answer = RadioField(texts[key], choices=choices, coerce=_whole, validators=[Optional()])
        setattr(ScreenerForm, key, answer)
    return ScreenerForm(**values)


def _whole(value: Any) -> int | None:
    return None if value in (None, "", "None") else int(value)
