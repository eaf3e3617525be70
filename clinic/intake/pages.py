"""The form's pages: their order, their part of nine, and which of them apply to a person. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

Values = Mapping[str, Any]  # answers of one page as they were typed: text, or a list of texts
Pages = Mapping[str, Values]

PARTS = 9
REVIEW = "review"
MEDICINES = "medicines"
SAFETY = "safety"
PHQ9_ITEMS = 9
GAD7_PAGES = {1: (1, 2, 3, 4), 2: (5, 6, 7)}  # items by page
PTSD_PAGES = {1: (1, 2, 3), 2: (4, 5)}
PRIVATE = ("alcohol", "substances", "mind", "life", "family")  # who will read the answer stands above the question
CHILDBEARING = range(12, 56)  # ages at which the pregnancy questions are asked
THERAPIES = ("cbt", "ipt", "dbt", "other", "not_sure")

# Yes or no questions of the safety screens, by page. The names are those of the intake record.
SCREENS: dict[str, tuple[str, ...]] = {
    "implants": ("metal_in_head", "cochlear_implant", "pacemaker_or_icd", "vns_or_dbs"),
    "devices": ("aneurysm_clip_coil", "infusion_pump", "scalp_tattoo_piercing", "prior_mri_problem"),
    "head": ("seizure_history", "stroke_or_brain_lesion", "head_injury", "family_epilepsy"),
    "body": ("fainting", "hearing_tinnitus", "eating_disorder", "prior_tms"),
    "alcohol": ("alcohol",),
    "substances": ("stimulants_drugs", "benzodiazepine_change", "current_substance_use", "substance_use"),
    "mind": ("psychosis_now", "psychosis_history", "mania_now", "bipolar_mania"),
    "vessels": ("aneurysmal_disease", "avm", "intracerebral_haemorrhage", "hypersensitivity"),
    "heart": ("hypertensive_or_cv_disease", "respiratory"),
    "pills": ("cns_depressants", "stimulants_maoi", "nasal"),
    "health": ("bladder", "raised_intraocular_pressure_or_thyrotoxicosis"),
    "pregnancy": ("pregnant", "breastfeeding"),
}


@dataclass(frozen=True)
class Page:
    """One page of the form; `title` is the words beside the part's number."""

    key: str
    part: int
    title: str
    heading: str = ""


_PAGES = (
    Page("about", 1, "About you", "About you"),
    Page("contact", 1, "About you", "How can we reach you?"),
    Page("cover", 1, "About you", "Your insurance"),
    Page("brings", 2, "What brings you", "What brings you here?"),
    *(Page(f"phq9-{n}", 3, "The last two weeks") for n in range(1, PHQ9_ITEMS + 1)),
    Page("cssrs-1", 3, "More questions", "In the past month"),
    Page("cssrs-2", 3, "More questions", "In the past month"),
    Page("cssrs-3", 3, "More questions", "At any time in your life"),
    Page("difficulty", 3, "The last two weeks"),
    *(Page(f"gad7-{n}", 3, "Worry") for n in GAD7_PAGES),
    Page("ptsd", 3, "Hard events"),
    *(Page(f"ptsd-{n}", 3, "Hard events") for n in PTSD_PAGES),
    Page(MEDICINES, 4, "Medicines", "Medicines you have tried"),
    Page("taking", 4, "Medicines", "What else do you take now?"),
    Page("therapy", 5, "Talk therapy", "Talk therapy"),
    *(Page(f"therapy-{kind}", 5, "Talk therapy") for kind in THERAPIES),
    Page("treatments", 5, "Treatments", "Other treatments"),
    Page("implants", 6, "Safety", "Metal and implants"),
    Page("devices", 6, "Safety", "More on metal and devices"),
    Page("head", 6, "Safety", "Your head and brain"),
    Page("body", 6, "Safety", "Your body"),
    Page("alcohol", 7, "Health", "Alcohol"),
    Page("substances", 7, "Health", "Drugs and sleeping pills"),
    Page("mind", 7, "Health", "Your mind"),
    Page("thyroid", 7, "Health", "Your thyroid"),
    Page("sleep", 7, "Health", "Your sleep"),
    Page("conditions", 7, "Health", "Pain and other illness"),
    Page("vessels", 7, "Health", "Blood vessels"),
    Page("heart", 7, "Health", "Heart and breathing"),
    Page("pills", 7, "Health", "Pills and sprays"),
    Page("health", 7, "Health", "Liver, bladder, eyes"),
    Page("pregnancy", 7, "Health", "Pregnancy"),
    Page("life", 7, "Your life", "Your life"),
    Page("family", 7, "Your life", "Your family"),
    Page("times", 8, "Times, places", "When could you come?"),
    Page("away", 8, "Times, places", "Days you will be away"),
    Page("places", 8, "Times, places", "Which place is best?"),
    Page("consents", 9, "Your say", "What may we do with this?"),
    Page("messages", 9, "Your say", "How may we write to you?"),
)
PAGES: dict[str, Page] = {page.key: page for page in _PAGES}

# One question, or a person's safety: the last answer counts, a second tab is not asked about it.
LAST_ANSWER_COUNTS = frozenset(key for key in PAGES if key.startswith(("phq9-", "cssrs-"))) | {SAFETY}


def age_on(born: date, day: date) -> int:
    """Full years on `day`."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def item9(pages: Pages) -> int:
    """The answer to item 9 of the PHQ-9; 0 where it was not given."""
    answer = (pages.get("phq9-9") or {}).get("answer")
    return int(answer) if answer in ("1", "2", "3") else 0


def applies(key: str, pages: Pages, age: int | None) -> bool:
    """Whether this person is asked this page."""
    if key.startswith("cssrs-"):
        if (pages.get(SAFETY) or {}).get("next") != "questions":
            return False
        return key != "cssrs-2" or (pages.get("cssrs-1") or {}).get("item2") == "1"
    if key.startswith("therapy-"):
        therapy = pages.get("therapy") or {}
        return therapy.get("had") == "yes" and key.removeprefix("therapy-") in (therapy.get("kinds") or ())
    if key == "difficulty":
        return any((pages.get(f"phq9-{n}") or {}).get("answer") in ("1", "2", "3") for n in range(1, PHQ9_ITEMS + 1))
    if key.startswith("ptsd-"):
        return (pages.get("ptsd") or {}).get("gate") == "1"
    if key == "away":
        return bool((pages.get("times") or {}).get("away") or any((pages.get("away") or {}).values()))
    if key == "pregnancy":
        return (pages.get("about") or {}).get("sex") != "male" and (age is None or age in CHILDBEARING)
    return True


def flow(pages: Pages, age: int | None) -> list[str]:
    """Keys of the pages that this person is asked, in order."""
    return [key for key in PAGES if applies(key, pages, age)]


def after(key: str, pages: Pages, age: int | None) -> str:
    """The page that follows; the review after the last one."""
    order = list(PAGES)
    rest = order[order.index(key) + 1 :]
    return next((each for each in rest if applies(each, pages, age)), REVIEW)


def before(key: str, pages: Pages, age: int | None) -> str | None:
    """The page that comes before; None at the first."""
    order = list(PAGES)
    return next((each for each in reversed(order[: order.index(key)]) if applies(each, pages, age)), None)


def medicine_steps(answers: Values) -> list[int]:
    """The short pages of one medicine, in order: how much, what came of it, what is left; 4: how the dose changed."""
    return [1, 4, 2, 3] if answers.get("at_dose") == "changed" else [1, 2, 3]
