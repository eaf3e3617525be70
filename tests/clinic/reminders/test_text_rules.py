"""The clinic's own wording is a closed set of facts in braces, and no language that could reach further."""

import pytest

from clinic.reminders import text_rules
from clinic.reminders.wording import default_parts

REACHES = (
    "{clinic.__class__}", "{clinic.__init__.__globals__}", "{clinic!r}", "{clinic:>99999999}", "{clinic[0]}", "{0}", "{}",
    "{{ 7*7 }}", "{% for x in y %}", "{ clinic }", "{", "}",
)  # fmt: skip


def parts(text: str) -> dict[str, str]:
    return {**default_parts("day_before", "en"), "text": f"{{clinic}}: {{when}} {{link}} {text}"}


@pytest.mark.parametrize("text", [*REACHES, "{{clinic}}", "{settings}"])
def test_what_would_reach_further_is_refused(text) -> None:
    found = text_rules.problems("day_before", "en", parts(text), "Harbor", [], "https://clinic.example.org")
    assert any("is not known here" in each.words for each in found)


@pytest.mark.parametrize("text", REACHES)
def test_what_got_in_all_the_same_is_said_as_it_stands(text) -> None:
    """A wording from before a rule, or out of the database, is never evaluated."""
    said = text_rules.sample("day_before", "en", parts(text), "sms", "Harbor", [], "https://clinic.example.org").body
    assert said.startswith("Harbor: ")
    assert text.replace("  ", " ").strip() in said


def test_a_fact_that_nobody_knows_says_nothing() -> None:
    said = text_rules.sample(
        "day_before", "en", parts("{settings}"), "sms", "Harbor", [], "https://clinic.example.org"
    ).body
    assert "settings" not in said
    assert "{" not in said


@pytest.mark.parametrize("text", ["a\r\nBcc: b@example.org", "a\nb", "a\x00b", "a\x1bb"])
def test_a_subject_is_one_line_of_what_can_be_sent(text) -> None:
    wrong = {**default_parts("day_before", "en"), "subject": text}
    found = text_rules.problems("day_before", "en", wrong, "Harbor", [], "https://clinic.example.org")
    assert {each.part for each in found} == {"subject"}
