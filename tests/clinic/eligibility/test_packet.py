"""What a packet says: every statement rests on stored facts, and what is missing is named, never guessed."""

import io
import re
import time
from datetime import UTC, date, datetime
from typing import Any

import pypdf
import pytest

from clinic.eligibility.engine import IntakeRecord, assess, knowledge
from clinic.eligibility.packet import build
from clinic.eligibility.packet_parts import Approval, Facts, File, OwnWords, Packet, Person, Plan, ScoreFact, Statement
from clinic.eligibility.packets import TEMPLATE
from clinic.web import pdf
from tests.builders import eligible_record

NORIDIAN = "cms_l37086_l37088_noridian"
AETNA = "aetna_cpb_0469"
OWN = "Patient's own words, form sent November 20, 2026"


def facts(policy_id: str = NORIDIAN, record: dict[str, Any] | None = None, **overrides: Any) -> Facts:
    given = record if record is not None else eligible_record(as_of="2026-11-20")
    result = assess(IntakeRecord.model_validate(given), policies=(policy_id,)).to_json()
    values: dict[str, Any] = {
        "person": Person(name="Ada Example", birth_date=date(1980, 5, 17), record_number="D-10001"),
        "clinic": "Harbor Clinic",
        "clinic_phone": "(714) 555-0100",
        "clinic_address": "1 Main Street",
        "assessment_id": 7,
        "record": given,
        "result": result,
        "policy": knowledge.policy(policy_id),
        "evaluation": next(each for each in result["policies"] if each["id"] == policy_id),
        "policy_state": "on",
        "sent_on": date(2026, 11, 20),
        "origins": {},
        "default_origin": OWN,
        "approval": Approval(id=3, by="Dr. Ortiz", on=date(2026, 11, 21), is_override=False),
        "plan": Plan(key="tms_10hz_left_standard", version=1, name="10 Hz left DLPFC", sessions=36, visits=36),
    }
    return Facts(**values | overrides)


def dated(record: dict[str, Any]) -> dict[str, Any]:
    for trial in record["trials"]:
        trial |= {"started_on": "2025-03", "stopped_on": "2026-01"}
    return record


def statement(made: Packet, words: str) -> Statement:
    [found] = [each for each in made.evidence if words in each.text]
    return found


def keys(made: Packet) -> set[str]:
    return {hole.key for hole in made.holes}


def test_statements_are_numbered_without_gaps_and_each_rests_on_a_stored_fact() -> None:
    made = build(facts())
    assert [each.id for each in made.evidence] == [f"E{n}" for n in range(1, len(made.evidence) + 1)]
    assert all(each.sources for each in made.evidence)
    assert all(source.path and source.shown and source.origin for each in made.evidence for source in each.sources)


def test_a_gene_test_is_named_by_kind_and_day_and_changes_nothing_else() -> None:
    test = File(id=4, kind="gene_test", about_on=date(2026, 3, 2), added_on=date(2026, 11, 20))
    made, without = build(facts(files=(test,))), build(facts())
    assert [(each.label, each.text) for each in made.attachments] == [("Attachment 1", "Gene test of March 2, 2026")]
    assert statement(made, "Gene test").sources[0].path == "attachments.4"
    assert ([each.status for each in made.criteria], keys(made)) == (
        [each.status for each in without.criteria],
        keys(without),
    )


def test_the_letter_only_repeats_statements() -> None:
    made = build(facts())
    known = {each.id for each in made.evidence}
    assert made.letter
    assert all(sentence.refs and set(sentence.refs) <= known for sentence in made.letter)


def test_a_medicine_names_its_facts_and_where_they_came_from() -> None:
    record = dated(eligible_record(as_of="2026-11-20"))
    record["trials"][0]["documentation"] = "pharmacy"
    origins = {"trials[0]": "Form, documented by pharmacy record", "trials[0].dose_mg_per_day": "Entered by Nurse Lin"}
    made = build(facts(record=record, origins=origins))
    found = {source.path: (source.shown, source.origin) for source in statement(made, "Medicine 1").sources}
    assert found["trials[0].dose_mg_per_day"] == ("150", "Entered by Nurse Lin")
    assert found["trials[0].weeks_at_dose"] == ("8", "Form, documented by pharmacy record")
    row = made.trials[0]
    assert (row.name, row.drug_class, row.dose, row.weeks_at_dose) == ("sertraline", "SSRI", "150 mg a day", "8 weeks")
    assert (row.dates, row.outcome, row.stopped) == (
        "March 2025 to January 2026",
        "no improvement",
        "did not help enough",
    )
    assert (row.grade, row.verdict) == ("A, pharmacy record", "counts")
    assert made.trials[1].grade == "C, patient's report"


