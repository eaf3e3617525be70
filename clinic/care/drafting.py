"""The first draft of a summary, out of a stored assessment. A clinician changes any line before it is released.

Built from the codes of the result, never from its sentences: those are written for clinicians. Nothing about a pathway, a
payer, a stage, substances or safety is read, so nothing of it can get into a draft.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from flask_babel import format_date, ngettext
from flask_babel import gettext as _

from clinic.care import history
from clinic.care.wording import forbidden

COUNTS, DOES_NOT_COUNT, UNCLEAR, NOTED = "counts", "does_not_count", "unclear", "noted"
STATES = (COUNTS, DOES_NOT_COUNT, UNCLEAR, NOTED)
_TRIAL = re.compile(r"trials\[(\d+)\]\.(\w+)")
Line = dict[str, Any]


def build(result: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """Content of a draft in the language of the request: `{opening, lines, missing, options, note}`."""
    lines = lines_of(result, record)
    return {
        "opening": opening(lines),
        "lines": lines,
        "missing": missing(result, record),
        "options": [],
        "note": "",
    }


def state_words() -> dict[str, str]:
    """Words of a line's state."""
    return {
        COUNTS: str(_("Counts")),
        DOES_NOT_COUNT: str(_("Does not count")),
        UNCLEAR: str(_("Not clear so far")),
        NOTED: str(_("On your record")),
    }


def opening(lines: list[Line]) -> str:
    """The first sentences: how many count, and what counting means."""
    tried = [line for line in lines if line["key"].startswith("trial")]
    if not tried:
        return str(_("You have told us of no medicine so far. We can fill that in together."))
    count = sum(line["state"] == COUNTS for line in tried)
    first = ngettext(
        "You told us of %(num)s medicine. Full tries among them: %(count)s.",
        "You told us of %(num)s medicines. Full tries among them: %(count)s.",
        len(tried),
        count=count,
    )
    second = _(
        "A full try means: a full dose, for long enough, on most days, and it still did not help enough. "
        "That is nobody's fault. It tells us where to look next."
    )
    return f"{first} {second}"


def lines_of(result: Mapping[str, Any], record: Mapping[str, Any]) -> list[Line]:
    """One line a past treatment, in the order in which it was told."""
    given = record.get("trials") or []
    found: list[Line] = []
    for place, verdict in enumerate(result.get("trials") or []):
        trial = given[place] if place < len(given) else {}
        state, text = _judged(verdict, result["trials"], given)
        found.append({"key": f"trial {place + 1}", "title": _title(trial, place), "state": state, "text": text})
    for place, one in enumerate(record.get("psychotherapy") or []):
        if one:
            kind, sessions = history.therapy_kind(one.get("type")), one.get("sessions")
            title = kind if sessions is None else f"{kind}, {ngettext('%(num)s visit', '%(num)s visits', sessions)}"
            found.append(
                {
                    "key": f"therapy {place + 1}",
                    "title": _kept(title, str(_("Talk therapy"))),
                    "state": NOTED,
                    "text": str(_("We keep in mind that you did this.")),
                }
            )
    return found


def _title(trial: Mapping[str, Any], place: int) -> str:
    name = _kept(history.both_names(trial.get("drug")), str(_("Medicine %(number)s", number=place + 1)))
    unsure = str(_("not sure"))
    parts = [part for part in (history.dose(trial), history.weeks(trial)) if part != unsure]
    return f"{name}: {', '.join(parts)}" if parts else name


def _kept(text: str, otherwise: str) -> str:
    """The person's own words, unless they hold one that a released page does not show."""
    return otherwise if forbidden(text) else text


def _judged(verdict: Mapping[str, Any], rows: Any, given: Any) -> tuple[str, str]:
    detail = str(verdict.get("detail") or "")
    why = {reason["code"]: reason for reason in reversed(verdict.get("why") or [])}
    if verdict["verdict"] == "adequate":
        return COUNTS, _counted(detail)
    if verdict["verdict"] == "duplicate":
        return DOES_NOT_COUNT, _same_medicine(why, given)
    if detail == "lost_response":
        return UNCLEAR, str(_("It helped at first and then stopped helping. Your doctor looks at this one with you."))
    if verdict["verdict"] == "undetermined":
        return UNCLEAR, _unknown(verdict)
    return DOES_NOT_COUNT, _not_counted(str(verdict["verdict"]), detail, why)


def _counted(detail: str) -> str:
    if detail == "adequate_partial":
        return str(_("You took a full dose for long enough. It helped a little, but not enough."))
    if detail == "low_dose_by_strict_source":
        return str(_("You took it for long enough. The dose was on the low side, and it is still enough to count."))
    return str(_("You took a full dose for long enough, and it did not help enough."))


def _same_medicine(why: Mapping[str, Any], given: Any) -> str:
    first = why.get("duplicate_ingredient", {}).get("of")
    if isinstance(first, int) and first < len(given):
        name = _kept(history.both_names(given[first].get("drug")), "")
        if name:
            return str(_("This is the same medicine as %(name)s. We count it once.", name=name))
    return str(_("This is the same medicine as another one on your list. We count it once."))


