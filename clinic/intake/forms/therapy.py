"""Part 5: talk therapy and other treatments."""

from collections.abc import Iterator

from flask_babel import lazy_gettext as _
from wtforms import (
    SelectMultipleField,
)
from wtforms.fields import Field
from wtforms.validators import ValidationError

from clinic.intake import record
from clinic.intake.forms.base import (
    CHOOSE,
    NOT_SURE,
    YES_NO,
    PageForm,
    Row,
    choices_of,
    dates_row,
    line,
    months,
    not_sure,
    one_of,
    years,
    yes_no,
)

THERAPY_NAMES = {
    "cbt": _("CBT (cognitive behavioral therapy)"),
    "ipt": _("IPT (interpersonal therapy)"),
    "dbt": _("DBT (dialectical behavior therapy)"),
    "other": _("Another kind"),
    "not_sure": _("Not sure which kind"),
}


class TherapyForm(PageForm):
    had = one_of(_("Have you had talk therapy for this?"), YES_NO)
    kinds = SelectMultipleField(
        _("Which kind?"),
        choices=choices_of(THERAPY_NAMES),
        description=_("Tick all that you had."),
        invalid_choice_message=CHOOSE,
    )
    other_kind = line(_("If another kind: what was it called?"))
    cls = {"had": "row"}
    follow = {"kinds": ("had", "yes")}
    folds = {"kinds": ("had", "yes"), "other_kind": ("kinds", "other")}
    optional = frozenset({"other_kind"})


class TherapyKindForm(PageForm):
    """One kind of talk therapy."""

    sessions = line(_("About how many sessions in all?"), _("Like 12 or 8-10."), longest=60)
    sessions_not_sure = not_sure()
    from_month, from_year = months(), years()
    to_month, to_year = months(), years()
    dates_not_sure = not_sure()
    trained = one_of(_("Was the therapist trained in this kind?"), YES_NO)
    helped = one_of(
        _("Did it help?"),
        {
            "no": _("No"),
            "little": _("A little"),
            "lot": _("A lot"),
            "going_on": _("I am still in it"),
            "not_sure": NOT_SURE,
        },
    )
    therapist = line(_("Who was the therapist?"), _("You can leave this empty."))
    cls = {"trained": "row", "helped": "row two"}
    width = {"sessions": "short"}
    single = frozenset({"sessions_not_sure", "from_month", "from_year", "to_month", "to_year", "dates_not_sure"})
    optional = frozenset({"therapist"})

    def validate_sessions(self, field: Field) -> None:
        if field.data and record.count_of(field.data) is None:
            raise ValidationError(_("Write a number, like 12, or two, like 8-10. Or tick Not sure."))

    def validate_to_year(self, field: Field) -> None:
        ends = []
        for name in ("from", "to"):
            parts = {f"{name}_{part}": self[f"{name}_{part}"].data or "" for part in ("month", "year")}
            ends.append(record.month_of(parts, name))
        if not self.dates_not_sure.data and record.is_backwards(*ends):
            raise ValidationError(_("The end is before the start. Please look at the years."))

    def rows(self) -> Iterator[Row]:
        yield self.row(self.sessions)
        yield dates_row(self)
        yield self.row(self.trained)
        yield self.row(self.helped)
        if self.therapist.data:
            yield self.row(self.therapist)


class TreatmentsForm(PageForm):
    ect = yes_no(
        _("Have you had ECT in this time of feeling low?"), _("ECT is a short electric treatment while you sleep.")
    )
    cls = {"ect": "row"}