def test_a_range_is_said_as_a_range() -> None:
    record = eligible_record(as_of="2026-11-20")
    record["trials"][0]["weeks_at_dose"] = [6, 9]
    assert build(facts(record=record)).trials[0].weeks_at_dose == "6 to 9 weeks"


@pytest.mark.parametrize(
    ("lost", "key"),
    [
        (("episode", "diagnosis"), "episode.diagnosis"),
        (("episode", "severity"), "episode.severity"),
        (("safety", "metal_in_head"), "safety.metal_in_head"),
        (("phq9",), "phq9"),
        (("trials",), "trials"),
        (("psychotherapy",), "psychotherapy"),
        (("age",), "age"),
    ],
)
def test_a_fact_that_is_missing_is_a_hole_and_no_statement(lost: tuple[str, ...], key: str) -> None:
    record = dated(eligible_record(as_of="2026-11-20", psychotherapy=[{"type": "cbt", "sessions": 12}]))
    at = record
    for part in lost[:-1]:
        at = at[part]
    at.pop(lost[-1])
    made = build(facts(record=record))
    assert key in keys(made)
    path = ".".join(lost)
    assert not [each for each in made.evidence for source in each.sources if source.path == path]
    hole = next(hole for hole in made.holes if hole.key == key)
    assert hole.text
    assert hole.filled_by
    assert hole.role in ("prescriber", "nurse", "manager")


def test_the_word_unknown_is_no_answer() -> None:
    record = eligible_record(as_of="2026-11-20")
    record["episode"]["diagnosis"] = "unknown"
    record["trials"][0]["outcome"] = "unknown"
    made = build(facts(record=record))
    assert {"episode.diagnosis", "trials[0]"} <= keys(made)
    assert made.trials[0].outcome == ""
    assert "how much it helped" in next(hole.text for hole in made.holes if hole.key == "trials[0]")


def test_a_row_that_the_request_does_not_rest_on_leaves_no_hole() -> None:
    record = dated(eligible_record(as_of="2026-11-20"))
    record["trials"].append({"drug": "trazodone", "dose_mg_per_day": 50, "purpose": "sleep"})
    made = build(facts(record=record))
    assert "trials[2]" not in keys(made)
    assert made.trials[2].verdict == "does not count"


def test_without_a_decision_nobody_is_said_to_order_it() -> None:
    made = build(facts(approval=None))
    assert "decision" in keys(made)
    assert not any("Ordered by" in each.text for each in made.evidence)


def test_without_a_protocol_no_number_of_sessions_is_asked_for() -> None:
    made = build(facts(plan=None))
    assert "protocol" in keys(made)
    assert "36" not in made.letter[0].text


def test_each_criterion_is_met_not_met_or_a_hole() -> None:
    made = build(facts())
    by_code = {line.code: line for line in made.criteria}
    assert by_code["failed_trials"].status == "met"
    assert by_code["severity"].status == "unmet"
    assert by_code["psychotherapy"].status == "unknown"
    assert by_code["exclusion_current_psychotic_symptoms"].answer == "Does not apply"
    for line in made.criteria:
        assert bool(line.ref) != bool(line.holes)
        assert (line.status == "unknown") == bool(line.holes)


def test_what_our_file_of_a_policy_does_not_say_is_a_hole_for_whoever_checks_policies() -> None:
    made = build(facts(AETNA))
    hole = next(hole for hole in made.holes if hole.key == f"policy:{AETNA}:psychotherapy")
    assert (hole.text, hole.role) == ("The policy's own rule: whether psychotherapy is asked for", "manager")


def test_what_no_fact_can_show_is_left_to_a_person() -> None:
    made = build(facts())
    assert f"check:{NORIDIAN}:ordered_by" in keys(made)


def test_the_letter_names_what_was_denied_only_where_it_was_asked() -> None:
    record = eligible_record(as_of="2026-11-20")
    del record["safety"]["seizure_history"]
    record["safety"]["cochlear_implant"] = True
    letter = " ".join(sentence.text for sentence in build(facts(record=record)).letter)
    assert "pacemaker" in letter
    assert "seizure" not in letter
    assert "cochlear" not in letter


def score(instrument: str, total: int, on: date) -> ScoreFact:
    return ScoreFact(instrument=instrument, total=total, taken_on=on, path="scores.9", origin="Check-in")


def test_every_score_has_its_day_and_the_letter_repeats_the_newest_scale() -> None:
    more = (
        score("isi", 20, date(2026, 12, 9)),
        score("phq9", 12, date(2026, 12, 1)),
        score("madrs", 30, date(2026, 10, 1)),
    )
    made = build(facts(scores=more))
    assert [(line.label, line.text) for line in made.scores] == [
        ("PHQ-9", "16 of 27, November 20, 2026, moderately severe"),
        ("ISI", "20 of 28, December 9, 2026"),
        ("PHQ-9", "12 of 27, December 1, 2026"),
        ("MADRS", "30 of 60, October 1, 2026"),
    ]
    assert any("PHQ-9 12 of 27, December 1, 2026" in sentence.text for sentence in made.letter)


