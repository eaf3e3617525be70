"""What the intake's pages are told about a medicine's name."""

from clinic.eligibility.engine import drugs
from clinic.intake.drugs import Named

MOST_NEAR = 3
# Release forms that are told apart where the name leaves them open; the words are read again by the engine.
FORMS = {
    "bupropion": ("ir", "sr", "xl", "hbr"),
    "fluoxetine": ("ir", "weekly"),
    "fluvoxamine": ("ir", "cr"),
    "paroxetine": ("ir", "cr"),
    "venlafaxine": ("ir", "xr", "besylate"),
    "quetiapine_xr": ("ir", "xr"),
}
SELEGILINE = ("patch", "tablet")
_ANY_FORM = frozenset({"ir", "er", "xr", "xl", "sr", "cr", "weekly", "besylate", "hbr", "patch", "extended"})


def named(text: str) -> Named:
    """Brand and generic of a medicine, and what is asked about it alone. A name that is not sure is only offered."""
    match = drugs.find(text)
    if match.problem == "form_unclear":
        return Named(text, forms=SELEGILINE)
    drug = match.drug
    if drug is None:
        return Named(text, is_known=False, near=_near(match))
    forms = () if match.words & _ANY_FORM else FORMS.get(drug.id, ())
    return Named(_shown(text, drug), forms=forms, has_level=drug.id in drugs.level_windows())


def _shown(text: str, drug: drugs.Drug) -> str:
    """`Zoloft (sertraline)`, whichever of the two was written."""
    if drugs.plain(drug.name) not in drugs.plain(text):
        return f"{text} ({drug.name})"
    return (
        f"{text} ({drug.brands[0]})" if drug.brands and drugs.plain(drug.brands[0]) not in drugs.plain(text) else text
    )


def _near(match: drugs.Match) -> tuple[tuple[str, str], ...]:
    return tuple((shown.partition(" (")[0], shown) for shown in match.suggestions[:MOST_NEAR])
