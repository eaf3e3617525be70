"""From what the patient wrote to a row of the drug table.

A name with one unmistakable slip is read and marked; anything less sure is offered and waits.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import Any, Literal

from clinic.eligibility.engine import knowledge

Kind = Literal["antidepressant", "augmentation", "not_counted"]

_PARENTHESES = re.compile(r"\(([^)]*)\)")
_STRENGTH = re.compile(r"\b\d+(?:[.,]\d+)?\s*(?:mg|mcg|ug|g|milligrams?|micrograms?|ml|%)?(?=$|[^\w])")
_NUMBER = re.compile(r"(?<![\w.,])(\d+(?:[.,]\d+)?)\s*(mg|milligrams?)?(?![\w%])")
_NOT_A_WORD = re.compile(r"[^a-z0-9]+")

_PATCH = frozenset({"patch", "patches", "transdermal"})
_ON_THE_SKIN = frozenset({"topical", "cream"})
_SWALLOWED = frozenset(
    ("oral", "orally", "tab", "tabs", "tablet", "tablets", "cap", "caps", "capsule", "capsules", "pill", "pills", "odt")
)


@dataclass(frozen=True)
class Formulation:
    """One release form or salt whose minimum differs from the drug's own."""

    form: str
    min_dose: float
    words: frozenset[str]


@dataclass(frozen=True, eq=False)
class Drug:
    """One ingredient, one object each. Doses in mg per day; None where no minimum is held."""

    id: str
    name: str
    brands: tuple[str, ...]
    kind: Kind
    drug_class: str
    payer_class: str
    min_dose: float | None
    strict_min: float | None
    usual_max: float | None
    dose_unit: str
    why_not_counted: str | None
    never_counts_when: str | None
    verified: str
    confidence: str
    src: tuple[str, ...]
    tms_flag: bool
    adequate_weeks: float | None = None
    augmentation_class: str | None = None
    formulations: tuple[Formulation, ...] = field(default=())

    @property
    def source(self) -> str:
        """Where the row comes from and how sure it is, in one line."""
        return f"antidepressants {self.id}: {', '.join(self.src)}; {self.verified}, confidence {self.confidence}"


@dataclass(frozen=True, eq=False)
class Match:
    """What a text was found to name: one drug, or none with the nearest names."""

    drug: Drug | None
    product: str | None = None  # a product of the drug that never counts
    suggestions: tuple[str, ...] = ()
    problem: Literal["unknown", "several", "form_unclear", "other_medicine"] | None = None
    words: frozenset[str] = frozenset()  # words of release form found in the text
    read_as: str | None = None  # the name, where one slip of the pen was read over
    strength: float | None = None  # the one number of mg in the text; what it counts is not known
    purpose: str | None = None  # what the text says it was taken for


@dataclass(frozen=True)
class _Words:
    beside: frozenset[str]  # may stand beside a name
    endings: frozenset[str]  # salts and forms, dropped from a name to find its core
    alternatives: frozenset[str]
    also_written: dict[str, list[str]]
    form_words: dict[str, frozenset[str]]
    same: dict[str, str]
    purposes: dict[str, str | None]
    look_alikes: frozenset[str]


@cache
def _words() -> _Words:
    table = knowledge.drug_words()
    endings = frozenset(table["salts"]) | frozenset(table["forms"])
    return _Words(
        beside=endings | frozenset(table["small_words"]),
        endings=endings,
        alternatives=frozenset(table["alternatives"]),
        also_written=table["also_written"],
        form_words={form: frozenset(words) for form, words in table["form_words"].items()},
        same=table["same_word"],
        purposes={
            word: None if purpose == "none" else purpose
            for purpose, words in table["purpose_words"].items()
            for word in words
        },
        look_alikes=frozenset(plain(name) for name in table["look_alikes"]),
    )


def plain(text: str) -> str:
    """Lower case, accents and punctuation gone, one space between words."""
    folded = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().casefold()
    return _NOT_A_WORD.sub(" ", folded.replace("'", "")).strip()


def _plain_text(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text).casefold()
    return plain(_STRENGTH.sub(" ", folded))


def _without_note(name: str) -> str:
    return _PARENTHESES.sub("", name).strip()


