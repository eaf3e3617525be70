"""A person's treatment history in plain words, as it is stored. For the page that they take to their own doctor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask_babel import format_date, ngettext
from flask_babel import gettext as _

from clinic.eligibility.engine import drugs

HELPED = ("response", "remission")
NOT_ENOUGH = ("none", "partial", "lost_response")
MCG = ("mcg_per_day", "micrograms_per_day")


@dataclass(frozen=True)
class Row:
    """One medicine: every field is words, empty where it does not apply."""

    name: str
    dose: str
    weeks: str
    when: str
    outcome: str
    stopped: str


@dataclass(frozen=True)
class Therapy:
    """One course of talk therapy."""

    kind: str
    sessions: str


@dataclass(frozen=True)
class History:
    """The page's content. `request` is what the person may say to the doctor."""

    medicines: tuple[Row, ...]
    therapies: tuple[Therapy, ...]
    request: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return not self.medicines and not self.therapies


def of_record(record: Mapping[str, Any]) -> History:
    """The history of an intake record."""
    trials = [trial for trial in record.get("trials") or () if trial]
    return History(
        medicines=tuple(_row(trial) for trial in trials),
        therapies=tuple(_therapy(one) for one in record.get("psychotherapy") or () if one),
        request=tuple(request(trials)),
    )


def both_names(entered: str | None) -> str:
    """Brand and generic name together; the text as written where no medicine of that name is known."""
    written = " ".join((entered or "").split())
    if not written:
        return str(_("A medicine without a name"))
    drug = drugs.identify(written).drug
    if drug is None:
        return written
    plain = written.casefold()
    brand = next((each for each in drug.brands if each.casefold() == plain), None)
    if brand is not None:
        return f"{brand} ({drug.name})"
    if drug.name.casefold() not in plain:
        return f"{written} ({drug.name})"
    return f"{written} ({drug.brands[0]})" if drug.brands else written


def _row(trial: Mapping[str, Any]) -> Row:
    return Row(
        name=_name(trial),
        dose=dose(trial),
        weeks=weeks(trial),
        when=when(trial),
        outcome=outcome(trial),
        stopped=stopped(trial),
    )


def _name(trial: Mapping[str, Any]) -> str:
    name, form = both_names(trial.get("drug")), " ".join((trial.get("formulation") or "").split())
    if form and form.casefold() not in name.casefold():
        name = f"{name}, {form}"
    if trial.get("role") == "add_on":
        return str(_("%(name)s, added to another medicine", name=name))
    return name


