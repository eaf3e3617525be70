"""Shapes of the check-in's pages: items word for word; the questions after the safety card; and what staff enter."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import DateField, HiddenField, RadioField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from clinic.instruments import scoring
from clinic.surveys import flow
from clinic.surveys.flow import DIFFICULTY, GATE, SCREENER_PAGES, Page
from clinic.web import scales

ANSWER = "answer"  # the name of the field on a page with one item of a published scale


def name_of(key: str, page: Page | None = None) -> str:
    """The field that takes the answer of a key."""
    return ANSWER if page is not None and page.is_scale else key.replace(".", "-")


def page_form(page: Page, draft: Mapping[str, Any]) -> Any:
    """The questions of one page. Of a scale one item, which is answered or skipped by a button beside the form."""

    class PageForm(FlaskForm):
        pass

    values = {}
    for key in page.keys:
        needed = InputRequired(_("Choose one of the answers, or skip this question.")) if page.is_scale else Optional()
        setattr(PageForm, name_of(key, page), _field(key, needed))
        values[name_of(key, page)] = draft.get(key)
    return PageForm(data=values)


def answers_in(form: Any, page: Page) -> dict[str, Any]:
    """What a page's form says, by key; a question that was left open is skipped."""
    return {key: form[name_of(key, page)].data for key in page.keys}


def _field(key: str, validator: Any) -> Any:
    instrument, number = flow.item_of(key)
    if number == GATE:
        return RadioField(
            scales.gate(instrument),
            choices=_labels(scales.items(instrument)[1].answers),
            coerce=whole,
            validators=[validator],
        )
    if number == DIFFICULTY:
        text, labels = scales.functional(instrument)
        return RadioField(text, choices=list(enumerate(labels)), coerce=whole, validators=[validator])
    item = scales.items(instrument)[int(number)]
    if item.is_text:
        too_long = _("Please write at most 500 characters.")
        return TextAreaField(item.text, validators=[Optional(), Length(max=scoring.TEXT_AT_MOST, message=too_long)])
    return RadioField(item.text, choices=_labels(item.answers), coerce=whole, validators=[validator])


def _labels(answers: Mapping[int, Any]) -> list[tuple[int, Any]]:
    return list(answers.items())


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


def screener_form(step: int, draft: Mapping[str, Any]) -> Any:
    """Questions of one page of the screener, word for word; any of them may stay open."""
    items = scales.items(flow.CSSRS)

    class ScreenerForm(FlaskForm):
        pass

    for key in SCREENER_PAGES[step - 1]:
        number = flow.item_of(key)[1]
        text = scales.follow_up(flow.CSSRS) if number == "6b" else items[int(number)].text
        choices = _labels(items[int(number[0])].answers)
        setattr(ScreenerForm, name_of(key), RadioField(text, choices=choices, coerce=whole, validators=[Optional()]))
    return ScreenerForm(data={name_of(key): draft.get(key) for key in SCREENER_PAGES[step - 1]})


def whole(value: Any) -> int | None:
    """A number as a browser sends it; None where nothing was chosen."""
    return None if value in (None, "", "None") else int(value)


# -- by staff -----------------------------------------------------------------------------------------------------------


class PaperForm(FlaskForm):
    """Answers from a sheet of paper; its questions are added by `paper_form`."""

    taken_on = DateField("Filled in on", validators=[InputRequired("Give the date on the sheet.")])
    corrects = HiddenField()


def paper_form(instruments: tuple[str, ...], *, taken_on: date, answers: Mapping[str, Any] | None = None) -> Any:
    """Every question of a check-in on one page, in its order; a question may stay open. English, as staff pages are.

    `answers`: what stands in it at first, by key.
    """

    class Made(PaperForm):
        pass

    for page in flow.pages(instruments):
        for key in page.keys:
            setattr(Made, name_of(key), _field(key, Optional()))
    said = {name_of(key): value for key, value in (answers or {}).items()}
    return Made(data={"taken_on": taken_on, **said})


def paper_answers(form: Any, instruments: tuple[str, ...]) -> dict[str, Any]:
    """What was entered, by key."""
    return {key: form[name_of(key)].data for page in flow.pages(instruments) for key in page.keys}


class AskForm(FlaskForm):
    """Which questionnaires to ask now. `nonce`: a form that is sent twice asks once."""

    instruments = SelectMultipleField(
        "Questions to ask",
        validators=[InputRequired("Choose at least one.")],
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
    nonce = HiddenField(validators=[InputRequired("Load the page again."), Length(max=32)])


class WeeklyForm(FlaskForm):
    """Who wants a course asked every week."""

    reason = StringField(
        "Who asks for it",
        validators=[InputRequired("Say who asks for it."), Length(max=300, message="At most 300 characters.")],
    )
