"""What a text that came in means. Pure, and never a guess: what no rule reads is a person's to read."""

import re
import unicodedata
from enum import StrEnum
from typing import NamedTuple


class Meaning(StrEnum):
    """What a text says."""

    COMING = "coming"
    LATE = "late"
    CANNOT = "cannot"
    STOP = "stop"
    START = "start"
    HELP = "help"
    UNCLEAR = "unclear"


class Read(NamedTuple):
    """A text as it was read. `language`: that of the word, None where it has none.

    `is_double`: the word may mean a visit too; `is_alarming`: a clinician has to see it.
    """

    meaning: Meaning
    language: str | None = None
    is_double: bool = False
    is_alarming: bool = False


CODES = {"1": Meaning.COMING, "2": Meaning.LATE, "3": Meaning.CANNOT}
# The words that carriers in the United States act on, and the Spanish ones. They must be all that the text says.
WORDS = {
    **dict.fromkeys(
        ("stop", "stopall", "stop all", "unsubscribe", "end", "quit", "optout", "opt out", "revoke"),
        Read(Meaning.STOP, "en"),
    ),
    "cancel": Read(Meaning.STOP, "en", is_double=True),
    **dict.fromkeys(("alto", "parar", "pare", "detener", "baja", "no mas"), Read(Meaning.STOP, "es")),
    **dict.fromkeys(("start", "unstop"), Read(Meaning.START, "en")),
    **dict.fromkeys(("iniciar", "comenzar", "empezar", "alta"), Read(Meaning.START, "es")),
    **dict.fromkeys(("help", "info"), Read(Meaning.HELP, "en")),
    **dict.fromkeys(("ayuda", "informacion"), Read(Meaning.HELP, "es")),
}
_ALARMING = re.compile(
    r"suicid|kill (?:my ?self|me)\b|end (?:my life|it all)|want to die|wanna die|(?:hurt|harm) my ?self|overdos"
    r"|better off dead|matarme|quitarme la vida|quiero morir|me quiero morir|hacerme dano|no quiero vivir|acabar con mi vida"
)


def read(text: str) -> Read:
    """The meaning of a text. A code or a word counts only where nothing else is said."""
    said = _plain(text)
    if said in CODES:
        return Read(CODES[said])
    if said in WORDS:
        return WORDS[said]
    return Read(Meaning.UNCLEAR, is_alarming=_ALARMING.search(said) is not None)


def _plain(text: str) -> str:
    """Letters without accents, digits and single blanks, in lower case."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return " ".join(re.sub(r"[^\w\s]|_", " ", letters).split())
