"""The mutation check of the eligibility engine: small faults are put into its code one at a time, and a test must see each.

mutmut writes the faults into a copy of the engine (its settings are in pyproject.toml). The tests are collected once, and each
fault is tried in a fork of that process, with the tests that reach the changed function, the quickest first.

    python tests/mutation.py [--module trials ...] [--every N] [--show] [--minutes M] [--floor 90] [--jobs 2]
"""

import argparse
import ast
import difflib
import functools
import gc
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from mutmut.mutation import trampoline
from mutmut.mutation.file_mutation import mutate_file_contents

ROOT = Path(__file__).parents[1]
ENGINE = Path("clinic/eligibility/engine")
PACKAGE = "clinic.eligibility.engine"
COPIED = ["clinic", "tests/data/histories", "tests/clinic/eligibility/engine", "pyproject.toml"]
COPIED_FILES = ["tests/clinic/eligibility/test_labelled_histories.py"]
# The searches for counterexamples say little more of one fault than the rest and take most of the time.
LEFT_OUT = ["test_properties.py", "test_malformed.py"]
LONGEST = 3  # seconds; what takes longer is a search too, and tried for no fault
TRY_FOR = 60  # seconds; a fault that makes the tests run longer is seen
TRY_ANEW_FOR = 600  # seconds, where the tests have to be collected again
KILLED, SURVIVED = 1, 0
ARGUMENTS = [
    *("-q", "-p", "no:cacheprovider", "tests"),
    *(f"--ignore=tests/clinic/eligibility/engine/{name}" for name in LEFT_OUT),
]


@dataclass
class Tests:
    """What is known of the tests before any fault: who reaches which function, and how long each takes."""

    items: list[Any]
    seconds: dict[str, float] = field(default_factory=dict)
    reaching: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    at_first: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


def mutants_of(path: Path) -> tuple[str, list[str]]:
    """The code with every fault of one file beside the original, and the names of the faults."""
    made = mutate_file_contents(str(path), path.read_text())
    return made.code, [f"{PACKAGE}.{path.stem}.{name}" for name in made.mutant_names]


def function_of(mutant: str) -> str:
    return mutant.rpartition("__mutmut_")[0]


def clear_caches() -> None:
    """Forget what the engine has read and worked out, so that a fault in reading shows too."""
    for each in gc.get_objects():
        if isinstance(each, functools._lru_cache_wrapper) and str(each.__module__).startswith(PACKAGE):
            each.cache_clear()


def choose(mutant: str) -> None:
    """Which fault is in force; mutmut itself asks the environment at every call, which takes most of the time."""
    trampoline.get_mutant_under_test = lambda: mutant


def try_anew(mutant: str) -> None:
    """Run the tests in a new process, which this one becomes: what runs only while the engine is imported is past here.

    Tables that are made at import (the conditions on every treatment, the checked types of a record) keep what the
    faultless code made of them, so that no fault in their making could ever show in a fork.
    """
    environment = os.environ | {"MUTANT_UNDER_TEST": mutant, "PYTHONPATH": os.pathsep.join(sys.path)}
    os.execve(sys.executable, [sys.executable, "-m", "pytest", "-x", *ARGUMENTS], environment)


def passes(item: Any) -> bool:
    return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))


class Check:
    """A pytest plugin that takes the place of the loop over the tests."""

    def __init__(self, mutants: list[str], jobs: int, minutes: float | None) -> None:
        self.mutants = mutants
        self.jobs = jobs
        self.until = time.monotonic() + 60 * minutes if minutes else None
        self.tried: list[str] = []
        self.survivors: list[str] = []
        self.broken = False

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        found = Tests(session.items)
        self._watch(found, found.at_first)
        found.items = [item for item in found.items if found.seconds[item.nodeid] <= LONGEST]
        self._watch(found, found.reaching)
        self._try_all(found)
        return True

    def _watch(self, found: Tests, hits: dict[str, set[str]]) -> None:
        """Run every test as it is and note what it reaches; the second time what was read is known already."""
        reached: set[str] = set()
        trampoline.record_trampoline_hit = lambda name, caller=None: reached.add(name)
        choose("stats")
        for item in found.items:
            reached.clear()
            started = time.process_time()
            if not passes(item):
                self.broken = True
                pytest.exit(f"{item.nodeid} fails without any fault", returncode=1)
            found.seconds[item.nodeid] = time.process_time() - started
            for name in reached:
                hits[name].add(item.nodeid)

    def _try_all(self, found: Tests) -> None:
        running: dict[int, str] = {}
        for number, mutant in enumerate(self.mutants, 1):
            while len(running) >= self.jobs:
                self._reap(running)
            running[self._fork(found, mutant)] = mutant
            if number % 100 == 0:
                print(f"{number} of {len(self.mutants)}, {len(self.survivors)} not seen", flush=True)
            if self.until and time.monotonic() > self.until:
                break
        while running:
            self._reap(running)

    def _fork(self, found: Tests, mutant: str) -> int:
        function = function_of(mutant)
        warm, cold = found.reaching.get(function, set()), found.at_first.get(function, set())
        # What is reached only while nothing is known yet serves every test, whichever came first.
        reached = [item for item in found.items if item.nodeid in warm] or (found.items if cold else [])
        chosen = sorted(reached, key=lambda item: found.seconds[item.nodeid])
        pid = os.fork()
        if pid:
            return pid
        try:
            signal.alarm(TRY_FOR if warm or cold else TRY_ANEW_FOR)
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
            if not warm and not cold:
                try_anew(mutant)
            if not warm:
                clear_caches()
            choose(mutant)
            os._exit(SURVIVED if all(passes(item) for item in chosen) else KILLED)
        finally:
            os._exit(KILLED)

    def _reap(self, running: dict[int, str]) -> None:
        pid, status = os.wait()
        mutant = running.pop(pid)
        self.tried.append(mutant)
        if os.waitstatus_to_exitcode(status) == SURVIVED:
            self.survivors.append(mutant)


