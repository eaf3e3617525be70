"""How hard a text is to read, and what a page says to the eye."""

import re
from collections.abc import Iterable
from html.parser import HTMLParser

INLINE = {"a", "abbr", "b", "em", "i", "small", "span", "strong", "sub", "sup", "u", "kbd"}
SILENT = {"script", "style", "svg", "template", "option", "head"}
VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "path", "source", "wbr"}
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_SENTENCE = re.compile(r"[.?!:;…]+(?=\s|$)")


def grade(texts: Iterable[str]) -> float:
    """School years that an English text asks for (Flesch and Kincaid, 1975)."""
    sentences, words = _counted(texts)
    syllables = sum(_english_syllables(word) for word in words)
    return 0.39 * len(words) / sentences + 11.8 * syllables / len(words) - 15.59


def ease(texts: Iterable[str]) -> float:
    """Ease of a Spanish text, 100 very easy, 60 to 70 normal (Fernández Huerta, 1959, as corrected by Law, 2011)."""
    sentences, words = _counted(texts)
    syllables = sum(_spanish_syllables(word) for word in words)
    return 206.84 - 60 * syllables / len(words) - 1.02 * len(words) / sentences


def _counted(texts: Iterable[str]) -> tuple[int, list[str]]:
    found = [_WORD.findall(part) for text in texts for part in _SENTENCE.split(text)]
    sentences = [words for words in found if words]
    return max(1, len(sentences)), [word for words in sentences for word in words]


def _english_syllables(word: str) -> int:
    word = re.sub(r"[^a-z]", "", word.lower())
    word = re.sub(r"(?:[^laeiouy]es|[^td]ed|[^laeiouy]e)$", lambda end: end[0][0], word) if len(word) > 3 else word
    return max(1, len(re.findall(r"[aeiouy]+", word)))


def _spanish_syllables(word: str) -> int:
    word = re.sub(r"qu|gu(?=[eéií])|y(?=$)", lambda part: {"y": "i"}.get(part[0], "k"), word.lower())
    return max(1, len(re.findall(r"[iuü]*[aeoáéó][iuü]*|[íú]|[iuü]+", word)))


class Words(HTMLParser):
    """Text of a page by blocks. Elements that name their language are left out: other tongues, and scales word for word."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.blocks: list[str] = [""]
        self.names: list[str] = []  # labels for those who do not see: aria-label, placeholder
        self._skipped: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if self._skipped:
            self._skipped += [tag] if tag not in VOID else []
            return
        if (tag in SILENT or ("lang" in given and tag != "html")) and tag not in VOID:
            self._skipped = [tag]
            return
        self.names += [
            given[name] or "" for name in ("aria-label", "placeholder", "title", "data-busy") if given.get(name)
        ]
        if tag not in INLINE:
            self.blocks.append("")

    def handle_endtag(self, tag: str) -> None:
        if self._skipped:
            if tag == self._skipped[-1]:
                self._skipped.pop()
        elif tag not in INLINE:
            self.blocks.append("")

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.blocks[-1] += data

    @property
    def texts(self) -> list[str]:
        return [text for block in self.blocks if (text := " ".join(block.split()))]