def _formulations(row: dict[str, Any]) -> tuple[Formulation, ...]:
    found = []
    for form in row.get("formulations") or ():
        words = _words().form_words.get(form["form"])
        if words is None or "min" not in form:
            continue
        low = form["min"] / 7 if form.get("unit") == "mg_per_week" else form["min"]
        found.append(Formulation(form["form"], float(low), words))
    return tuple(found)


def _antidepressant(row: dict[str, Any]) -> Drug:
    counts = row["counts_as_standard_trial"]
    return Drug(
        id=row["id"],
        name=_without_note(row["generic_name"]),
        brands=tuple(_without_note(brand) for brand in row["brand_names"]),
        kind="antidepressant" if counts else "not_counted",
        drug_class=row["drug_class"],
        payer_class=row["payer_class"],
        min_dose=row.get("checker_default_min"),
        strict_min=row.get("checker_strict_min"),
        usual_max=row.get("label_usual_max"),
        dose_unit=row.get("dose_unit", "mg_per_day"),
        why_not_counted=None if counts else row.get("why_not_counted") or row.get("notes"),
        never_counts_when=row.get("never_counts_when"),
        verified=row["dose_verified"],
        confidence=row["dose_confidence"],
        src=tuple(row["src"]),
        tms_flag=bool(row.get("tms_flag")),
        formulations=_formulations(row),
    )


def _agent(row: dict[str, Any], key: str, name: str) -> Drug:
    return Drug(
        id=key,
        name=name,
        brands=tuple(row["brand_names"]),
        kind="augmentation",
        drug_class=row["augmentation_class"],
        payer_class="not_a_standard_trial",
        min_dose=row["min_dose"],
        strict_min=None,
        usual_max=row["max_dose"],
        dose_unit=row["dose_unit"],
        why_not_counted="an augmenting agent, not a trial of its own",
        never_counts_when=None,
        verified=row["verified"],
        confidence=row["confidence"],
        src=tuple(row["src"]),
        tms_flag=False,
        adequate_weeks=row["adequate_weeks_default"],
        augmentation_class=row["augmentation_class"],
    )


@cache
def table() -> dict[str, Drug]:
    """Every ingredient by its id."""
    source = knowledge.antidepressants()
    found = {row["id"]: _antidepressant(row) for row in source["antidepressants"]}
    for row in source["augmentation_agents"]:
        if row["id"] == "second_antidepressant":
            continue
        names = _without_note(row["generic_name"]).split(", ")
        for name in names:
            key = row["id"] if len(names) == 1 else name
            found[key] = _agent(row, key, name)
    return found


@cache
def others() -> dict[str, Drug]:
    """Known medicines that are neither antidepressants nor augmenting agents, by their ids."""
    source = knowledge.other_medicines()
    return {
        row["name"]: Drug(
            id=row["name"],
            name=row["name"],
            brands=tuple(row["brands"]),
            kind="not_counted",
            drug_class=drug_class,
            payer_class="not_a_standard_trial",
            min_dose=None,
            strict_min=None,
            usual_max=None,
            dose_unit="mg_per_day",
            why_not_counted="no antidepressant",
            never_counts_when=None,
            verified=source["verified"],
            confidence=source["confidence"],
            src=tuple(source["src"]),
            tms_flag=False,
        )
        for drug_class, rows in source["classes"].items()
        for row in rows
    }


@cache
def entry(drug_id: str) -> Drug:
    """The row of any known medicine. Raises KeyError."""
    return table().get(drug_id) or others()[drug_id]


def _names(drug: Drug) -> Iterable[str]:
    yield drug.name
    yield from drug.brands
    yield from _words().also_written.get(drug.id, ())


def _core(name: str) -> str:
    """The name without its salt and release form: `Effexor XR` is `effexor`."""
    words = [word for word in plain(name).split() if word not in _words().endings]
    return " ".join(words)


@cache
def _index() -> dict[str, tuple[Drug, str | None]]:
    """Plain name to drug, and to the product's name where that product never counts."""
    source = knowledge.antidepressants()
    found: dict[str, tuple[Drug, str | None]] = {}
    for drug in (*table().values(), *others().values()):
        for name in _names(drug):
            for key in (plain(name), _core(name)):
                found.setdefault(key, (drug, None))
    for row in source["antidepressants"]:
        for product in row.get("not_counted_products") or ():
            found[plain(product)] = (table()[row["id"]], product)
    found.pop("selegiline", None)
    found.pop("", None)
    return found


