"""Make clinic/locations/zip_centers.csv.gz from a Gazetteer file of the US Census Bureau (ZIP Code Tabulation Areas).

python scripts/zip_centers.py 2021_Gaz_zcta_national.txt 2021
"""

import csv
import gzip
import sys
from pathlib import Path

TARGET = Path(__file__).parent.parent / "clinic/locations/zip_centers.csv.gz"
HEAD = (
    "# ZIP Code Tabulation Areas, {year} Gazetteer Files, US Census Bureau; public domain. "
    "ZIP,latitude,longitude of the internal point\n"
)


def main(source: str, year: str) -> None:
    """Keep code and internal point of each area, to a thousandth of a degree."""
    with Path(source).open(newline="") as file:
        table = csv.DictReader(file, delimiter="\t")
        rows = [{key.strip(): value.strip() for key, value in row.items()} for row in table]
    lines = (f"{row['GEOID']},{float(row['INTPTLAT']):.3f},{float(row['INTPTLONG']):.3f}\n" for row in rows)
    with TARGET.open("wb") as out, gzip.GzipFile(fileobj=out, mode="wb", filename="", mtime=0) as packed:
        packed.write((HEAD.format(year=year) + "".join(sorted(lines))).encode())
    sys.stdout.write(f"{len(rows)} areas, {TARGET.stat().st_size // 1000} KB\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])
