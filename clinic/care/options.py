"""Ways of treatment as patients read them: plain words, what visits are like, and figures with the study behind each.

The numbers and where they come from are the tables of `clinic/eligibility/knowledge`; nothing here ranks. Lists are in the
alphabet's order of the page's language.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import quote_plus

from flask_babel import gettext as _

from clinic.eligibility.engine import knowledge

TABLE = "options.yaml"
REFERRABLE = ("ect", "emerging", "psychotherapy_augmentation", "esketamine", "iv_ketamine", "tms")  # by us to others
EMERGING = "emerging"


@dataclass(frozen=True)
class Source:
    """Where a figure comes from. `sure`: seen, recalled, or document for the articles that started the project."""

    key: str
    title: str
    by: str
    year: int | None
    sure: str
    url: str

    @property
    def short(self) -> str:
        """`Sackeim and others, 2020`; the project's articles by their letter."""
        if self.sure == "document":
            return str(_("Article %(letter)s", letter=self.key[-1].upper()))
        return f"{self.by.split(',')[0].split(';')[0]}, {self.year}" if self.year else self.title


@dataclass(frozen=True)
class Figure:
    """One figure in words; `kind` says what sort of study it is."""

    measure: str
    text: str
    kind: str
    source: Source
    sure: str  # seen, or recalled: named from memory and not read again
    numbers: tuple[float, ...]


@dataclass(frozen=True)
class Option:
    """One way of treatment. Texts are in the language of the request."""

    id: str
    name: str
    what: str
    how_often: str
    each_visit: str
    may_notice: str
    sleep: str  # sleep medicine (anesthesia)
    drive: str
    side_effects: tuple[str, ...]
    label: str = ""  # what the FDA says of it, where that matters
    good_to_know: tuple[str, ...] = ()
    gives: str = "clinic"
    is_bookable: bool = False
    figures: tuple[Figure, ...] = field(default=())

    @property
    def studies(self) -> list[tuple[Source, list[Figure]]]:
        """Its figures by study, in the table's order."""
        found: dict[str, list[Figure]] = {}
        for figure in self.figures:
            found.setdefault(figure.source.key, []).append(figure)
        return [(figures[0].source, figures) for figures in found.values()]


@cache
def _shown() -> dict[str, Any]:
    table: dict[str, Any] = knowledge.read_yaml(knowledge.FOLDER / TABLE)
    return table


@cache
def _raw() -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in knowledge.treatment_options()["options"]}


@cache
def _display() -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in _shown()["options"]}


@cache
def sources() -> dict[str, Source]:
    """Every source that the tables name, by key."""
    found = {}
    for key, row in knowledge.treatment_options()["sources"].items():
        sure = "document" if key.startswith("document_") else "seen" if row["verified"] == "seen" else "recalled"
        words = quote_plus(f"{row['title'].split(':')[0]} {row['organisation'].split(',')[0].split(' and ')[0]}")
        url = "" if sure == "document" else f"https://pubmed.ncbi.nlm.nih.gov/?term={words}"
        found[key] = Source(key, row["title"], _authors(row["organisation"]), row["year"], sure, url)
    return found


def _authors(by: str) -> str:
    """The people before the journal: `Neuropsychopharmacology (Saelens and others)` names them in brackets."""
    return f"{by.split('(')[1].rstrip(')')}, {by.split(' (')[0]}" if "(" in by else by


def ids() -> tuple[str, ...]:
    """Every option, those that cannot be booked here included."""
    return (*_raw(), EMERGING)


def sorted_by_name(options: Iterable[Option]) -> list[Option]:
    """In the alphabet's order of the page, accents and capitals aside."""
    return sorted(options, key=lambda option: _plain(option.name))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFD", text).encode("ascii", "ignore").decode().casefold()


def catalogue(only: Iterable[str] | None = None) -> list[Option]:
    """The options, or those named, A to Z."""
    wanted = set(only) if only is not None else set(ids())
    return sorted_by_name(_option(key) for key in ids() if key in wanted)


def names() -> dict[str, str]:
    """Name of every option by id, A to Z."""
    return {option.id: option.name for option in catalogue()}


def _option(key: str) -> Option:
    words = _words()[key]
    shown = _display().get(key, {})
    return Option(
        id=key,
        gives=str(shown.get("gives", "referral")),
        is_bookable=bool(_raw().get(key, {}).get("bookable", False)),
        figures=tuple(_figures(key)),
        **words,
    )


