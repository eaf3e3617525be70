"""The short form of missing facts: an input for every kind of fact, in the words of the intake."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, SelectMultipleField, TextAreaField
from wtforms.fields import Field as FormField
from wtforms.fields import SelectChoice
from wtforms.validators import Length, ValidationError
from wtforms.widgets import CheckboxInput, ListWidget

from clinic.eligibility import answers, naming
from clinic.eligibility.answers import MAX_NAMES, SEVERITIES
from clinic.eligibility.asking import MAX_NOTE, Question, input_name, values_of
from clinic.eligibility.engine import drugs
from clinic.intake import record
from clinic.intake.forms import (
    FORMS,
    NOT_SURE,
    THERAPY_NAMES,
    YES_NO,
    BringsForm,
    DoseForm,
    HealthForm,
    LastForm,
    OutcomeForm,
    PageForm,
    Row,
    TherapyForm,
    line,
    months,
    not_sure,
    one_of,
    years,
    yes_no,
)
from clinic.intake.questions import QUESTIONS

MAX_WEIGHT = 4  # questions on a page

# Yes or no questions of the record that no page of the intake asks under that name.
OTHER_QUESTIONS: Mapping[str, tuple[Any, Any]] = {
    "aneurysm_or_avm": (
        _("Were you ever told you have an aneurysm or an AVM?"),
        _("A weak, wide spot in a blood vessel, or a tangle of vessels."),
    ),
}
# Above these stands who will read the answer, as above the same pages of the intake.
PRIVATE = frozenset(
    {"current_substance_use", "substance_use", "stimulants_drugs", "alcohol", "audit_c", "psychosis_now"}
    | {"psychosis_history", "current_mania", "mania_now", "bipolar_mania", "psychotic_features"}
)
GRAVE = frozenset({"psychosis", "mania", "cssrs"})  # kinds whose answer may open the safety card
SEVERITY_WORDS = dict(
    zip(
        SEVERITIES,
        ("Below a full episode", "Mild", "Moderate", "Severe, without psychosis", "Severe, with psychosis"),
        strict=True,
    )
)
RANGE_FAULT = _("Write a number, like 6, or two, like 4-7. Or tick Not sure.")


class Part(NamedTuple):
    """A question, or what of a long one stands on a page. `inputs` are unbound fields by part of their name."""

    number: int
    question: Question
    inputs: Mapping[str, Any]
    weight: int = 1


class Step(NamedTuple):
    """One page: questions about one medicine, or about something else."""

    parts: tuple[Part, ...]
    about: str = ""  # the medicine, brand and generic together

    @property
    def fields(self) -> list[str]:
        """The names of the page's inputs."""
        return [input_name(part.number, name) for part in self.parts for name in part.inputs]

    @property
    def is_grave(self) -> bool:
        """Whether an answer on this page may call for a person."""
        return any(
            part.question.field.kind in GRAVE or part.question.field.name == "psychosis_now" for part in self.parts
        )


# -- inputs by kind -------------------------------------------------------------------------------------------------


def _choice(answer: Any) -> Mapping[str, Any]:
    return {"answer": answer}


def _unsure(answer: Any) -> Mapping[str, Any]:
    return {"answer": answer, "not_sure": not_sure()}


def _yes_no(question: Question) -> Mapping[str, Any]:
    name = question.field.name
    return _choice(yes_no(*(QUESTIONS.get(name) or OTHER_QUESTIONS.get(name) or (question.asked, ""))))


def _drug(question: Question) -> Mapping[str, Any]:
    near = {name: name for name in drugs.nearest(question.name)}
    other = {"answer": one_of(_("Which medicine was it?"), near | {"other": _("Another one"), "not_sure": NOT_SURE})}
    named = line(_("If another one: what does the bottle say?"), longest=record.MAX_DRUG)
    return (other if near else {}) | {"other": named}


def _month(question: Question) -> Mapping[str, Any]:
    asked = {
        "started_on": _("About when did you start it?"),
        "stopped_on": _("About when did you stop it?"),
    }[question.field.name]
    return {"at_month": months(asked), "at_year": years(), "not_sure": not_sure()}


def _bp(question: Question) -> Mapping[str, Any]:
    heart = FORMS["heart"]
    return {"upper": heart.systolic, "lower": heart.diastolic, "not_sure": not_sure()}