def number(value: Any) -> str:
    """`6`, or `4 to 7` where it is not known exactly; empty where nothing is known."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        low, high = (f"{each:g}" for each in value)
        return low if low == high else str(_("%(low)s to %(high)s", low=low, high=high))
    return f"{value:g}"


def _unit(trial: Mapping[str, Any]) -> str:
    drug = drugs.identify(trial.get("drug") or "").drug if trial.get("drug") else None
    if drug is not None and drug.dose_unit == "mg_per_24_hours_patch":
        return "patch"
    if drug is not None and ("mcg" in drug.dose_unit or "micro" in drug.dose_unit):
        return "mcg"
    return "mg"


def _amount(value: Any, unit: str) -> str:
    amount = number(value)
    if unit == "patch":
        return str(_("%(amount)s mg in 24 hours", amount=amount))
    if unit == "mcg":
        return str(_("%(amount)s mcg a day", amount=amount))
    return str(_("%(amount)s mg a day", amount=amount))


def dose(trial: Mapping[str, Any]) -> str:
    """The dose, or its steps in order."""
    unit, steps = _unit(trial), trial.get("steps") or ()
    if steps:
        return ", ".join(_step(step, unit) for step in steps)
    if trial.get("dose_mg_per_day") is None:
        return str(_("not sure"))
    return _amount(trial["dose_mg_per_day"], unit)


def _step(step: Mapping[str, Any], unit: str) -> str:
    amount = _amount(step["dose"], unit) if step.get("dose") is not None else str(_("not sure"))
    if step.get("dose") == 0:
        amount = str(_("none"))
    if step.get("weeks") is None:
        return amount
    return str(_("%(amount)s for %(weeks)s weeks", amount=amount, weeks=number(step["weeks"])))


def weeks(trial: Mapping[str, Any]) -> str:
    """How long: at the dose, and in all."""
    at_dose, in_all = number(trial.get("weeks_at_dose")), number(trial.get("weeks"))
    if at_dose and in_all and at_dose != in_all:
        return str(_("%(at_dose)s weeks at this dose, %(in_all)s in all", at_dose=at_dose, in_all=in_all))
    if at_dose or in_all:
        return str(_("%(weeks)s weeks", weeks=at_dose or in_all))
    return str(_("not sure"))


def when(trial: Mapping[str, Any]) -> str:
    """First and last day as far as they are known."""
    first, last = day(trial.get("started_on")), day(trial.get("stopped_on"))
    if trial.get("stopped_reason") == "ongoing":
        return str(_("since %(day)s", day=first)) if first else str(_("now"))
    if first and last:
        return str(_("%(first)s to %(last)s", first=first, last=last))
    if first:
        return str(_("from %(day)s", day=first))
    return str(_("until %(day)s", day=last)) if last else ""


def day(partial: str | None) -> str:
    """`2024`, `March 2024` or `March 4, 2024`, as exactly as it is known."""
    parts = [int(part) for part in (partial or "").split("-") if part]
    if not parts:
        return ""
    if len(parts) == 1:
        return str(parts[0])
    if len(parts) == 2:
        return str(format_date(date(parts[0], parts[1], 1), _("MMMM yyyy")))
    return str(format_date(date(*parts), "long"))


def outcome(trial: Mapping[str, Any]) -> str:
    """What it did."""
    words = {
        "none": _("Did not help"),
        "partial": _("Helped a little"),
        "response": _("Helped a lot"),
        "remission": _("Low mood went away"),
        "lost_response": _("Helped, then stopped helping"),
    }
    return str(words.get(trial.get("outcome") or "", _("not sure")))


def stopped(trial: Mapping[str, Any]) -> str:
    """Why it was stopped."""
    words = {
        "inefficacy": _("It did not help enough"),
        "side_effects": _("Side effects"),
        "cost": _("Cost"),
        "other": _("Another reason"),
        "ongoing": _("Still taking it"),
    }
    found = str(words.get(trial.get("stopped_reason") or "", ""))
    effect = " ".join((trial.get("side_effect") or "").split())
    return f"{found}: {effect}" if effect and trial.get("stopped_reason") == "side_effects" else found


def _therapy(one: Mapping[str, Any]) -> Therapy:
    count = one.get("sessions")
    return Therapy(
        kind=therapy_kind(one.get("type")),
        sessions=ngettext("%(num)s visit", "%(num)s visits", count) if count is not None else str(_("not sure")),
    )


def therapy_kind(kind: str | None) -> str:
    """The kind of talk therapy as people call it."""
    known = {
        "cbt": _("CBT (thoughts and habits)"),
        "dbt": _("DBT (strong feelings)"),
        "ipt": _("IPT (people close to you)"),
        "other": _("Another kind of talk therapy"),
    }
    written = " ".join((kind or "").split())
    return str(known.get(written.casefold(), written or _("Talk therapy, kind not sure")))


def request(trials: Sequence[Mapping[str, Any]]) -> list[str]:
    """A plain request to the doctor, with the counts of the stored rows."""
    tried = [trial for trial in trials if trial.get("purpose") in (None, "depression")]
    count = len({_ingredient(trial) for trial in tried})
    if not count:
        return [str(_("I would like to talk about what could help with my depression."))]
    years = sorted(str(trial["started_on"])[:4] for trial in tried if trial.get("started_on"))
    not_enough = len({_ingredient(trial) for trial in tried if trial.get("outcome") in NOT_ENOUGH})
    if years:
        lines = [
            ngettext(
                "I have tried %(num)s medicine for depression since %(year)s.",
                "I have tried %(num)s medicines for depression since %(year)s.",
                count,
                year=years[0],
            )
        ]
    else:
        lines = [
            ngettext(
                "I have tried %(num)s medicine for depression.", "I have tried %(num)s medicines for depression.", count
            )
        ]
    if not_enough:
        lines.append(
            ngettext(
                "%(num)s of them did not help enough.",
                "%(num)s of them did not help enough.",
                not_enough,
            )
        )
    lines.append(
        str(
            _(
                "I would like to talk about what could come next. That may be TMS, a ketamine treatment, "
                "a second medicine or talk therapy. Or you may send me to a doctor who treats this often."
            )
        )
    )
    return lines


def _ingredient(trial: Mapping[str, Any]) -> str:
    written = " ".join((trial.get("drug") or "?").split())
    drug = drugs.identify(written).drug
    return drug.id if drug is not None else written.casefold()
