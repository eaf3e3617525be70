"""Forms of the review page, the worklist and the policies: shape only."""

from collections.abc import Mapping

from flask_wtf import FlaskForm
from wtforms import BooleanField, DateField, Form, HiddenField, RadioField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional

from clinic.eligibility import words
from clinic.eligibility.models import DecisionKind, OpinionKind, Pathway
from clinic.eligibility.operations import MAX_EVALUATION, MAX_REASON

PATHWAY_WORDS = {Pathway.TMS: "TMS", Pathway.ESKETAMINE: "Esketamine", Pathway.IV_KETAMINE: "IV ketamine"}
DECISION_WORDS = {
    DecisionKind.APPROVE: "Suits this patient",
    DecisionKind.ASK: "Ask for more first",
    DecisionKind.DECLINE: "Not this treatment now",
}
OPINION_WORDS = {
    OpinionKind.AGREE: "I agree",
    OpinionKind.DISAGREE: "I disagree",
    OpinionKind.NEED_MORE: "I need more to say",
}
ANY = ""
ANYONE = "Any prescriber"
NO_PAYER = "none"
SINCE = {"1": "a day or more", "3": "3 days or more", "7": "a week or more", "14": "two weeks or more"}
PATHWAYS = [(str(key), word) for key, word in PATHWAY_WORDS.items()]


def _words(most: int) -> Length:
    return Length(max=most, message=f"At most {most} characters.")


class DecisionForm(FlaskForm):
    """A prescriber's decision on one pathway."""

    pathway = RadioField("Treatment", choices=PATHWAYS, validators=[InputRequired("Choose a treatment.")])
    decision = RadioField(
        "Decision",
        choices=[(str(key), word) for key, word in DECISION_WORDS.items()],
        validators=[InputRequired("Choose a decision.")],
    )
    reason = TextAreaField("Reason, in your words", validators=[_words(MAX_REASON)])
    override = BooleanField("I approve although the verdict is not 'likely eligible'")
    evaluation = TextAreaField("Evaluation that your signature covers", validators=[_words(MAX_EVALUATION)])


class AskOpinionForm(FlaskForm):
    """A question to another prescriber."""

    pathway = SelectField("About", choices=PATHWAYS)
    asked_of = SelectField("Who")
    question = TextAreaField("Your question", validators=[InputRequired("Write the question."), _words(MAX_REASON)])

    def __init__(self, prescribers: Mapping[int, str], *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.asked_of.choices = [(ANY, ANYONE), *((str(key), name) for key, name in prescribers.items())]


class OpinionForm(FlaskForm):
    """The answer to a question of another prescriber."""

    opinion = RadioField(
        "Your opinion",
        choices=[(str(key), word) for key, word in OPINION_WORDS.items()],
        validators=[InputRequired("Choose your opinion.")],
    )
    opinion_reason = TextAreaField("Your reason", validators=[InputRequired("Give your reason."), _words(MAX_REASON)])


class DiagnosisForm(FlaskForm):
    """A change of the diagnosis by a clinician."""

    diagnosis = SelectField("Diagnosis of this episode", choices=list(words.DIAGNOSES.items()))
    diagnosis_reason = TextAreaField(
        "Why it changes", validators=[InputRequired("Say why: it stays on record."), _words(1000)]
    )


class ReassessForm(FlaskForm):
    """The same record, by the rules of today."""

    why = HiddenField("Reason")


class FilterForm(Form):
    """Filters of the worklist, in its address."""

    q = StringField("Record number", validators=[Optional(), Length(max=20)])
    verdict = SelectField("Verdict", choices=[])
    site = SelectField("Site", choices=[])
    since = SelectField("Waiting", choices=[(ANY, "any time"), *SINCE.items()])
    payer = SelectField("Payer", choices=[])
    urgent = BooleanField("Urgent only")


class VerifyForm(FlaskForm):
    """A person read the payer's own text."""

    read_on = DateField("I read the payer's own text on", validators=[InputRequired("Give the day as 2026-11-21.")])
    where = StringField(
        "At", validators=[InputRequired("Say where you read it: the address, or the document."), _words(1000)]
    )
    shown = HiddenField()


class SwitchOffForm(FlaskForm):
    """A policy is taken out of assessments."""

    reason = TextAreaField("Reason", validators=[InputRequired("Give a reason: it stays on record."), _words(1000)])
