"""The mutation check of the eligibility engine: small faults are put into its code one at a time, and a test must see each.

mutmut writes the faults into a copy of the engine (its settings are in pyproject.toml). The tests are collected once, and each
fault is tried in a fork of that process, with the tests that reach the changed function: first those that saw a fault of that
function before, then the quickest. A random sample is judged by the lower end of its 95 % Wilson interval, so that luck in the
draw does not pass for tests; the whole by its share.

    python tests/mutation.py [--sample 1000 --seed 7 | --minutes M] [--module trials ...] [--show] [--floor 90] [--jobs 2]
    python tests/mutation.py --keep survivors.txt; python tests/mutation.py --only survivors.txt
"""

import argparse
import ast
import difflib
import functools
import gc
import math
import mmap
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
from collections import Counter, defaultdict
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
COPIED = [
    *("clinic", "tests/data/histories", "tests/clinic/eligibility/engine", "pyproject.toml"),
    "tests/clinic/eligibility/test_labelled_histories.py",
]
# The searches for counterexamples say little more of one fault than the rest and take most of the time.
LEFT_OUT = ["test_properties.py", "test_malformed.py"]
LONGEST = 10  # seconds while it is watched; what takes longer is a search too, and tried for no fault
PATIENCE = 5  # times what the tests take without a fault; a fault that makes them run longer than that is seen
TRY_ANEW_FOR = 600  # seconds, where the tests have to be collected again
KILLED, SURVIVED = 1, 0
_PLACE = struct.Struct("i")  # the number of the test that saw a fault, from 1
ARGUMENTS = [
    *("-q", "-p", "no:cacheprovider", "-p", "no:logging", "tests"),
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


def caches() -> list[Any]:
    """What the engine keeps of what it has read and worked out; to be emptied so that a fault in reading shows too."""
    found = (each for each in gc.get_objects() if isinstance(each, functools._lru_cache_wrapper))
    return [each for each in found if str(each.__module__).startswith(PACKAGE)]


class Faults:
    """Every function of the engine with the faulty ones beside it, as the faulty files hand them over on import.

    mutmut's own decorator asks at every call which fault is in force, which takes most of the time; this one leaves the
    function as it is, and a fault is put in force by giving the function the faulty code.
    """

    def __init__(self) -> None:
        self.found: list[tuple[Any, dict[str, Any]]] = []

    def decorator(self, faulty: dict[str, Any], is_classmethod: bool = False) -> Any:
        def keep(function: Any) -> Any:
            self.found.append((function, faulty))
            return function

        return keep

    def names(self) -> dict[Any, str]:
        """The name of every function by its code."""
        return {
            function.__code__: f"{function.__module__}.{self._plain(faulty['_mutmut_orig']).__name__[: -len('__mutmut_orig')]}"
            for function, faulty in self.found
            if "_mutmut_orig" in faulty
        }

    def choose(self, mutant: str) -> None:
        module, _, name = mutant.rpartition(".")
        for function, faulty in self.found:
            if name in faulty and function.__module__ == module:
                wrong = self._plain(faulty[name])
                function.__code__ = wrong.__code__
                function.__defaults__, function.__kwdefaults__ = wrong.__defaults__, wrong.__kwdefaults__
                return
        raise KeyError(mutant)

    @staticmethod
    def _plain(function: Any) -> Any:
        return getattr(function, "__func__", function)


def try_anew(mutant: str) -> None:
    """Run the tests in a new process, which this one becomes: what runs only while the engine is imported is past here.

    Tables that are made at import (the conditions on every treatment, the checked types of a record) keep what the
    faultless code made of them, so that no fault in their making could ever show in a fork.
    """
    environment = os.environ | {"MUTANT_UNDER_TEST": mutant, "PYTHONPATH": os.pathsep.join(sys.path)}
    os.execve(sys.executable, [sys.executable, "-m", "pytest", "-x", *ARGUMENTS], environment)


def passes(item: Any) -> bool:
    """Whether a test passes; its set-up and tear-down belong to it."""
    return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))