# -- figures ----------------------------------------------------------------------------------------------------------


def suppressed(key: str) -> list[str]:
    """Figures that no page shows beside this option."""
    return [str(value) for value in _display().get(key, {}).get("suppressed", [])]


def _figures(key: str) -> list[Figure]:
    found = []
    rows = {row["what"]: row for row in _raw().get(key, {}).get("literature_figures", [])}
    for shown in _display().get(key, {}).get("figures", []):
        row = rows[shown["what"]]
        numbers = [shown["with"], shown["without"]] if "without" in shown else [shown["with"]]
        flat = tuple(float(value) for number in numbers for value in (number if isinstance(number, list) else [number]))
        sure = "seen" if row["verified"] == "seen" else "recalled"
        words = (shown["measure"], _sentence(shown), _kind(row["kind"]))
        found.append(Figure(*words, sources()[row["src"]], sure, flat))
    return found


def _sentence(shown: Mapping[str, Any]) -> str:
    many = _people(shown["with"])
    words = (
        _("Response: %(many)s of 100 people", many=many)
        if shown["measure"] == "response"
        else _("Remission: %(many)s of 100 people", many=many)
    )
    if "hours" in shown:
        words = _("%(figure)s after %(hours)s hours", figure=words, hours=shown["hours"])
    elif "days" in shown:
        words = _("%(figure)s after %(days)s days", figure=words, days=shown["days"])
    elif "weeks" in shown:
        words = _("%(figure)s after %(weeks)s weeks", figure=words, weeks=shown["weeks"])
    elif "months" in shown:
        words = _("%(figure)s after %(months)s months", figure=words, months=shown["months"])
    if "without" not in shown:
        return f"{words}."
    other = _people(shown["without"])
    against = {
        "dummy": _("%(figure)s; %(other)s of 100 with a dummy treatment.", figure=words, other=other),
        "usual_care": _("%(figure)s; %(other)s of 100 with usual care.", figure=words, other=other),
        "other_medicine": _("%(figure)s; %(other)s of 100 with another medicine.", figure=words, other=other),
        "ect": _("%(figure)s; %(other)s of 100 with ECT.", figure=words, other=other),
        "ketamine": _("%(figure)s; %(other)s of 100 with ketamine.", figure=words, other=other),
    }
    return str(against[shown["against"]])


def _people(number: Any) -> str:
    if isinstance(number, list):
        low, high = (round(float(value)) for value in number)
        return str(_("%(low)s to %(high)s", low=low, high=high))
    return str(_("about %(many)s", many=round(float(number)))) if number != int(number) else str(int(number))


def _kind(kind: str) -> str:
    return str(
        {
            "open_label": _("Everyday care. There was no group to compare with, so some may have got better anyway."),
            "rct": _("Trial. Chance chose who got what."),
            "rct_small": _("Small trial. Chance chose who got what."),
            "randomised_no_sham": _("Trial of two kinds of it. Nobody got a dummy treatment."),
            "randomised_open": _("Trial. Chance chose who got what, and people knew what they got."),
            "meta_analysis": _("Many trials put together."),
            "nma": _("Many trials held against each other."),
            "trials": _("Trials with people who were very unwell."),
        }[kind]
    )


# -- words ------------------------------------------------------------------------------------------------------------


