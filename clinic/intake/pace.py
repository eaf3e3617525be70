"""How many minutes of the form are left: what its pages ask, held against the formula of `timing`."""

from collections.abc import Mapping
from datetime import date
from functools import cache

from wtforms import BooleanField, HiddenField, RadioField, SelectField, SelectMultipleField, TextAreaField
from wtforms.fields import Field

from clinic.intake import forms, operations, pages, presenter, queries, timing
from clinic.intake.models import Intake
from clinic.intake.queries import EMPTY, Leaf
from clinic.intake.timing import Effort
from clinic.web import i18n

_NAMED = Effort(taps=2, typed=1, pages=0)  # a medicine's name, found in the search, and "add"
_ANY_DAY = date(2026, 1, 1)
# Lines that most people leave: they follow an answer that few give.
_SELDOM = frozenset(
    {"side_effects", "side_effect_month", "side_effect_year", "in_the_way", "drug"} | {"phone", "diastolic", "names"}
)
_OFTEN_OPEN = frozenset({"kinds", "records_from"})  # of what stands folded


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


def effort(page: str, language: str) -> Effort:
    """What a page asks in a language, by its questions. Call it while that language is shown."""
    return _efforts(language)[page]


@cache
def _efforts(_language: str) -> dict[str, Effort]:
    """Every page in the form's order: words that stood on a page before are known words."""
    seen: set[str] = set()
    found = {}
    for page in pages.PAGES:
        found[page] = _of_page(page, forms.FORMS[page], seen)
        if page == pages.MEDICINES:
            for step in sorted(presenter.STEPS):
                found[f"medicine-{step}"] = _of_page("", presenter.STEPS[step], seen)
    return found


def _of_page(page: str, form_class: type[forms.PageForm], seen: set[str]) -> Effort:
    form = form_class(None, today=_ANY_DAY)
    made = Effort(words=timing.count_words(pages.PAGES[page].heading) if page else 0)
    for field in form:
        is_folded = field.name in form.folds and field.name not in _OFTEN_OPEN
        if not isinstance(field, HiddenField) and not is_folded:
            is_asked = field.name not in (form.optional | _SELDOM)
            made += _of_field(field, seen, is_asked=is_asked, is_told=page in operations.CONSENTS)
    return made


def _of_field(field: Field, seen: set[str], *, is_asked: bool, is_told: bool) -> Effort:
    """`is_told`: what stands below the question is no hint but what the person is asked about."""
    is_choice = isinstance(field, RadioField | SelectMultipleField)
    read = [str(field.label.text), *([str(field.description)] if is_told else [])]
    passed = [*([] if is_told else [str(field.description)])]
    if is_choice:
        passed += [str(choice.label) for choice in field.iter_choices()]
    words, skimmed = (sum(timing.count_words(text) for text in texts if text not in seen) for texts in (read, passed))
    known = sum(timing.count_words(text) for text in (*read, *passed) if text in seen)
    seen.update(read, passed)
    taps = int(is_asked and (is_choice or isinstance(field, SelectField)))
    written = int(is_asked and not taps and not isinstance(field, BooleanField))
    told = int(bool(written) and isinstance(field, TextAreaField))
    return Effort(words, skimmed, known, taps, written - told, told, pages=0)
