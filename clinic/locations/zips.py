"""Where a ZIP code is: the internal point of its ZIP Code Tabulation Area, for straight-line miles on public pages.

`zip_centers.csv.gz` holds the 33,791 areas of the US Census Bureau's 2021 Gazetteer Files, a work of the United States
Government in the public domain, to a thousandth of a degree. `scripts/zip_centers.py` makes it from a newer file. An
area is close to a ZIP code and not the same: codes of post-office boxes and of single buildings have none.
"""

import gzip
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("zip_centers.csv.gz")


class Point(NamedTuple):
    """Degrees north and east."""

    latitude: float
    longitude: float


@cache
def _lines() -> bytes:
    """All areas, one a line in order of the code: under a megabyte, searched in a tenth of a millisecond."""
    return gzip.decompress(FILE.read_bytes())


def is_zip(text: str) -> bool:
    """Five digits, or nine with a hyphen."""
    return re.fullmatch(r"\d{5}(-\d{4})?", text.strip()) is not None


def center(zip_code: str) -> Point | None:
    """The middle of the code's area; None where it is no code, or has no area."""
    if not is_zip(zip_code):
        return None
    lines, code = _lines(), b"\n" + zip_code.strip()[:5].encode() + b","
    at = lines.find(code)
    if at < 0:
        return None
    latitude, longitude = lines[at + len(code) : lines.index(b"\n", at + 1)].split(b",")
    return Point(float(latitude), float(longitude))