@cache
def _longest_name() -> int:
    return max(len(key.split()) for key in _index())


@cache
def _shown() -> dict[str, str]:
    """Plain name to the name to show: a brand with its ingredient in brackets."""
    shown = {}
    for drug in table().values():
        brands = {plain(brand): f"{brand} ({drug.name})" for brand in drug.brands}
        for name in _names(drug):
            key = plain(name)
            shown[key] = brands.get(key, drug.name)
    return shown


def nearest(text: str, limit: int = 3, *, likeness: float = 62) -> tuple[str, ...]:
    """Names of the table that look like the text, best first; for a person to choose from. Likeness in percent."""
    from rapidfuzz import fuzz, process  # only a misspelled name pays for it

    query = _core(text) or plain(text)
    if len(query) < 3:
        return ()
    shown = _shown()
    rows = process.extract(query, list(shown), scorer=fuzz.ratio, score_cutoff=likeness, limit=None)
    return tuple(dict.fromkeys(shown[key] for key, _, _ in rows))[:limit]


_SURE_LENGTH = 6  # a name shorter than this is one slip away from too many words
_LONG = 9  # from here two slips may still be unmistakable
_APART = 2  # how many slips farther off every other medicine with the same beginning must be
_BEGINNING = 3
_FAR = 4  # slips; what is this far off neither is meant nor is a rival


@cache
def _meant_by() -> dict[str, tuple[str, str | None] | None]:
    """Plain name to the medicine, or to the product of it that never counts; None for a look-alike, never read for one."""
    names: dict[str, tuple[str, str | None] | None] = {
        name: (drug.id, product) for name, (drug, product) in _index().items()
    }
    return names | dict.fromkeys(_words().look_alikes)


def _misspelled(written: str) -> str | None:
    """The one name of the table that the text can only be a slip of: far from every other medicine that is known."""
    from rapidfuzz.distance import DamerauLevenshtein  # only a misspelled name pays for it

    slips = DamerauLevenshtein.distance
    near = [(slips(written, key, score_cutoff=_FAR), key, which) for key, which in _meant_by().items()]
    away, key, which = min(near)
    if away > (2 if len(key) >= _LONG else 1) or len(key) < _SURE_LENGTH or which is None:
        return None
    rivals = [(far, name) for far, name, other in near if other != which and far < away + _APART]
    alike = any(far <= away or name[:_BEGINNING] == written[:_BEGINNING] for far, name in rivals)
    return None if alike else key


def _strength(text: str) -> float | None:
    """The one number of mg that stands in a text; None where there is none, or more than one number."""
    found = _NUMBER.findall(unicodedata.normalize("NFKD", text).casefold())
    if len(found) != 1:
        return None
    number = float(found[0][0].replace(",", "."))
    return number if 0 < number <= 2000 else None


def _purpose(words: Iterable[str]) -> str | None:
    """What a text says that it was taken for, where it says one thing."""
    said = {_words().purposes[word] for word in words if word in _words().purposes}
    return said.pop() if len(said) == 1 else None


@lru_cache(maxsize=4096)
def find(text: str) -> Match:
    """The one medicine that a text names: brand or generic, any case, with salt, form, strength or purpose beside it.

    A name with one unmistakable slip is read, and `read_as` says so. A second medicine, another medicine with a
    similar name or an unfamiliar word beside the name is not resolved but reported.
    """
    words = _plain_text(text).split()
    if " ".join(words) in _words().look_alikes:
        near = nearest(text, likeness=50)
        return Match(None, suggestions=near, problem="other_medicine", words=frozenset(words))
    hits, rest = _hits(words)
    seen = frozenset(_words().same.get(word, word) for word in words)
    beside, purposes = _words().beside, _words().purposes
    unclear = [word for word in rest if word not in beside and word not in purposes and not word.isdigit()]
    if "selegiline" in unclear and not hits:
        unclear.remove("selegiline")
        if not unclear:
            return _selegiline(seen)
    read_as = None
    if unclear and not hits and (key := _misspelled(" ".join(unclear))):
        hits, unclear, read_as = [_index()[key]], [], _shown().get(key, key)
    drugs = {drug.id: drug for drug, _ in hits}
    products = [product for _, product in hits if product]
    if len(drugs) > 1 or (drugs and _words().alternatives & set(unclear)):
        return Match(None, suggestions=tuple(drug.name for drug in drugs.values()), problem="several", words=seen)
    if len(drugs) == 1 and not unclear:
        (drug,) = drugs.values()
        if drug.id == "doxepin" and seen & _ON_THE_SKIN:
            products.append("topical doxepin")
        product = products[0] if products else None
        return Match(drug, product, (), None, seen, read_as, _strength(text), _purpose(rest))
    near = tuple(drug.name for drug in drugs.values()) or nearest(text)
    return Match(None, suggestions=near, problem="unknown", words=seen)