class Check:
    """A pytest plugin that takes the place of the loop over the tests."""

    def __init__(self, faults: Faults, mutants: list[str], jobs: int, minutes: float | None) -> None:
        self.faults = faults
        self.mutants = mutants
        self.jobs = jobs
        self.until = time.monotonic() + 60 * minutes if minutes else None
        self.tried: list[str] = []
        self.survivors: list[str] = []
        self.broken = False
        self.caches: list[Any] = []
        self.saw: dict[str, Counter[int]] = defaultdict(Counter)  # by function: which tests have seen a fault of it
        self._seen_by = mmap.mmap(-1, _PLACE.size * max(len(mutants), 1))  # the forks write, by the fault's number

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        found = Tests(session.items)
        self._watch(found, found.at_first)
        found.items = [item for item in found.items if found.seconds[item.nodeid] <= LONGEST]
        self._watch(found, found.reaching)
        self._try_all(found)
        return True

    def _watch(self, found: Tests, hits: dict[str, set[str]]) -> None:
        """Run every test as it is and note what it reaches; the second time what was read is known already."""
        names, reached = self.faults.names(), set()

        def note(frame: Any, event: str, _argument: Any) -> None:
            if event == "call" and frame.f_code in names:
                reached.add(names[frame.f_code])

        for item in found.items:
            reached.clear()
            started = time.process_time()
            sys.setprofile(note)
            passed = passes(item)
            sys.setprofile(None)
            if not passed:
                self.broken = True
                pytest.exit(f"{item.nodeid} fails without any fault", returncode=1)
            found.seconds[item.nodeid] = time.process_time() - started
            for name in reached:
                hits[name].add(item.nodeid)

    def _try_all(self, found: Tests) -> None:
        running: dict[int, int] = {}
        self.caches = caches()  # before the freeze: what is frozen is not found again
        gc.collect()
        gc.freeze()  # a fork that collects garbage would copy all the memory that it shares
        for number, mutant in enumerate(self.mutants, 1):
            while len(running) >= self.jobs:
                self._reap(running)
            running[self._fork(found, mutant, number - 1)] = number - 1
            if number % 100 == 0:
                print(f"{number} of {len(self.mutants)}, {len(self.survivors)} not seen", flush=True)
            if self.until and time.monotonic() > self.until:
                break
        while running:
            self._reap(running)

    def _fork(self, found: Tests, mutant: str, number: int) -> int:
        function = function_of(mutant)
        warm, cold = found.reaching.get(function, set()), found.at_first.get(function, set())
        # What is reached only while nothing is known yet serves every test, whichever came first.
        reached = [at for at, item in enumerate(found.items) if item.nodeid in warm or (cold and not warm)]
        saw = self.saw[function]
        chosen = sorted(reached, key=lambda at: (-saw[at], found.seconds[found.items[at].nodeid]))
        pid = os.fork()
        if pid:
            return pid
        try:
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
            if not reached:
                signal.alarm(TRY_ANEW_FOR)
                try_anew(mutant)
            whole = sum(found.seconds[found.items[at].nodeid] for at in chosen)
            signal.setitimer(signal.ITIMER_PROF, PATIENCE * (whole + 1))  # ends the process, which counts as seen
            if not warm:
                for each in self.caches:
                    each.cache_clear()
            gc.disable()
            self.faults.choose(mutant)
            for at in chosen:
                if not passes(found.items[at]):
                    _PLACE.pack_into(self._seen_by, number * _PLACE.size, at + 1)
                    os._exit(KILLED)
            os._exit(SURVIVED)
        finally:
            os._exit(KILLED)

    def _reap(self, running: dict[int, int]) -> None:
        pid, status = os.wait()
        number = running.pop(pid)
        mutant = self.mutants[number]
        self.tried.append(mutant)
        if os.waitstatus_to_exitcode(status) == SURVIVED:
            self.survivors.append(mutant)
        (at,) = _PLACE.unpack_from(self._seen_by, number * _PLACE.size)
        if at:
            self.saw[function_of(mutant)][at - 1] += 1


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


def at_least(seen: int, tried: int) -> float:
    """The lower end of the 95 % Wilson interval of a share, in percent."""
    z, share = 1.96, seen / tried
    middle, spread = share + z * z / (2 * tried), z * math.sqrt(share * (1 - share) / tried + (z / (2 * tried)) ** 2)
    return 100 * (middle - spread) / (1 + z * z / tried)


