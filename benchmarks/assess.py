"""How many intake records a second does `clinic assess --jsonl` answer on one core, and how long does it take to start?

The records are the labelled histories, each copy with its own numbers so that no two lines are alike. The baseline of the
work is reading and writing the same lines as JSON; the baseline of the start is Python with nothing to do.

    python benchmarks/assess.py [--records 3000] [--repeat 3]
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RECORDS_PER_SECOND = 1000
START_WITHIN = 1.0  # seconds
ONLY_JSON = "import json, sys\nfor line in sys.stdin:\n    print(json.dumps(json.loads(line)))"


def histories() -> Any:
    """The reader of the labelled histories, which the tests use too."""
    spec = importlib.util.spec_from_file_location("histories", ROOT / "tests" / "data" / "histories" / "read.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def records(count: int) -> Iterator[dict[str, Any]]:
    """So many records; from the second round on with doses a little higher and ages of their own."""
    reader = histories()
    cases = reader.cases()
    for number in range(count):
        turn, place = divmod(number, len(cases))
        record = json.loads(json.dumps(reader.record_of(cases[place]), default=str))
        record["id"] = f"{record['id']}-{turn}"
        if turn:
            record["age"] = 20 + number % 60
            for row in record["trials"] or ():
                if isinstance(row["dose_mg_per_day"], int | float):
                    row["dose_mg_per_day"] += turn / 8
        yield record


def seconds(command: list[str], source: Path | None = None) -> float:
    """Wall time of one command on the core that this process is held to; what it prints is dropped."""
    with (source or Path(os.devnull)).open("rb") as lines:
        started = time.perf_counter()
        subprocess.run(command, stdin=lines, stdout=subprocess.DEVNULL, check=True, cwd=ROOT)
        return time.perf_counter() - started


def main() -> int:
    """Measure both, print each ratio with its parts; exit 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=3000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    clinic = [sys.executable, "-m", "clinic.cli.main", "assess", "--jsonl"]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "records.jsonl"
        source.write_text("".join(json.dumps(record) + "\n" for record in records(options.records)))
        answering, reading, start, bare = [], [], [], []
        for _ in range(options.repeat):
            answering.append(seconds(clinic, source))
            reading.append(seconds([sys.executable, "-c", ONLY_JSON], source))
            start.append(seconds(clinic))
            bare.append(seconds([sys.executable, "-c", "pass"]))
    whole, only_json = statistics.median(answering), statistics.median(reading)
    begun, nothing = statistics.median(start), statistics.median(bare)
    rate = options.records / whole
    print(
        f"assess / reading and writing the same JSON: {whole / only_json:.1f} "
        f"({whole:.2f} s / {only_json:.2f} s for {options.records} records; {rate:.0f} a second with the start, goal {RECORDS_PER_SECOND})"
    )
    print(
        f"start / bare Python: {begun / nothing:.1f} ({begun:.2f} s / {nothing:.3f} s; goal under {START_WITHIN:.0f} s)"
    )
    return int(rate < RECORDS_PER_SECOND or begun >= START_WITHIN)


if __name__ == "__main__":
    sys.exit(main())