def _words() -> dict[str, dict[str, Any]]:
    awake, yourself = _("None. You stay awake."), _("Yes, on your own")
    ride = _("No. Bring a ride.")
    return {
        "tms": {
            "name": _("TMS (magnetic pulses)"),
            "what": _(
                "You sit in a chair, awake. A coil near your head sends short magnetic pulses. There is no needle."
            ),
            "how_often": _("Weekdays for about 6 weeks, then fewer: 36 visits in about 9 weeks"),
            "each_visit": _("15 to 50 minutes"),
            "may_notice": _("2 to 4 weeks"),
            "sleep": awake,
            "drive": yourself,
            "side_effects": (
                _("Headache and a sore scalp are common. They fade for most people."),
                _("Muscles may twitch during the pulses. You wear ear plugs."),
                _("A seizure is rare."),
            ),
            "label": _("FDA-cleared for depression in adults."),
            "good_to_know": (
                _("It can go on beside medicine and talk therapy."),
                _("A review of 69 trials found it better than a dummy treatment."),
            ),
        },
        "esketamine": {
            "name": _("Esketamine nasal spray"),
            "what": _(
                "You spray a medicine into your nose at the clinic. A nurse stays near and checks your blood pressure."
            ),
            "how_often": _("Twice a week for 4 weeks, then once a week or less: 12 visits in 8 weeks"),
            "each_visit": _("At least 2 hours"),
            "may_notice": _("Hours to 4 weeks"),
            "sleep": awake,
            "drive": _("No, not until the next day. Bring a ride."),
            "side_effects": (
                _("You may feel far away, dizzy, sleepy or sick for an hour or two."),
                _("Blood pressure goes up for a while."),
                _("It can be misused. Long use can hurt the bladder."),
            ),
            "label": _(
                "FDA-approved for some kinds of depression in adults. It is given only at clinics that signed up for it."
            ),
            "good_to_know": (_("It can go on beside a tablet and talk therapy."),),
        },
        "iv_ketamine": {
            "name": _("Ketamine by drip"),
            "what": _(
                "A low dose of an old sleep medicine goes into a vein while you lie back. A nurse stays with you."
            ),
            "how_often": _("About 6 visits in 3 weeks, then more for some people"),
            "each_visit": _("About 2 hours"),
            "may_notice": _("Hours to 2 weeks"),
            "sleep": _("None. The dose is too low to put you to sleep."),
            "drive": ride,
            "side_effects": (
                _("You may feel far away or sick. Blood pressure goes up for a while."),
                _("For many people it fades after days or weeks."),
                _("It can be misused. Long use can hurt the bladder."),
            ),
            "label": _("Not FDA-approved for depression. Doctors may still give it."),
            "good_to_know": (_("Insurance often does not pay for it."),),
        },
        "ect": {
            "name": _("ECT (a short seizure while you sleep)"),
            "what": _(
                "A doctor puts you to sleep. A small current then causes a short seizure. You wake up a few minutes later."
            ),
            "how_often": _("2 or 3 times a week: 6 to 12 visits"),
            "each_visit": _("Some hours, most of them for waking up"),
            "may_notice": _("1 to 4 weeks"),
            "sleep": _("Yes, full sleep each time."),
            "drive": ride,
            "side_effects": (
                _("It can trouble memory. For most people this gets better with time."),
                _("Headache and sore muscles."),
                _("Sleep medicine has risks of its own."),
            ),
            "good_to_know": (
                _("It is used when depression is very severe. It can be the first choice then."),
                _("We do not give it. A doctor refers you."),
            ),
        },
        "augmentation": {
            "name": _("Adding a second medicine"),
            "what": _("You keep your medicine, and your doctor adds one more to it."),
            "how_often": _("About 3 visits in 6 weeks"),
            "each_visit": _("A usual doctor's visit"),
            "may_notice": _("2 to 6 weeks"),
            "sleep": awake,
            "drive": yourself,
            "side_effects": (
                _("Some of these medicines bring weight, sugar or restless legs and arms."),
                _("Lithium needs blood tests for the level, the thyroid and the kidneys."),
            ),
            "good_to_know": (_("It can go on beside TMS, esketamine or talk therapy."),),
        },
        "class_switch": {
            "name": _("Changing to another medicine"),
            "what": _("You stop one medicine, step by step, and start one of another kind."),
            "how_often": _("A few visits over 4 to 8 weeks"),
            "each_visit": _("A usual doctor's visit"),
            "may_notice": _("4 to 8 weeks"),
            "sleep": awake,
            "drive": yourself,
            "side_effects": (
                _("They differ from medicine to medicine. Ask about yours."),
                _("Some changes need days or weeks without either medicine."),
            ),
            "good_to_know": (
                _("In one large trial, a change within one kind did as well as a change to another kind."),
            ),
        },
        "psychotherapy_augmentation": {
            "name": _("Talk therapy, beside your treatment"),
            "what": _(
                "You learn skills with a trained therapist. CBT is about thoughts, DBT about strong feelings, IPT about people close to you."
            ),
            "how_often": _("Once a week: 12 to 20 visits"),
            "each_visit": _("About 50 minutes"),
            "may_notice": _("6 to 12 weeks"),
            "sleep": awake,
            "drive": yourself,
            "side_effects": (_("It takes time. It can be hard to talk about sad things."),),
            "good_to_know": (
                _(
                    "A review found that it helps when it is added to a treatment. It did not show that it helps more in place of one."
                ),
            ),
        },
        "pharmacogenetic_testing": {
            "name": _("Gene test for medicines"),
            "what": _("A swab from your cheek shows how fast your body breaks down some medicines."),
            "how_often": _("One swab and one talk about the result"),
            "each_visit": _("Some minutes"),
            "may_notice": _("It is a test and no treatment"),
            "sleep": awake,
            "drive": yourself,
            "side_effects": (_("None from the swab."),),
            "good_to_know": (
                _("It can help to find a dose. It cannot say which treatment will help you."),
                _("In trials the gain was small."),
            ),
        },
        "lifestyle": {
            "name": _("Sleep, exercise and daily life"),
            "what": _("Small steps for sleep, moving, eating, stress and time with people."),
            "how_often": _("As often as it fits your week"),
            "each_visit": _("Your own time"),
            "may_notice": _("It differs"),
            "sleep": awake,
            "drive": yourself,
            "side_effects": (_("Few. Start small."),),
            "good_to_know": (_("It is rarely enough alone. It can make other treatments stronger."),),
        },
        EMERGING: {
            "name": _("New treatments in studies"),
            "what": _(
                "Some treatments are still being tested, such as ones that act on swelling in the body, or mushroom compounds given with talk therapy."
            ),
            "how_often": _("Each study says so"),
            "each_visit": _("Each study says so"),
            "may_notice": _("Not known"),
            "sleep": _("Each study says so"),
            "drive": _("Each study says so"),
            "side_effects": (_("Not all of them are known. That is why they are tested."),),
            "good_to_know": (
                _("We do not give them. A doctor can help you find a study."),
                _(
                    "One of them, minocycline, did better than a dummy treatment in a review of trials. It is not usual care."
                ),
            ),
        },
    }


