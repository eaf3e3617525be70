"""How many intake records a second does `clinic assess --jsonl` answer on one core, by itself and with a payer's policy, and
how long does it take to start?

A core is counted by the seconds that it was busy, so that neighbors do not slow the figure; of several runs the best counts.
The records are the labelled histories, each copy with its own numbers so that no two lines are alike. The baseline of the
work is reading and writing the same lines as JSON; the baseline of the start is Python with nothing to do.

    python benchmarks/assess.py [--records 3000] [--repeat 3]
"""

import argparse
import importlib.util
import json
import resource
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
POLICY = "cms_l34998_novitas"  # of all policies the one that takes longest
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


def of_one_core(command: list[str], source: Path) -> float:
    """Seconds that a command keeps one core busy, whoever else wants it; what it prints is dropped."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with source.open("rb") as lines:
        subprocess.run(command, stdin=lines, stdout=subprocess.DEVNULL, check=True, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def by_the_clock(command: list[str]) -> float:
    """Seconds from the start of a command without input to its end."""
    started = time.perf_counter()
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, cwd=ROOT)
    return time.perf_counter() - started


def main() -> int:
    """Measure both, print each ratio with its parts; exit 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=3000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    clinic = [sys.executable, "-m", "clinic.cli.main", "assess", "--jsonl"]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "records.jsonl"
        source.write_text("".join(json.dumps(record) + "\n" for record in records(options.records)))
        answering, paying, reading, start, bare = [], [], [], [], []
        for _ in range(options.repeat):
            answering.append(of_one_core(clinic, source))
            paying.append(of_one_core([*clinic, "--policy", POLICY], source))
            reading.append(of_one_core([sys.executable, "-c", ONLY_JSON], source))
            start.append(by_the_clock(clinic))
            bare.append(by_the_clock([sys.executable, "-c", "pass"]))
    only_json = min(reading)
    begun, nothing = min(start), min(bare)
    rates = []
    for asked, seconds in (("assess", min(answering)), (f"assess --policy {POLICY}", min(paying))):
        rates.append(options.records / seconds)
        print(
            f"{asked} / reading and writing the same JSON: {seconds / only_json:.1f} "
            f"({seconds:.2f} s / {only_json:.2f} s for {options.records} records; {rates[-1]:.0f} a second of one core, the start included, goal {RECORDS_PER_SECOND})"
        )
    print(
        f"start / bare Python: {begun / nothing:.1f} ({begun:.2f} s / {nothing:.3f} s; goal under {START_WITHIN:.0f} s)"
    )
    return int(min(rates) < RECORDS_PER_SECOND or begun >= START_WITHIN)


if __name__ == "__main__":
    sys.exit(main())
