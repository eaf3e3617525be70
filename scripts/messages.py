#!/usr/bin/env python3
"""Collect what patients read and bring the catalogs up to date: `make messages`.

    messages.py [LANGUAGE ...]

Without a language every catalog that is there is updated; a new language gets an empty one. Words that left the pages
leave the catalog, new ones come without a translation and are counted. Only what patients read is collected: staff
pages are English and are not looked at.
"""

import io
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
CLINIC = ROOT / "clinic"
CATALOGS = CLINIC / "translations"
OPTIONS = {"trimmed": "true", "newstyle_gettext": "true", "silent": "false"}
KEYWORDS = {"_": None, "gettext": None, "lazy_gettext": None, "ngettext": (1, 2), "lazy_ngettext": (1, 2)}
# Sentences that patients may read beside a field or on an error page. A message without a capital is for programs.
REFUSALS = dict.fromkeys(("Invalid", "Conflict", "AlreadyOver", "Expired", "NotFound"))
REFUSING = ("intake", "patients", "surveys", "care")
TITLES = "intake/pages.py"  # the titles and headings of the form's pages stand in its one list: Page(key, part, title, heading)
STAFF_FOLDERS = {"security", "dev"}
# On a frame for patients, or on none, and yet only for staff. So is what is called staff_...
FOR_STAFF = {"base_staff.html", "macros/board.html", "care/preview_summary.html", "reminders/outbox.html"}
_EXTENDS = re.compile(r'\{%-? extends "([^"]+)"')
_USES = re.compile(r"""\{%-? (?:include|import|from) ["']([^"']+)""")
VOLATILE = re.compile(
    r'^"(POT-Creation-Date|PO-Revision-Date|Last-Translator|Language-Team|Report-Msgid.*|Generated-By):.*\n', re.M
)
Message = str | tuple[str, ...]


def templates() -> list[Path]:
    """Templates of which a patient may see a part.

    Those on a frame for patients or visitors, what these import or include, and parts that stand on no frame and speak
    through gettext: a patient's home takes such from every feature. All else is for staff.
    """
    paths = {
        "/".join(path.parts[path.parts.index("templates") + 1 :]): path for path in CLINIC.rglob("templates/**/*.html")
    }
    sources = {name: path.read_text() for name, path in paths.items() if path.parent.name not in STAFF_FOLDERS}
    shown = {name for name in sources if not _is_for_staff(name)}
    found = {name for name in shown if _is_for_patients(name, sources)}
    while more := {used for name in found for used in _USES.findall(sources[name]) if used in shown} - found:
        found |= more
    return sorted(paths[name] for name in found)


def _is_for_staff(name: str) -> bool:
    return name in FOR_STAFF or name.rpartition("/")[2].startswith("staff_")


def _is_for_patients(name: str, sources: Mapping[str, str]) -> bool:
    if _is_for_staff(name):
        return False
    frame = _EXTENDS.search(sources[name])
    if frame is None:
        return "_(" in sources[name] or "ngettext(" in sources[name]
    return frame[1] not in sources or _is_for_patients(frame[1], sources)


def messages() -> Iterator[Message]:
    """Every text that patients may read; plural forms as a pair."""
    for path in templates():
        yield from _found(path, "jinja2.ext:babel_extract", KEYWORDS)
    for path in sorted(CLINIC.rglob("*.py")):
        yield from _found(path, "python", KEYWORDS)
        if path.relative_to(CLINIC).parts[0] in REFUSING:
            yield from (
                text for text in _found(path, "python", REFUSALS) if isinstance(text, str) and text[0].isupper()
            )
    for place in (3, 4):
        yield from _found(CLINIC / TITLES, "python", {"Page": (place,)})


def _found(path: Path, method: str, keywords: Mapping[str, tuple[int, ...] | None]) -> Iterator[Message]:
    with path.open("rb") as source:
        for _line, text, _comments, _context in extract(_method(method), source, keywords, (), OPTIONS):
            if text and text[0]:
                yield text if isinstance(text, str) else tuple(text)


def _method(name: str) -> Any:
    if name == "python":
        return name
    from jinja2.ext import babel_extract

    return babel_extract


def updated(language: str) -> Catalog:
    """The catalog of a language with exactly the present texts, its translations kept."""
    path = CATALOGS / language / "LC_MESSAGES" / "messages.po"
    known = Catalog(locale=language)
    if path.exists():
        with path.open("rb") as source:
            known = read_po(source, locale=language)
    fresh = Catalog(locale=language, project="Daybreak", version="1", fuzzy=False, header_comment=_head(language))
    for text in messages():
        before = known.get(text if isinstance(text, str) else text[0])
        string = before.string if before and isinstance(before.string, str) == isinstance(text, str) else None
        fresh.add(text, string)
    return fresh


def _head(language: str) -> str:
    return f"# What patients read, in `{language}`. `make messages` brings it up to date; docs/languages.md says how to write it."


def written(catalog: Catalog) -> str:
    """The file's text: in the order of the texts, without places or dates, so that it changes only with the words."""
    out = io.BytesIO()
    write_po(out, catalog, width=120, no_location=True, sort_output=True)
    return VOLATILE.sub("", out.getvalue().decode())


def empty(catalog: Catalog) -> list[Message]:
    """Texts without a translation."""
    return [message.id for message in catalog if message.id and not all(_strings(message.string))]  # type: ignore[misc]


def _strings(string: Any) -> tuple[str, ...]:
    return (string or "",) if string is None or isinstance(string, str) else tuple(string)


def main() -> None:
    present = sorted(path.name for path in CATALOGS.iterdir() if path.is_dir())
    for language in sys.argv[1:] or present:
        catalog = updated(language)
        path = CATALOGS / language / "LC_MESSAGES" / "messages.po"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(written(catalog))
        sys.stdout.write(f"{language}: {len(catalog)} texts, {len(empty(catalog))} without a translation\n")


if __name__ == "__main__":
    main()
