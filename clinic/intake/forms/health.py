"""Parts 6 and 7: safety questions, health, life."""

from collections.abc import Iterator
from typing import Any

from flask_babel import lazy_gettext as _
from wtforms import (
    SelectMultipleField,
)
from wtforms.fields import Field
from wtforms.validators import ValidationError

from clinic.intake import pages, record
from clinic.intake.forms.base import (
    CHOOSE,
    NOT_SURE,
    PageForm,
    Row,
    choices_of,
    labels_of,
    line,
    month_words,
    months,
    not_sure,
    one_of,
    text,
    years,
    yes_no,
)
from clinic.intake.questions import QUESTIONS
from clinic.web import scales

MORE = {"more": ("", "yes")}  # room for words, after any yes of the page


def _screen_fields(key: str) -> dict[str, Any]:
    return {name: yes_no(*QUESTIONS[name]) for name in pages.SCREENS[key]}


def screen_form(key: str, **more: Any) -> type[PageForm]:
    """The page's yes or no questions, in their order, then `more`, then room for words."""
    fields = _screen_fields(key) | more | {"more": text(_("If you said yes: tell us more"), _("You can skip this."))}
    cls = {name: "row" for name, field in fields.items() if name != "more"}
    drawn = {"cls": cls, "optional": frozenset({"more"}), "folds": MORE}
    return type(f"{key.title()}Form", (PageForm,), fields | drawn)


def alcohol_form() -> type[PageForm]:
    items = scales.items("audit_c")
    audit = {f"audit{n}": one_of(items[n].text, labels_of(items[n].answers)) for n in (1, 2, 3)}
    return type("AlcoholForm", (PageForm,), audit | _screen_fields("alcohol") | {"cls": {"alcohol": "row"}})


class HeartForm(PageForm):
    hypertensive_or_cv_disease = yes_no(*QUESTIONS["hypertensive_or_cv_disease"])
    respiratory = yes_no(*QUESTIONS["respiratory"])
    systolic = line(_("Upper number"), longest=10, inputmode="numeric")
    diastolic = line(_("Lower number"), longest=10, inputmode="numeric")
    bp_not_sure = not_sure()
    more = text(_("If you said yes: tell us more"), _("You can skip this."))
    cls = {"hypertensive_or_cv_disease": "row", "respiratory": "row"}
    single = frozenset({"systolic", "diastolic", "bp_not_sure"})
    optional = frozenset({"more"})
    folds = MORE

    def validate_systolic(self, field: Field) -> None:
        upper, lower = field.data or "", self.diastolic.data or ""
        if self.bp_not_sure.data or not (upper or lower):
            return
        if record.blood_pressure({"systolic": upper, "diastolic": lower}) is None:
            raise ValidationError(_("Write both numbers, the higher one first, like 120 and 80. Or tick Not sure."))

    def rows(self) -> Iterator[Row]:
        yield self.row(self.hypertensive_or_cv_disease)
        yield self.row(self.respiratory)
        unsure = bool(self.bp_not_sure.data)
        said = "/".join(filter(None, (self.systolic.data, self.diastolic.data)))
        yield Row(str(_("Blood pressure")), str(NOT_SURE) if unsure else said or None, is_unsure=unsure)
        if self.more.data:
            yield self.row(self.more)


class HealthForm(PageForm):
    liver_impairment = one_of(
        _("Liver trouble, by what a doctor said?"),
        {
            "none": _("No"),
            "mild": _("A little"),
            "moderate": _("Somewhat"),
            "severe": _("A lot"),
            "not_sure": NOT_SURE,
        },
    )
    bladder = yes_no(*QUESTIONS["bladder"])
    raised_intraocular_pressure_or_thyrotoxicosis = yes_no(*QUESTIONS["raised_intraocular_pressure_or_thyrotoxicosis"])
    more = text(_("If you said yes: tell us more"), _("You can skip this."))
    optional = frozenset({"more"})
    folds = {"more": ("", "yes", "mild", "moderate", "severe")}
    cls = {
        "liver_impairment": "row two",
        "bladder": "row",
        "raised_intraocular_pressure_or_thyrotoxicosis": "row",
    }


