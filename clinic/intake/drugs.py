"""What the feature that knows medicines says about a name. It registers at import; without it a name is only a name."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Named:
    """A name as a person wrote it: how it is shown, and what is asked about this medicine beside the rest."""

    shown: str  # brand and generic together
    is_known: bool = True
    forms: tuple[str, ...] = ()  # release forms to choose from, where the name leaves them open
    has_level: bool = False  # a level in the blood may stand for the dose
    near: tuple[tuple[str, str], ...] = ()  # names that look like it: what to write, how it is shown


Lookup = Callable[[str], Named]
_LOOKUPS: list[Lookup] = []


def use(lookup: Lookup) -> None:
    """Let a feature above name medicines."""
    _LOOKUPS[:] = [lookup]


def named(text: str) -> Named:
    """What is known of a name."""
    text = " ".join(text.split())
    return _LOOKUPS[0](text) if _LOOKUPS and text else Named(text)