def _trials(question: Question) -> Mapping[str, Any]:
    names = {f"name{n}": line(_("Medicine %(n)s", n=n + 1), longest=record.MAX_DRUG) for n in range(MAX_NAMES)}
    return names | {"none": BooleanField(_("I have not taken any"), false_values=("", "false", "0"))}


def _psychotherapy(question: Question) -> Mapping[str, Any]:
    return {
        "answer": TherapyForm.had,
        "therapy": one_of(_("If yes: which kind?"), THERAPY_NAMES),
        "sessions": line(_("About how many sessions in all?"), _("Like 12 or 8-10."), longest=60),
    }


_INPUTS: Mapping[str, Any] = {
    "drug": _drug,
    "dose": lambda question: _unsure(DoseForm.dose),
    "weeks": lambda question: _unsure(DoseForm.weeks),
    "weeks_at_dose": lambda question: _unsure(
        line(_("For about how many weeks did you take that dose?"), _("Like 8 or 4-7. You can write 6 months too."))
    ),
    "month": _month,
    "adherence": lambda question: _choice(LastForm.missed),
    "outcome": lambda question: _choice(OutcomeForm.outcome),
    "stopped": lambda question: _choice(OutcomeForm.stopped),
    "this_episode": lambda question: _choice(LastForm.this_episode),
    "use": lambda question: _choice(OutcomeForm.use),
    "trials": _trials,
    "diagnosis": lambda question: _choice(BringsForm.diagnosis),
    "psychosis": lambda question: _choice(yes_no(*QUESTIONS["psychosis_now"])),
    "mania": lambda question: _choice(yes_no(*QUESTIONS["mania_now"])),
    "ect": lambda question: _choice(FORMS["treatments"].ect),
    "yes_no": _yes_no,
    "age": lambda question: _unsure(line(_("How old are you?"), inputmode="numeric", longest=3)),
    "sex": lambda question: _choice(FORMS["about"].sex),
    "psychotherapy": _psychotherapy,
    "bp": _bp,
    "liver": lambda question: _choice(HealthForm.liver_impairment),
    "mdq": lambda question: _choice(one_of("Is the mood disorder questionnaire positive?", YES_NO)),
    "severity": lambda question: _choice(
        one_of("How severe is the episode, as you rate it?", SEVERITY_WORDS | {"not_sure": "Cannot tell yet"})
    ),
}
CLS = {
    "adherence": "row two",
    "this_episode": "row",
    "yes_no": "row",
    "psychosis": "row",
    "mania": "row",
    "ect": "row",
    "mdq": "row",
    "sex": "row two",
    "liver": "row two",
    "psychotherapy": "row",
}


def parts_of(number: int, question: Question) -> list[Part]:
    """A question as it stands on pages: the screeners are long, so they take pages of their own."""
    kind = question.field.kind
    if kind == "audit_c":
        alcohol = FORMS["alcohol"]
        return [Part(number, question, {f"audit{n}": getattr(alcohol, f"audit{n}") for n in (1, 2, 3)}, MAX_WEIGHT)]
    if kind == "cssrs":
        return [Part(number, question, dict(_cssrs(page)), MAX_WEIGHT) for page in ("cssrs-1", "cssrs-2", "cssrs-3")]
    inputs = _INPUTS[kind](question)
    return [Part(number, question, inputs, MAX_WEIGHT if kind in ("trials", "psychotherapy") else 1)]


def _cssrs(page: str) -> Iterator[tuple[str, Any]]:
    for name in answers.CSSRS:
        if hasattr(FORMS[page], name):
            yield name, getattr(FORMS[page], name)


def steps_of(questions: Sequence[Question]) -> list[Step]:
    """The pages, at most four questions each; those about one medicine stand together."""
    found: list[list[Part]] = []
    ordered = sorted(enumerate(questions), key=lambda each: (each[1].field.trial is None, each[1].field.trial or 0))
    for number, question in ordered:
        for part in parts_of(number, question):
            last = found[-1] if found else []
            fits = sum(each.weight for each in last) + part.weight <= MAX_WEIGHT
            if last and fits and last[0].question.field.trial == question.field.trial:
                last.append(part)
            else:
                found.append([part])
    return [Step(tuple(parts), naming.named(parts[0].question.name).shown) for parts in found]