class ThyroidForm(PageForm):
    problem = yes_no(_("Is or was your thyroid too slow or too fast?"))
    tested = yes_no(_("Was your thyroid ever tested?"), _("A blood test."))
    result = one_of(
        _("If yes: what did the test show?"),
        {"normal": _("Normal"), "abnormal": _("Not normal"), "not_sure": NOT_SURE},
    )
    test_month, test_year = months(), years()
    dates_not_sure = not_sure()
    cls = {"problem": "row", "tested": "row", "result": "row"}
    single = frozenset({"test_month", "test_year", "dates_not_sure"})
    follow = {"result": ("tested", "yes")}
    folds = dict.fromkeys(("result", "test_month", "test_year", "dates_not_sure"), ("tested", "yes"))

    def validate_test_year(self, field: Field) -> None:
        month = record.month_of({"test_year": field.data or "", "test_month": self.test_month.data or ""}, "test")
        if month and month > f"{self.today:%Y-%m}"[: len(month)]:
            raise ValidationError(_("This month is still to come. Please look at the year."))

    def rows(self) -> Iterator[Row]:
        yield from super().rows()
        if self.tested.data == "yes":
            unsure, when = bool(self.dates_not_sure.data), month_words(self, "test")
            yield Row(str(_("Tested when")), str(NOT_SURE) if unsure else when or None, is_unsure=unsure)


class SleepForm(PageForm):
    insomnia = yes_no(_("Is it hard to fall asleep or stay asleep?"))
    hours = line(_("About how many hours of sleep a night?"), _("Like 6 or 5-7."), longest=20)
    hours_not_sure = not_sure()
    gasping = yes_no(_("Loud snoring, or waking up gasping for air?"))
    cls = {"insomnia": "row", "gasping": "row"}
    width = {"hours": "short"}
    single = frozenset({"hours_not_sure"})

    def validate_hours(self, field: Field) -> None:
        if field.data and record.hours_of(field.data) is None:
            raise ValidationError(_("Write a number up to 24, like 6, or two, like 5-7. Or tick Not sure."))


class ConditionsForm(PageForm):
    pain = yes_no(_("Pain on most days?"))
    lowering = yes_no(
        _("Did your mood drop after you began some medicine?"),
        _("Like steroids, acne pills, blood pressure pills, birth control."),
    )
    lowering_which = line(_("If yes: which one?"), _("You can skip this."))
    illness = text(_("Any other illness that lasts?"), _("Like diabetes or lupus."))
    cls = {"pain": "row", "lowering": "row"}
    follow = {"lowering_which": ("lowering", "yes")}
    folds = follow
    optional = frozenset({"lowering_which", "illness"})


class LifeForm(PageForm):
    """Skippable as a whole; nothing of it is an input to a verdict."""

    weighs = SelectMultipleField(
        _("Does something in your life weigh on you?"),
        choices=choices_of(
            {
                "money": _("Work, school or money"),
                "home": _("Home, or where I live"),
                "people": _("Partner, family or friends"),
                "loss": _("A loss"),
                "past": _("Something bad that happened to me"),
                "care": _("I take care of someone"),
                "nothing": _("No, nothing much"),
                "not_sure": _("Not sure, or rather not say"),
            }
        ),
        description=_("Tick what fits. You can skip all of it."),
        invalid_choice_message=CHOOSE,
    )
    words = text(_("Anything else to tell us?"), _("In your own words. You can skip this."))
    optional = frozenset({"words"})


class FamilyForm(PageForm):
    """Free text and a yes or no about a test; never an input to a verdict."""

    relatives = text(
        _("Has someone in your family had depression or bipolar?"),
        _("Who, and what helped them, if you know."),
    )
    gene_test = yes_no(_("Have you had a gene test about medicines?"), _("A swab of the cheek, or blood."))
    cls = {"gene_test": "row"}
    optional = frozenset({"relatives"})
