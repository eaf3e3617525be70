"""What the logs of a running clinic say of its people: nothing but ids."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from clinic.demo.load import HERE


@cache
def marks() -> re.Pattern[str]:
    """Names, addresses and numbers of the demo's people, as they would stand in a line."""
    people: Any = yaml.safe_load((HERE / "people.yaml").read_text())
    names = "|".join(sorted(re.escape(x) for x in (*people["given"], *people["family"]) if len(x) > 3))
    return re.compile(rf"\b(?:{names})\b|patient\d\d@|\+?1?714555\d{{4}}|\b714.555.\d{{4}}")


def lines_that_name_someone(instance: Path) -> list[str]:
    """Of every log of an instance, and of what `clinic run` said, with the file's name."""
    files = [*sorted((instance / "log").glob("*.log*")), instance.with_name("said.log")]
    return [
        f"{file.name}: {line}"
        for file in files
        if file.exists()
        for line in file.read_text(errors="replace").splitlines()
        if marks().search(line)
    ]