def _not_counted(verdict: str, detail: str, why: Mapping[str, Any]) -> str:
    if verdict == "not_counted":
        return _left_out(detail, why)
    if verdict == "responded":
        return str(_("It helped you, so it is no try that did not work. It is good to know what helps."))
    if verdict == "intolerance":
        return str(
            _("You stopped early because of side effects. That was right. We write it down, but it is no full try.")
        )
    if verdict == "inadequate_dose":
        return _low_dose(why.get("inadequate_dose", {}))
    if verdict == "inadequate_duration":
        return _too_short(detail, why)
    if verdict == "inadequate_adherence":
        return str(
            _("Some doses were left out. Most people miss some. So we cannot tell what the full dose does for you.")
        )
    return str(_("Your doctor goes through this one with you."))


def _left_out(detail: str, why: Mapping[str, Any]) -> str:
    if detail == "historic_episode":
        return str(_("You took it in an earlier low time. For now we count the present one."))
    if detail == "contraindicated":
        return str(_("There was a medical reason not to take it."))
    if "add_on" in why or "drug_not_counted" in why:
        return str(
            _("It is a medicine that is added to others, or works in another way. It is not counted on its own.")
        )
    return str(_("You took it for something other than depression."))


def _low_dose(reason: Mapping[str, Any]) -> str:
    least = reason.get("minimum_mg")
    if least is None:
        return str(_("The dose was lower than a full dose."))
    return str(_("The dose was lower than a full dose. A full dose starts at %(least)s mg a day.", least=f"{least:g}"))


def _too_short(detail: str, why: Mapping[str, Any]) -> str:
    if detail == "ongoing_not_yet_adequate":
        on = str(why.get("still_taking", {}).get("on") or "")
        try:
            day = format_date(date.fromisoformat(on), "long")
        except ValueError:
            return str(_("You are still taking it. It needs more time."))
        return str(_("You are still taking it. It will have had enough time on %(day)s.", day=day))
    short = why.get("inadequate_duration", {}).get("shortfall_weeks")
    if isinstance(short, int | float) and short > 0:
        return ngettext(
            "It was a little too short: %(num)s more week would have made it a full try.",
            "It was too short: %(num)s more weeks would have made it a full try.",
            int(short) if short == int(short) else int(short) + 1,
        )
    return str(_("It was too short to tell."))


def _unknown(verdict: Mapping[str, Any]) -> str:
    known = field_words()
    fields = [reason.get("field") for reason in verdict.get("why") or [] if reason.get("field") in known]
    if not fields:
        return str(_("Something is still missing here. Your doctor goes through it with you."))
    names = ", ".join(dict.fromkeys(known[str(each)] for each in fields))
    return str(_("We still need to know: %(facts)s.", facts=names))


def field_words() -> dict[str, str]:
    """Facts about a medicine that may be missing, as people call them."""
    return {
        "drug": str(_("its name")),
        "dose_mg_per_day": str(_("the dose")),
        "weeks_at_dose": str(_("how long you took this dose")),
        "weeks": str(_("how long you took it")),
        "outcome": str(_("how much it helped")),
        "adherence": str(_("how many doses you missed")),
        "stopped_reason": str(_("why you stopped")),
        "in_current_episode": str(_("whether it was in this low time")),
        "purpose": str(_("what you took it for")),
        "role": str(_("whether it was added to another medicine")),
        "formulation": str(_("which form it was")),
        "started_on": str(_("when you started")),
        "stopped_on": str(_("when you stopped")),
        "steps": str(_("how the dose changed")),
    }


def missing(result: Mapping[str, Any], record: Mapping[str, Any]) -> list[Line]:
    """What could still be filled in: by medicine, then the rest without naming any health question."""
    given, known = record.get("trials") or [], field_words()
    by_trial: dict[int, list[str]] = {}
    rest: dict[str, str] = {}
    for ask in result.get("ask") or []:
        found = _TRIAL.match(str(ask.get("field")))
        if found:
            words = known.get(found[2], str(_("a detail")))
            if words not in by_trial.setdefault(int(found[1]), []):
                by_trial[int(found[1])].append(words)
        else:
            rest.setdefault(*_rest(str(ask.get("field"))))
    lines = [
        f"{_title({'drug': (given[place] if place < len(given) else {}).get('drug')}, place)}: {', '.join(names)}"
        for place, names in sorted(by_trial.items())
    ]
    return [{"key": f"missing {number}", "text": text} for number, text in enumerate([*lines, *rest.values()], 1)]


def _rest(field: str) -> tuple[str, str]:
    if field.startswith("psychotherapy"):
        return "therapy", str(_("What kind of talk therapy you had, and how many visits"))
    if field.startswith("payer"):
        return "payer", str(_("Your health plan"))
    if field.startswith("trials"):
        return "trials", str(_("The medicines that you have tried"))
    return "other", str(_("Some health questions, which we go through with you"))