def _hits(words: list[str]) -> tuple[list[tuple[Drug, str | None]], list[str]]:
    """The names of the table among the words, longest first, and the words that are left."""
    index = _index()
    hits: list[tuple[Drug, str | None]] = []
    rest: list[str] = []
    at = 0
    while at < len(words):
        for length in range(_longest_name(), 0, -1):
            hit = index.get(" ".join(words[at : at + length]))
            if hit:
                hits.append(hit)
                at += length
                break
        else:
            rest.append(words[at])
            at += 1
    return hits, rest


def known_medicine(text: str) -> Drug | None:
    """The medicine that a text names, also one whose name is near to an antidepressant's; None where unsure."""
    match = find(text)
    if match.problem == "other_medicine":
        hit = _index().get(_plain_text(text))
        return hit[0] if hit else None
    return match.drug


def _selegiline(words: frozenset[str]) -> Match:
    drug = table()["selegiline_transdermal"]
    if words & _PATCH:
        return Match(drug, words=words)
    if words & _SWALLOWED:
        return Match(drug, product="oral selegiline", words=words)
    return Match(None, suggestions=(drug.name, "oral selegiline"), problem="form_unclear", words=words)


@lru_cache(maxsize=4096)
def identify(text: str, formulation: str | None = None) -> Match:
    """As `find`, with the separately entered formulation read too."""
    match = find(text)
    if not formulation:
        return match
    extra = frozenset(_words().same.get(word, word) for word in _plain_text(formulation).split())
    words = match.words | extra
    if match.problem == "form_unclear":
        return _selegiline(words)
    if match.drug and match.drug.id == "selegiline_transdermal" and not match.product and words & _SWALLOWED:
        return Match(None, suggestions=match.suggestions, problem="form_unclear", words=words)
    return replace(match, words=words)


@dataclass(frozen=True, slots=True)
class LabelCap:
    """The highest dose on the label for some people, in mg per day."""

    dose: float
    age_over: int
    liver: frozenset[str]
    source: str


@cache
def label_caps() -> dict[str, LabelCap]:
    return {
        row["drug"]: LabelCap(
            row["max"],
            row["age_over"],
            frozenset(row["liver"]),
            f"drug_rules.label_caps: {', '.join(row['src'])}; {row['verified']}, confidence {row['confidence']}",
        )
        for row in knowledge.drug_rules()["label_caps"]
    }


@cache
def level_windows() -> dict[str, str]:
    """Medicines whose documented level stands for the dose, each with its window."""
    return {row["drug"]: row["window"] for row in knowledge.drug_rules()["levels"]}


@lru_cache(maxsize=4096)
def minimum_dose(match: Match, field_name: str = "checker_default_min") -> tuple[float | None, str | None]:
    """The least adequate dose in mg per day of the drug as named, and the form where that decided it."""
    drug = match.drug
    if drug is None:
        return None, None
    for form in drug.formulations:
        if form.words <= match.words:
            return form.min_dose, form.form
    return drug.strict_min if field_name == "checker_strict_min" else drug.min_dose, None


def search(prefix: str, limit: int) -> list[tuple[str, tuple[str, ...], str]]:
    """Type-ahead over brand and generic names: (ingredient, brands, class), beginnings before the rest."""
    query = plain(prefix)
    if len(query) < 3:
        return []
    ranked = []
    for drug in table().values():
        names = [plain(name) for name in (drug.name, *drug.brands)]
        if any(f" {query}" in f" {name}" for name in names):
            starts = any(name.startswith(query) for name in names)
            ranked.append((not starts, drug.kind != "antidepressant", drug.name, drug.brands, drug.drug_class))
    return [row[2:] for row in sorted(ranked)[:limit]]
