"""How many minutes of the form are left: what its pages ask, held against the formula of `timing`."""

from collections.abc import Mapping
from datetime import date
from functools import cache

from wtforms import BooleanField, HiddenField, RadioField, SelectField, SelectMultipleField

from clinic.intake import forms, pages, presenter, queries, timing
from clinic.intake.models import Intake
from clinic.intake.queries import EMPTY, Leaf
from clinic.intake.timing import Effort
from clinic.web import i18n

_NAMED = Effort(taps=2, typed=1, pages=0)  # a medicine's name, found in the search, and "add"
_ANY_DAY = date(2026, 1, 1)
# Lines that most people leave: they follow an answer that few give.
_SELDOM = frozenset({"at_dose_weeks", "side_effects", "reason", "drug", "weighs"})
_SELDOM_PAGES = frozenset({"away"})


def minutes_left(intake: Intake, page: str, saved: Mapping[str, Leaf], *, key: str = "", step: int = 0) -> int:
    """Minutes for this page and those that are still to come. `key`, `step`: the medicine's page that is open."""
    answers = {each: leaf.values for each, leaf in saved.items()}
    order = pages.flow(answers, presenter.age(intake, answers))
    rest = order[order.index(page) :] if page in order else order
    efforts = [effort(each, i18n.language()) for each in rest]
    if pages.MEDICINES in rest:
        efforts += _medicines_left(intake, saved, key, step)
    return timing.minutes(efforts)


def _medicines_left(intake: Intake, saved: Mapping[str, Leaf], key: str, step: int) -> list[Effort]:
    """Pages of the medicines that are not done; where the list is not closed, of as many as are typical."""
    rows = queries.trials(intake.id)
    is_listed = saved.get(pages.MEDICINES, EMPTY).is_complete
    unlisted = 0 if is_listed else max(0, timing.TYPICAL_MEDICINES - len(rows))
    found = [effort_of_medicine(n == 0 and not rows) for n in range(unlisted)]
    for row in rows:
        steps = pages.medicine_steps(queries.trial_leaf(row).values)
        left = steps[steps.index(step) :] if row.key == key and step in steps else steps
        if row.key == key or not queries.trial_leaf(row).is_complete:
            found += [effort(f"medicine-{each}", i18n.language()) for each in left]
    return found


def effort_of_medicine(is_first: bool) -> Effort:
    """All short pages of one medicine, its name included; after the first one the words are known."""
    whole = _NAMED
    for step in pages.medicine_steps({}):
        one = effort(f"medicine-{step}", i18n.language())
        whole += one if is_first else one.again()
    return whole


@cache
def effort(page: str, language: str) -> Effort:
    """What a page asks in a language, by its questions. Call it while that language is shown."""
    step = page.removeprefix("medicine-")
    form_class = presenter.STEPS[int(step)] if step != page else forms.FORMS[page]
    form = form_class(None, today=_ANY_DAY)
    made = Effort(words=timing.count_words(pages.PAGES[page].heading) if page in pages.PAGES else 0, taps=1)
    for field in form:
        if not isinstance(field, HiddenField):
            made += _of_field(form, field, is_asked=field.name not in form.optional and page not in _SELDOM_PAGES)
    return made


def _of_field(form: forms.PageForm, field: object, *, is_asked: bool) -> Effort:
    assert hasattr(field, "label")
    assert hasattr(field, "name")
    words = timing.count_words(f"{field.label.text} {getattr(field, 'description', '')}")
    is_asked = is_asked and field.name not in _SELDOM
    if isinstance(field, RadioField | SelectMultipleField):
        words += sum(timing.count_words(str(choice.label)) for choice in field.iter_choices())
        return Effort(words=words, taps=int(is_asked), pages=0)
    if isinstance(field, SelectField):
        return Effort(words=words, taps=int(is_asked), pages=0)
    if isinstance(field, BooleanField):
        return Effort(words=words, pages=0)
    return Effort(words=words, typed=int(is_asked), pages=0)
