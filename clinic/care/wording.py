"""Words that a released page never shows a patient. Pure.

The clinician's summary says what counted and why not, in plain words. Verdicts on a treatment, a payer's answer, scores of
how resistant an illness is, what was found about safety or substances, and words that lay a lack of help on the person
stay on the clinic's side. The lists are checked whatever the language, since a line may mix them.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple


class Found(NamedTuple):
    """A word that may not be shown: as it is written, and why not."""

    word: str
    why: str


WORDS: dict[str, tuple[str, ...]] = {
    "a verdict on a treatment": (
        r"(?:in|un)?eligib\w+",
        r"not yet",
        r"needs? review",
        r"contra-?indicat\w+",
        r"qualif\w+",
        r"candidate",
        r"undetermined",
        r"treatment[- ]resistan\w+",
        r"resistant depression",
        r"TRD",
        r"(?:in|no )?elegib\w+",
        r"contraindicad\w*|contraindicaci\w+",
        r"candidat[oa]",
        r"resistente al tratamiento|depresión resistente",
    ),
    "a payer's verdict": (
        r"(?<!fda-)(?<!fda )(?:pre-?|dis)?approv\w+",
        r"denied|denial",
        r"(?:pre-?)?authori[sz]\w+",
        r"criteri(?:a|on)",
        r"not met",
        r"medical(?:ly)? necess\w+",
        r"(?:aprobad|denegad|rechazad|autorizad)[oa]s?",
        r"autorizaci\w+",
        r"criterios?",
    ),
    "a staging score": (
        r"maudsley",
        r"thase",
        r"athf\w*",
        r"dm-trd",
        r"staging",
        r"stages? (?:\d|[ivx]+\b)",
        r"scores?|scored",
        r"puntajes?|puntuaci\w+|estadio",
        r"phq-?\d?|madrs|ham-?d\w*|qids\S*|bdi\S*",
    ),
    "a finding about substances": (
        r"alcohol\w*|drinking|drinks?",
        r"substances?|sustancias?",
        r"drug (?:use|abuse|misuse|test\w*)|drogas?",
        r"cannabis|marijuana|marihuana|cocaine|cocaína|opioids?|opioides?|heroin|heroína|amphetamine\w*|stimulants?",
        r"addict\w*|adicci\w+|audit(?:-c)?|dast\S*",
    ),
    "a finding about safety": (
        r"suicid\w*",
        r"self[- ]harm\w*|autolesi\w+",
        r"c-?ssrs|item 9",
        r"psychosis|psychotic\w*|psicosis|psicótic\w+",
        r"mania|manic|hypomani\w*|manía|maníac\w+",
        r"bipolar\w*",
        r"seizures?|epilep\w+|convulsi\w+",
        r"aneurysms?|aneurismas?|stroke|derrame cerebral",
        r"pacemaker|marcapasos|cochlear|implants?|implantes?|metal",
        r"pregnan\w+|embaraz\w+",
        r"liver|hígado|blood pressure|presión arterial",
        r"lesions?|lesión|tumou?rs?",
        r"risk|riesgo",
    ),
    "a word that lays it on the person": (
        r"fail\w*",
        r"non-?complian\w+|noncomplian\w+",
        r"non-?adheren\w+|poor adherence|inadequate\w*",
        r"refus(?:ed|es|al)",
        r"should have|must have",
        r"fracas\w+|fallid[oa]s?|incumpl\w+|inadecuad[oa]s?|se negó",
    ),
}
_RULES = [
    (re.compile(rf"(?<![\w])(?:{words})(?![\w])", re.IGNORECASE), why)
    for why, group in WORDS.items()
    for words in group
]


def forbidden(text: str) -> list[Found]:
    """Every word of a text that may not be shown, in the order of the text."""
    hits = sorted((hit.start(), hit[0], why) for rule, why in _RULES for hit in rule.finditer(text))
    return [Found(word, why) for _place, word, why in hits]


def first_forbidden(lines: Iterable[tuple[str, str]]) -> dict[str, Found]:
    """The first word of each (key, text) that may not be shown, by key; lines without one are left out."""
    return {key: found[0] for key, text in lines if (found := forbidden(text))}
