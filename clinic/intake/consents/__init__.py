"""Consent texts: one file each, every version kept with its words. A published text is frozen; a change is a new version."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

KEYS = ("care_team", "records", "email", "sms")
CHANNELS = ("email", "sms")  # their present answer is that of the channel
FALLBACK = "en"
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Text:
    """One version of a consent in one language, as it is shown."""

    key: str
    version: str
    language: str
    title: str
    text: str

    @property
    def digest(self) -> bytes:
        """SHA-256 of the words, with the key: what is stored beside an answer."""
        return hashlib.sha256(f"{self.key}\n{self.title}\n{self.text}".encode()).digest()


@cache
def versions(key: str) -> tuple[Text, ...]:
    """All that was ever shown, oldest first. Raises KeyError for an unknown consent."""
    if key not in KEYS:
        raise KeyError(key)
    rows = yaml.safe_load((_FOLDER / f"{key}.yaml").read_text(encoding="utf-8"))["versions"]
    return tuple(
        Text(key, row["version"], language, words["title"], words["text"].strip())
        for row in rows
        for language, words in row["texts"].items()
    )


def shown(key: str, language: str) -> Text:
    """The present version in a language; in English where it was not written in that one."""
    newest = versions(key)[-1].version
    texts = {each.language: each for each in versions(key) if each.version == newest}
    return texts.get(language) or texts[FALLBACK]


def by_digest(key: str, digest: bytes) -> Text | None:
    """The text with this hash, whatever its version."""
    return next((each for each in versions(key) if each.digest == digest), None)
