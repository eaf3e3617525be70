"""Tables for spreadsheets: what a person typed never becomes a formula on a colleague's machine."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from flask import Response

RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def plain(text: str) -> str:
    """A text that no spreadsheet takes for a formula: a quote mark stands before what it would."""
    return f"'{text}" if text.startswith(RISKY) else text


def as_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; nothing where a cell is None."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(header)
    for row in rows:
        table.writerow([plain(cell) if isinstance(cell, str) else "" if cell is None else cell for cell in row])
    return text.getvalue()


def download(name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    """The table as a file."""
    return Response(
        as_csv(header, rows), mimetype="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
