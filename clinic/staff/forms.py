"""Shapes of what managers do with accounts, and of a first password."""

from collections.abc import Sequence
from typing import Any

from email_validator import EmailNotValidError, validate_email
from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, PasswordField, SelectField, SelectMultipleField, StringField
from wtforms.validators import InputRequired, Length, Optional, ValidationError
from wtforms.widgets import CheckboxInput, ListWidget

from clinic.staff.administration import MAX_REASON, Grant
from clinic.staff.directory import State
from clinic.staff.models import Role

ROLE_WORDS = {
    Role.FRONT_DESK: "Front desk",
    Role.OPERATOR: "Operator",
    Role.NURSE: "Nurse",
    Role.THERAPIST: "Therapist",
    Role.PRESCRIBER: "Prescriber",
    Role.MANAGER: "Manager",
}
ROLE_NOTES = {
    Role.FRONT_DESK: "books, calls, contacts; no health answers",
    Role.OPERATOR: "runs sessions on the day board",
    Role.NURSE: "observes, reads health answers",
    Role.THERAPIST: "reads health answers, sees their own visits",
    Role.PRESCRIBER: "decides about treatment",
    Role.MANAGER: "settings, accounts, reports of access",
}
SKILL_WORDS = {
    "tms": "TMS sessions",
    "map": "mapping and motor threshold",
    "obs": "watching after ketamine or esketamine",
}
STATE_WORDS = {State.INVITED: "Invited", State.OPEN: "Open", State.LOCKED: "Locked", State.CLOSED: "Closed"}
BOXES = {"widget": ListWidget(prefix_label=False), "option_widget": CheckboxInput()}


class FilterForm(FlaskForm):
    """Read from the address, so without a token."""

    class Meta:
        csrf = False

    q = StringField("Name or email", [Length(max=255)])
    state = SelectField("Account", choices=[("", "any"), *STATE_WORDS.items()], validators=[Optional()])


class GrantForm(FlaskForm):
    """What a person may do, and where. `all_sites` only where who asks has them."""

    roles = SelectMultipleField("Roles", choices=[*ROLE_WORDS.items()], **BOXES)
    all_sites = BooleanField("Every site, later ones too")
    sites = SelectMultipleField("Sites", coerce=int, **BOXES)
    seen = HiddenField()

    def __init__(self, *args: Any, sites: Sequence[tuple[int, str]], may_all: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sites.choices = list(sites)
        if not may_all:
            del self.all_sites

    def validate_roles(self, field: SelectMultipleField) -> None:
        if not field.data:
            raise ValidationError("Choose at least one role.")

    def grant(self) -> Grant:
        """What was chosen."""
        is_all = bool("all_sites" in self and self.all_sites.data)
        return Grant(
            roles=frozenset(self.roles.data or ()),
            location_ids=frozenset() if is_all else frozenset(self.sites.data or ()),
            all_sites=is_all,
        )


class InviteForm(GrantForm):
    """A new colleague."""

    name = StringField("Name", [InputRequired("Write the name."), Length(max=200)])
    email = StringField("Email", [InputRequired("Write the email address."), Length(max=255)])
    skills = SelectMultipleField("Can be planned for", choices=[*SKILL_WORDS.items()], **BOXES)

    def validate_name(self, field: StringField) -> None:
        if not (field.data or "").strip() or not str(field.data).isprintable():
            raise ValidationError("Write the name, in one line.")

    def validate_email(self, field: StringField) -> None:
        try:
            validate_email(str(field.data).strip(), check_deliverability=False, test_environment=True)
        except EmailNotValidError as error:
            raise ValidationError(f"This does not look like an email address: {error}") from None


class AccountForm(FlaskForm):
    """Something done to an account, and why."""

    reason = StringField("Why", [Length(max=MAX_REASON, message=f"Say why, in at most {MAX_REASON} characters.")])


class FirstPasswordForm(FlaskForm):
    """A password for who was invited, or forgot theirs."""

    password = PasswordField("New password", [InputRequired("Choose a password.")])
    again = PasswordField("The same once more", [InputRequired("Write it once more.")])

    def validate_again(self, field: PasswordField) -> None:
        if field.data != self.password.data:
            raise ValidationError("The two are not the same.")