def report(codes: dict[str, str], mutants: list[str], survivors: list[str], *, show: bool) -> float:
    """Print the share of faults that were seen, module by module. Returns the whole share in percent."""
    total, lost = Counter(mutant.split(".")[3] for mutant in mutants), Counter(each.split(".")[3] for each in survivors)
    for mutant in sorted(survivors) if show else ():
        print(f"\n{mutant}\n{difference(codes[mutant.split('.')[3]], mutant)}")
    for module, count in sorted(total.items()):
        print(f"{module:16} {100 * (count - lost[module]) / count:5.1f} %  {count - lost[module]} of {count}")
    seen = len(mutants) - len(survivors)
    share = 100 * seen / max(len(mutants), 1)
    print(f"{'engine':16} {share:5.1f} %  {seen} of {len(mutants)} faults seen")
    return share


def chosen(mutants: list[str], options: argparse.Namespace) -> list[str]:
    """The faults to try: all, those of a file, or a random part, the same for the same seed."""
    if options.only:
        wanted = set(options.only.read_text().split())
        return [mutant for mutant in mutants if mutant in wanted]
    if not options.sample and not options.minutes:
        return mutants
    # Which test sees a fault depends on nothing but the fault, so that the order is free.
    return random.Random(options.seed).sample(mutants, min(options.sample or len(mutants), len(mutants)))


def copy_tree(folder: Path) -> None:
    """What the tests of the engine need, in a folder where the faults may be written."""
    skip = shutil.ignore_patterns("__pycache__", "node_modules")
    for each in COPIED:
        if (ROOT / each).is_dir():
            shutil.copytree(ROOT / each, folder / each, ignore=skip)
        else:
            (folder / each).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / each, folder / each)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--module", action="append", help="only this module of the engine; repeatable")
    parser.add_argument("--sample", type=int, help="only so many faults, drawn by the seed")
    parser.add_argument(
        "--seed", type=int, default=None, help="what the sample is drawn from; printed where none is given"
    )
    parser.add_argument("--minutes", type=float, help="stop then and report on what was tried, a random part")
    parser.add_argument("--only", type=Path, help="only the faults named in this file, one a line")
    parser.add_argument("--keep", type=Path, help="write the names of the faults that were not seen to this file")
    parser.add_argument("--floor", type=float, default=90, help="percent")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--show", action="store_true", help="print each fault that was not seen")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(2**32)
    options.only, options.keep = (each and each.resolve() for each in (options.only, options.keep))
    return options


def passed(options: argparse.Namespace, tried: int, seen: int, share: float) -> bool:
    """Whether the share, or for a random part the lower end of its interval, reaches the floor."""
    if not tried or not (options.sample or options.minutes):
        return share >= options.floor
    least = at_least(seen, tried)
    print(f"a random part, seed {options.seed}: at least {least:.1f} % with 95 % confidence, floor {options.floor:g} %")
    return least >= options.floor


def main() -> int:
    """Check, print the score; exit 1 where it is under the floor or a test fails without any fault."""
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        copy_tree(Path(folder))
        os.chdir(folder)
        codes, mutants = {}, []
        for path in sorted(ENGINE.glob("*.py")):
            if options.module and path.stem not in options.module:
                continue
            codes[path.stem], names = mutants_of(path)
            path.write_text(codes[path.stem])
            mutants += names
        tried = chosen(mutants, options)
        faults = Faults()
        trampoline.wrap_in_trampoline = faults.decorator
        print(f"{len(tried)} of {len(mutants)} faults, seed {options.seed}", flush=True)
        sys.path[:] = [folder, *(each for each in sys.path if Path(each).resolve() not in (ROOT, ROOT / "tests"))]
        check = Check(faults, tried, options.jobs, options.minutes)
        code = pytest.main(ARGUMENTS, plugins=[check])
        os.chdir(ROOT)
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) or check.broken:
        print("the tests do not pass without any fault")
        return 1
    if options.keep:
        options.keep.write_text("".join(f"{each}\n" for each in sorted(check.survivors)))
    share = report(codes, check.tried, check.survivors, show=options.show)
    return int(not passed(options, len(check.tried), len(check.tried) - len(check.survivors), share))


if __name__ == "__main__":
    sys.exit(main())