# -- what the two documents say --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Quote:
    """A figure in plain words for the guide. `claims` come from the project's two articles, which are no studies."""

    id: str
    text: str
    sources: tuple[Source, ...]


def quotes() -> dict[str, Quote]:
    """The guide's figures by id, as they are before the clinic writes its own."""
    words = {
        "how_common": _(
            "About 3 in 10 people who take medicine for depression are in this place. A US study of 2021 says 31 of 100. "
            "Others count in other ways and say 6 to 44."
        ),
        "how_often_tablets": _(
            "The first medicine brings remission for about a third of people, a large US trial found. "
            "An article for patients speaks of 35 to 43 of 100 for whom tablets work, which mixes response and remission."
        ),
        "later_steps": _("The same trial found that each later medicine helps fewer people than the one before."),
        "tablets_effect": _(
            "How big is the effect of tablets? Experts use a number, the effect size. For tablets it is about 0.30. That is small."
        ),
        "ketamine_effect": _(
            "An article for patients gives 1.48 for ketamine treatments. We did not find where that comes from. "
            "It was not measured in the same way as the 0.30, so the two cannot be held against each other."
        ),
        "trials_69": _(
            "A review of 2024 put 69 trials with 10,285 people and 25 treatments side by side. Six did better than a dummy "
            "treatment: ECT, two kinds of TMS, ketamine, aripiprazole and minocycline. Minocycline is not usual care."
        ),
        "therapy_added": _(
            "Talk therapy added to a medicine: six trials with 635 people found that remission is nearly twice as likely. "
            "Another review, of 22 comparisons, found an effect of 0.42."
        ),
        "cbt_effect": _(
            "An article for patients gives 1.58 for CBT added to a medicine. We did not find where that comes from, and it is far from other "
            "studies. We do not use it."
        ),
        "tms_help": _(
            "Two articles for patients say that TMS helps 40 to 60 of 100 people and that about a third reach remission. "
            "Everyday care gives figures like these. Trials with a dummy treatment give lower ones."
        ),
        "ect_help": _(
            "An article for patients says that ECT helps 70 to 80 of 100 people. That fits people who are very unwell; others do less well."
        ),
    }
    return {
        row["id"]: Quote(row["id"], words[row["id"]], tuple(sources()[key] for key in row["src"]))
        for row in _shown()["quotes"]
    }


def document_figures() -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Figures of the two articles by option, word for word: (option id, name, [(what, quoted)])."""
    found = []
    for option in catalogue():
        row, shown = _raw().get(option.id, {}), _display().get(option.id, {})
        given = row.get("document_figures", {})
        lines = [(name.replace("_", " "), str(given[name])) for name in shown.get("document_figures", [])]
        if lines:
            found.append((option.id, option.name, lines))
    return found
