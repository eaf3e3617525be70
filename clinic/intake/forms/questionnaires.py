"""Part 3: the last two weeks, by questionnaires, word for word."""

from typing import Any

from flask_babel import lazy_gettext as _

from clinic.intake.forms.base import PageForm, labels_of, one_of
from clinic.web import scales

SKIP_OR_CHOOSE = _("Choose one answer, or skip this one for now.")


def phq9_form(number: int) -> type[PageForm]:
    item = scales.items("phq9")[number]
    answer = one_of(item.text, labels_of(item.answers), required=SKIP_OR_CHOOSE)
    return type(f"Phq9Form{number}", (PageForm,), {"answer": answer})


def cssrs_form(*numbers: int) -> type[PageForm]:
    items = scales.items("cssrs")
    fields: dict[str, Any] = {f"item{n}": one_of(items[n].text, labels_of(items[n].answers)) for n in numbers}
    if 6 in numbers:
        fields["recent"] = one_of(scales.follow_up("cssrs"), labels_of(items[6].answers), _("Only if you said yes."))
    drawn = {"cls": dict.fromkeys(fields, "row two"), "follow": {"recent": ("item6", "1")}}
    return type("CssrsForm", (PageForm,), fields | drawn)


def gad7_form(*numbers: int) -> type[PageForm]:
    """Items and answers word for word: no "not sure" among them; going on leaves one open."""
    items = scales.items("gad7")
    fields: dict[str, Any] = {f"item{n}": one_of(items[n].text, labels_of(items[n].answers)) for n in numbers}
    return type("Gad7Form", (PageForm,), fields | {"cls": dict.fromkeys(fields, "row two")})


def ptsd_form(*numbers: int) -> type[PageForm]:
    items = scales.items("pcptsd5")
    fields: dict[str, Any] = {f"item{n}": one_of(items[n].text, labels_of(items[n].answers)) for n in numbers}
    return type("PtsdForm", (PageForm,), fields | {"cls": dict.fromkeys(fields, "row two")})


class PtsdGateForm(PageForm):
    gate = one_of(scales.gate("pcptsd5"), labels_of(scales.items("pcptsd5")[1].answers))
    cls = {"gate": "row two"}


def difficulty_form() -> type[PageForm]:
    """The question below the PHQ-9 that is not scored."""
    asked, answers = scales.functional("phq9")
    answer = one_of(asked, {str(n): words for n, words in enumerate(answers)})
    return type("DifficultyForm", (PageForm,), {"answer": answer})


class SafetyForm(PageForm):
    next = one_of(
        _("A few more questions help us know how to help"),
        {"questions": _("Go on with 6 short questions"), "person": _("I would rather talk to a person")},
    )
