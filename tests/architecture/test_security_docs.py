"""What the security pages promise as shown is shown by something that exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("docs/security.md", "docs/threat-model.md", "docs/operating.md", "SECURITY.md")


@pytest.mark.parametrize("page", PAGES)
def test_every_file_and_test_that_is_named_exists(page) -> None:
    missing = []
    for name in re.findall(r"`((?:tests|docs|clinic)/[^`\s]+)`", (ROOT / page).read_text()):
        path, _, test = name.partition("::")
        file = ROOT / path
        if not file.exists() or (test and f"def {test}(" not in file.read_text()):
            missing.append(name)
    assert missing == []


def test_every_link_between_them_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(((?!https?:)[^)#]+)\)", (ROOT / page).read_text()):
            assert ((ROOT / page).parent / target).exists(), (page, target)
