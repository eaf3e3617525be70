"""Reading JSON, one document or one a line, and saying what is wrong with it, for the machine-readable commands."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TextIO

ANSWERED = 0
REFUSED = 2


@dataclass(frozen=True)
class Problem:
    """One fault of the input: where, as a JSON path, and what."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class InputRefused(Exception):
    """The input cannot be answered; carries every problem found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = tuple(problems)


def refuse(path: str, message: str) -> NoReturn:
    raise InputRefused([Problem(path, message)])


def json_path(parts: Iterable[str | int]) -> str:
    """`$.trials[0].weeks` from `("trials", 0, "weeks")`."""
    path = "$"
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part.isidentifier():
            path += f".{part}"
        else:
            path += f"[{json.dumps(part)}]"
    return path


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {json.dumps(key)} is given twice")
            seen.add(key)
    return found


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number")


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_no_constant)


def parse(text: str) -> Any:
    """The JSON value in a text. Raises InputRefused, also for a repeated key, NaN and Infinity."""
    try:
        return _DECODER.decode(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as fault:
        refuse("$", f"not JSON: {fault.msg} at line {fault.lineno}, column {fault.colno}")
    except RecursionError:
        refuse("$", "nested too deep")
    except ValueError as fault:
        refuse("$", f"not usable JSON: {fault}")


class Encoded(str):
    """An answer that is compact ASCII JSON already."""


def dumps(value: Any) -> str:
    """Compact JSON, plain ASCII, the same bytes on every machine."""
    return value if isinstance(value, Encoded) else _ENCODER.encode(value)


def _open(source: str | None) -> TextIO:
    if source is None or source == "-":
        stream = sys.stdin
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="strict")
        return stream
    try:
        return Path(source).open(encoding="utf-8", errors="strict")
    except OSError as fault:
        refuse("$", f"cannot read {source}: {fault.strerror}")
    except ValueError:
        refuse("$", "cannot read a file of that name")


def read_text(source: str | None) -> str:
    """The whole text of a file; `-` or None is standard input. Raises InputRefused."""
    stream = _open(source)
    try:
        return stream.read()
    except UnicodeDecodeError:
        refuse("$", "not UTF-8 text")
    except OSError as fault:
        refuse("$", f"cannot read {source}: {fault.strerror}")
    finally:
        if stream is not sys.stdin:
            stream.close()


def read_document(source: str | None) -> Any:
    """The one JSON document in a file, `-` or standard input. Raises InputRefused."""
    return parse(read_text(source))


def _lines(source: str | None) -> Iterator[bytes]:
    if source is None or source == "-":
        stream = getattr(sys.stdin, "buffer", None)
        if stream is None:
            yield from (line.encode() for line in sys.stdin)
        else:
            yield from stream
        return
    try:
        with Path(source).open("rb") as stream:
            yield from stream
    except OSError as fault:
        refuse("$", f"cannot read {source}: {fault.strerror}")
    except ValueError:
        refuse("$", "cannot read a file of that name")


def complain(problems: Iterable[Problem], prefix: str = "") -> None:
    """Each problem on its own line of standard error."""
    for problem in problems:
        line = " ".join(f"{prefix}{problem}".split())
        print(line.encode("ascii", "backslashreplace").decode(), file=sys.stderr)


def _identity(document: Any) -> str | int | None:
    found = document.get("id") if isinstance(document, dict) else None
    return found if isinstance(found, str | int) and not isinstance(found, bool) else None


def answer_document(source: str | None, handle: Callable[[Any], Any]) -> int:
    """Answer one document on standard output. Returns the exit code."""
    try:
        answer = dumps(handle(read_document(source)))
    except InputRefused as refusal:
        complain(refusal.problems)
        return REFUSED
    sys.stdout.write(answer + "\n")
    sys.stdout.flush()
    return ANSWERED


def answer_lines(source: str | None, handle: Callable[[Any], Any]) -> int:
    """Answer one document a line, in order; a refused line is answered by its problems. Returns the exit code."""
    code = ANSWERED
    try:
        for number, raw in enumerate(_lines(source), 1):
            if not raw.strip():
                continue
            document: Any = None
            try:
                try:
                    text = raw.decode("utf-8")
                except UnicodeDecodeError:
                    refuse("$", "not UTF-8 text")
                document = parse(text)
                answer = dumps(handle(document))
            except InputRefused as refusal:
                code = REFUSED
                complain(refusal.problems, f"line {number}: ")
                answer = dumps({"id": _identity(document), "error": [str(p) for p in refusal.problems]})
            sys.stdout.write(answer + "\n")
    except InputRefused as refusal:
        complain(refusal.problems)
        code = REFUSED
    sys.stdout.flush()
    return code


def answer(source: str | None, handle: Callable[[Any], Any], *, jsonl: bool) -> int:
    """Answer a document, or with `jsonl` every line. Returns the exit code."""
    return (answer_lines if jsonl else answer_document)(source, handle)
