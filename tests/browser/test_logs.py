"""The search that every stack's logs go through when it ends."""

from pathlib import Path

import pytest

from tests.browser.logs import lines_that_name_someone


@pytest.mark.parametrize(
    "line", ["opened by Ximena Northcott", "to patient05@demo.example.org", "text to +17145550123"]
)
def test_a_line_with_a_person_in_it_is_found_in_every_log(tmp_path: Path, line: str) -> None:
    instance = tmp_path / "instance"
    (instance / "log").mkdir(parents=True)
    for file in (instance / "log" / "web.log", instance / "log" / "worker.log.1", tmp_path / "said.log"):
        file.write_text(f"patient 5 read\n{line}\n")
    assert len(lines_that_name_someone(instance)) == 3