def test_unmet_criteria_are_said_in_the_open() -> None:
    assert any("1 not met" in sentence.text for sentence in build(facts()).letter)


@pytest.mark.parametrize("state", ["off", "stale", "changed"])
def test_a_policy_that_is_not_verified_is_said_on_the_document(state: str) -> None:
    assert len(build(facts(policy_state=state)).warnings) == 1
    assert build(facts(policy_state="on")).warnings == ()


def test_more_sessions_than_the_policy_names_is_told_to_the_sender_only() -> None:
    made = build(facts())
    assert any("names 25 at first" in line for line in made.advice)
    assert made.warnings == ()


def test_answers_for_clinical_roles_are_marked() -> None:
    made = build(facts(AETNA))
    private = {each.text for each in made.evidence if each.is_private}
    assert any("substance abuse" in text for text in private)
    assert not any("Cochlear" in text for text in private)


def test_the_same_facts_give_the_same_packet() -> None:
    assert build(facts()).to_json() == build(facts()).to_json()


@pytest.mark.parametrize("policy_id", knowledge.policy_ids())
def test_every_policy_makes_a_packet(policy_id: str) -> None:
    for record in (eligible_record(as_of="2026-11-20"), {}):
        made = build(facts(policy_id, record, approval=None, plan=None))
        assert {line.ref for line in made.criteria if line.ref} <= {each.id for each in made.evidence}
        assert {hole for line in made.criteria for hole in line.holes} <= {hole.id for hole in made.holes}


# -- the PDF ----------------------------------------------------------------------------------------------------------

AT = datetime(2026, 11, 23, 18, tzinfo=UTC)


def printed(made: Packet) -> bytes:
    data = {
        "packet": made.to_json(),
        "title": "Request for prior authorization, D-10001",
        "clinic": "Harbor Clinic",
        "record_number": "D-10001",
        "printed": "Printed November 23, 2026, 10:00 PST",
        "words_on": "November 21, 2026",
        "draft": False,
    }
    return pdf.render(TEMPLATE, data, at=AT)


def plain(text: str) -> str:
    """Without spaces and breaks, which lie where the page is full."""
    return re.sub(r"[\s\u200b-]+", "", text).replace("’", "'")


def text_of(data: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(data)).pages)


@pytest.mark.parametrize("policy_id", [NORIDIAN, AETNA, "uhc_spravato", "bcbs_mp_170"])
def test_every_statement_and_every_hole_is_printed_with_its_number(policy_id: str) -> None:
    words = OwnWords(text="She has asked for this since spring. #let x = [", by="Dr. Ortiz", on=date(2026, 11, 21))
    made = build(facts(policy_id, own_words=words, policy_state="off"))
    found = plain(text_of(printed(made)))
    for each in made.evidence:
        assert plain(f"{each.id} {each.text}") in found
        assert all(plain(f"{source.path}: {source.shown} ({source.origin})") in found for source in each.sources)
    for hole in made.holes:
        assert plain(f"{hole.id} {hole.text}. {hole.because}") in found
    for sentence in made.letter:
        assert plain(f"{sentence.text} [{', '.join(sentence.refs)}]") in found
    assert plain(words.text) in found
    assert plain(made.warnings[0]) in found
    assert "None" not in text_of(printed(made))
    assert "none)" not in text_of(printed(made))


def test_a_page_tells_its_number_and_when_it_was_printed() -> None:
    made = build(facts())
    pages = pypdf.PdfReader(io.BytesIO(printed(made))).pages
    for number, page in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in page.extract_text()
        assert "D-10001 · Printed November 23, 2026" in page.extract_text()


def test_many_medicines_repeat_the_head_of_the_table() -> None:
    record = eligible_record(as_of="2026-11-20")
    record["trials"] = [dict(record["trials"][0], drug="d" * 200) for _ in range(40)]
    pages = pypdf.PdfReader(io.BytesIO(printed(build(facts(record=record))))).pages
    heads = [page for page in pages if "Evidence grade" in " ".join(page.extract_text().split())]
    assert len(heads) >= 3


def test_a_packet_is_set_in_under_a_second() -> None:
    record = dated(eligible_record(as_of="2026-11-20"))
    record["trials"] *= 6
    made = build(facts(record=record))
    printed(made)
    begun = time.perf_counter()
    printed(build(facts(record=record, assessment_id=8)))
    assert time.perf_counter() - begun < 1


def test_the_same_packet_gives_the_same_bytes() -> None:
    assert printed(build(facts())) == printed(build(facts()))
