"""PDF out of a typst template and plain values: tagged for screen readers, the same bytes for the same content."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import typst
from flask import Response

from clinic.errors import Invalid

ACCESSIBLE = "ua-1"  # PDF/UA: tags, language and title are checked while the file is made
# Signs that print nothing and could turn a line around or end it early: controls, direction marks, noncharacters.
_UNSEEN = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
_LONG_RUN = re.compile(r"\S{40,}")
_PIECE = 24
_MAY_BREAK = "\u200b"


@cache
def _fonts() -> typst.Fonts:
    """The faces that the typesetter brings: no page depends on what is installed on a machine."""
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=True)


def render(template: Path, data: Mapping[str, Any], *, at: datetime) -> bytes:
    """Set `template` with `data`, which it reads as `json(bytes(sys.inputs.data))`; values are never typst source.

    `at` (aware) is the only instant in the file. Where a sign has no glyph in our faces the file is still tagged, but
    not certified PDF/UA. Raises Invalid where it cannot be set at all.
    """
    inputs = {"data": json.dumps(clean(data), ensure_ascii=True, sort_keys=True)}
    for standards in ([ACCESSIBLE], []):
        try:
            return typst.compile(
                str(template),
                root=str(template.parent),
                font_paths=_fonts(),
                ignore_system_fonts=True,
                sys_inputs=inputs,
                pdf_standards=standards,  # type: ignore[arg-type]
                timestamp=int(at.timestamp()),
            )
        except typst.TypstError as error:
            if "could not be displayed" not in error.message:
                raise
    raise Invalid("This document cannot be set: it holds signs that no typeface here can show.")


def clean(value: Any) -> Any:
    """The value without signs that print nothing; very long words may break, so that nothing runs off the page."""
    if isinstance(value, str):
        return _LONG_RUN.sub(_breakable, _UNSEEN.sub("", value.replace("\t", " ")))
    if isinstance(value, Mapping):
        return {str(key): clean(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [clean(each) for each in value]
    return value


def _breakable(found: re.Match[str]) -> str:
    run = found[0]
    return _MAY_BREAK.join(run[start : start + _PIECE] for start in range(0, len(run), _PIECE))


def attachment(data: bytes, name: str, mimetype: str = "application/pdf") -> Response:
    """The file as a download, never shown inside a page and never kept by a cache. `name` names nobody."""
    response = Response(data, mimetype=mimetype)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "no-store"
    return response
