"""Every page is looked at in a real browser, at every width and in both schemes, or says why it is not."""

import re
from collections import Counter
from itertools import chain
from pathlib import Path

from clinic.web.access import Audience
from tests.architecture.test_routes import routes
from tests.browser import seen

BROWSER = Path(__file__).parents[1] / "browser"


def test_every_page_is_looked_at_or_says_why_not(app) -> None:
    answering = [
        rule.rule for rule, access, _, method in routes(app) if method == "GET" and access.audience != Audience.TOKEN
    ]
    assert set(chain(*seen.LOOKED_AT.values(), *seen.LEFT_OUT.values())) == set(answering), "see tests/browser/seen.py"


def test_every_page_is_listed_once() -> None:
    listed = Counter(chain(*seen.LOOKED_AT.values(), *seen.LEFT_OUT.values()))
    assert [rule for rule, times in listed.items() if times > 1] == []


def test_every_run_that_is_named_exists() -> None:
    runs = {
        name for file in BROWSER.glob("test_*.py") for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)
    }
    assert set(seen.LOOKED_AT) - runs == set()


def test_a_run_that_leaves_out_a_page_is_found_out() -> None:
    missed = seen.missed(
        "test_people_who_work_here", ["http://localhost/staff/people?q=a", "/staff/people/7", "/nowhere"]
    )
    assert missed == {"/staff/people/invite"}
