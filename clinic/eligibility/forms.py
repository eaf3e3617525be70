"""The decision form: shape only."""

from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, RadioField, TextAreaField
from wtforms.validators import InputRequired, Length

from clinic.eligibility.models import DecisionKind, Pathway

PATHWAY_WORDS = {Pathway.TMS: "TMS", Pathway.ESKETAMINE: "Esketamine", Pathway.IV_KETAMINE: "IV ketamine"}
DECISION_WORDS = {
    DecisionKind.APPROVE: "Suits this patient",
    DecisionKind.ASK: "Ask for more first",
    DecisionKind.DECLINE: "Not this treatment now",
}


class DecisionForm(FlaskForm):
    """A prescriber's decision on one pathway."""

    pathway = RadioField(
        "Treatment",
        choices=[(str(key), word) for key, word in PATHWAY_WORDS.items()],
        validators=[InputRequired("Choose a treatment.")],
    )
    decision = RadioField(
        "Decision",
        choices=[(str(key), word) for key, word in DECISION_WORDS.items()],
        validators=[InputRequired("Choose a decision.")],
    )
    reason = TextAreaField("Reason, in your words", validators=[Length(max=4000, message="At most 4000 characters.")])
    override = BooleanField("I approve although the verdict is not 'likely eligible'")
    assessment_id = HiddenField()