@functools.cache
def functions(code: str) -> dict[str, list[str]]:
    """Every function of a mutated file by its name, as lines."""
    lines = code.splitlines()
    nodes = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef))
    return {node.name: lines[node.lineno - 1 : node.end_lineno] for node in nodes}


def difference(code: str, mutant: str) -> str:
    """What one fault changes, as the lines removed and added."""
    name = mutant.rpartition(".")[2]
    held = functions(code)
    original, faulty = held[f"{name.rpartition('__mutmut_')[0]}__mutmut_orig"], held[name]
    rows = difflib.unified_diff(original[1:], faulty[1:], lineterm="", n=0)
    return "\n".join(row for row in rows if row[:2] not in ("--", "++", "@@"))


def report(codes: dict[str, str], mutants: list[str], survivors: list[str], *, show: bool) -> float:
    """Print the share of faults that were seen, module by module. Returns the whole share in percent."""
    total, lost = defaultdict(int), defaultdict(int)
    for mutant in mutants:
        total[mutant.split(".")[3]] += 1
    for mutant in sorted(survivors):
        module = mutant.split(".")[3]
        lost[module] += 1
        if show:
            print(f"\n{mutant}\n{difference(codes[module], mutant)}")
    for module, count in total.items():
        print(f"{module:16} {100 * (count - lost[module]) / count:5.1f} %  {count - lost[module]} of {count}")
    share = 100 * (len(mutants) - len(survivors)) / max(len(mutants), 1)
    print(f"{'engine':16} {share:5.1f} %  {len(mutants) - len(survivors)} of {len(mutants)} faults seen")
    return share


def main() -> int:
    """Check, print the score; exit 1 where it is under the floor or a test fails without any fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--module", action="append", help="only this module of the engine; repeatable")
    parser.add_argument("--every", type=int, default=1, help="only every so-manieth fault")
    parser.add_argument("--floor", type=float, default=90, help="percent")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--minutes", type=float, help="stop then and report on what was tried, a random part")
    parser.add_argument("--show", action="store_true", help="print each fault that was not seen")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        os.chdir(ROOT)
        for each in COPIED:
            skip = shutil.ignore_patterns("__pycache__", "node_modules")
            if Path(each).is_dir():
                shutil.copytree(each, Path(folder) / each, ignore=skip)
            else:
                shutil.copy(each, Path(folder) / each)
        for each in COPIED_FILES:
            shutil.copy(each, Path(folder) / each)
        os.chdir(folder)
        codes, mutants = {}, []
        for path in sorted(ENGINE.glob("*.py")):
            if options.module and path.stem not in options.module:
                continue
            codes[path.stem], names = mutants_of(path)
            path.write_text(codes[path.stem])
            mutants += names[:: options.every]
        if options.minutes:
            random.shuffle(mutants)
        print(f"{len(mutants)} faults", flush=True)
        sys.path[:] = [folder, *(each for each in sys.path if Path(each).resolve() not in (ROOT, ROOT / "tests"))]
        check = Check(mutants, options.jobs, options.minutes)
        code = pytest.main(ARGUMENTS, plugins=[check])
        os.chdir(ROOT)
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) or check.broken:
        print("the tests do not pass without any fault")
        return 1
    return int(report(codes, check.tried, check.survivors, show=options.show) < options.floor)


if __name__ == "__main__":
    sys.exit(main())