def applies(step: Step, kept: Mapping[str, Any]) -> bool:
    """Whether a page is asked, given the answers so far: the screener's items 3 to 5 follow a yes to item 2."""
    first = step.parts[0]
    if first.question.field.kind != "cssrs" or "item4" not in first.inputs:
        return True
    return values_of(first.number, kept).get("item2") == "1"


# -- the form of a page ---------------------------------------------------------------------------------------------


class AnswersForm(PageForm):
    """The inputs of some questions; `blocks` says how they are drawn."""

    parts: Sequence[Part] = ()

    def input(self, part: Part, name: str) -> FormField:
        """An input of a question."""
        return self[input_name(part.number, name)]

    def blocks(self) -> list[dict[str, Any]]:
        """Each question with its inputs by name, for the template."""
        return [
            {
                "kind": part.question.field.kind,
                "name": part.question.field.name,
                "inputs": {name: self.input(part, name) for name in part.inputs},
                "cls": CLS.get(part.question.field.kind, ""),
            }
            for part in self.parts
        ]

    def validate(self, extra_validators: Any = None) -> bool:
        """Whether every answer that was given can be read; a question may stay open."""
        is_sound = super().validate(extra_validators)
        for part in self.parts:
            values = values_of(part.number, {field.name: field.data for field in self})
            for name, fault in _faults(part, values, self.today):
                field = self.input(part, name)
                field.errors = [*field.errors, fault]
                is_sound = False
        return is_sound

    def rows(self) -> Iterator[Row]:
        for part in self.parts:
            for name in part.inputs:
                if name != "not_sure":
                    yield self.row(self.input(part, name))


def _faults(part: Part, values: Mapping[str, Any], today: date) -> Iterator[tuple[str, Any]]:
    """What cannot be read, by input. An answer that is not sure is never at fault."""
    kind, said = part.question.field.kind, values.get("answer")
    if values.get("not_sure"):
        return
    if (kind == "dose" and said and record.dose_of(said) is None) or (
        kind in ("weeks", "weeks_at_dose") and said and record.weeks_of(said) is None
    ):
        yield "answer", RANGE_FAULT
    elif kind == "age" and said and record.whole_of(said, 1, 120) is None:
        yield "answer", _("Write your age in years, like 46.")
    elif kind == "bp" and (values.get("upper") or values.get("lower")):
        if record.blood_pressure({"systolic": values.get("upper"), "diastolic": values.get("lower")}) is None:
            yield "upper", _("Write both numbers, the higher one first, like 120 and 80. Or tick Not sure.")
    elif kind == "month":
        if values.get("at_month") and not values.get("at_year"):
            yield "at_month", _("Please choose the year too, or tick Not sure.")
        month = record.month_of(values, "at")
        if month and month > f"{today:%Y-%m}"[: len(month)]:
            yield "at_month", _("This month is still to come. Please look at the year.")
    elif kind == "psychotherapy" and values.get("sessions") and record.count_of(values.get("sessions")) is None:
        yield "sessions", _("Write a number, like 12, or two, like 8-10.")
    elif kind == "drug" and said == "other" and not values.get("other"):
        yield "other", _("Write a name. A best guess is fine.")


def form_of(parts: Sequence[Part], formdata: Any, *, today: date) -> AnswersForm:
    """The form of these questions."""
    fields = {input_name(part.number, name): field for part in parts for name, field in part.inputs.items()}
    made: type[AnswersForm] = type("AnswersForm", (AnswersForm,), fields | {"parts": tuple(parts)})
    return made(formdata, today=today)


# -- staff ----------------------------------------------------------------------------------------------------------


class AskForm(FlaskForm):
    """Which missing facts are sent to the patient, with a line of the sender's own."""

    fields = SelectMultipleField(
        "Questions", choices=[], widget=ListWidget(prefix_label=False), option_widget=CheckboxInput()
    )
    note = TextAreaField(
        "Your own words above the questions",
        validators=[Length(max=MAX_NOTE, message=f"At most {MAX_NOTE} characters.")],
    )
    replaces = HiddenField()

    def __init__(self, choices: Sequence[tuple[str, str]], **values: Any) -> None:
        super().__init__(**values)
        self.fields.choices = [SelectChoice(value, label) for value, label in choices]

    def validate_fields(self, field: FormField) -> None:
        if not field.data:
            raise ValidationError("Tick at least one question.")
