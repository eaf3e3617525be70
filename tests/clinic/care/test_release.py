"""A summary is prepared, released, replaced and taken back; nothing of it is seen before."""

import pytest
from sqlalchemy import select

from clinic.care import operations, queries
from clinic.care.models import PlanItem, Release
from clinic.db import db
from clinic.errors import Conflict, Invalid
from clinic.patients.models import LinkRequest
from tests.builders import eligible_record, failed_trial, make_patient
from tests.clinic.care.conftest import STEP_ON, send


def test_a_release_writes_to_the_person_and_puts_the_next_step_on_the_plan(person, release) -> None:
    release(person)
    assert [row.purpose for row in db.session.scalars(select(LinkRequest))] == ["sign_in"]
    item = db.session.scalars(select(PlanItem)).one()
    assert (item.text, item.due_on, item.for_patient) == ("Talk with your doctor.", STEP_ON, True)


def test_without_a_channel_it_is_released_and_nobody_is_written_to(release) -> None:
    patient = make_patient(email=None, phone=None)
    send(patient, eligible_record())
    release(patient)
    assert queries.present_release(patient.id) is not None
    assert db.session.scalars(select(LinkRequest)).all() == []


def test_a_new_release_replaces_the_one_before(person, release) -> None:
    first = release(person)
    second = release(person, step="See us again.")
    rows = {row.id: row for row in queries.releases(person.id)}
    assert rows[first].withdrawn_at is not None
    assert rows[first].withdrawn_reason is None
    assert rows[second].withdrawn_at is None
    assert sorted(row.state for row in queries.plan(person.id)) == ["dropped", "open"]


@pytest.mark.parametrize(
    ("step", "on", "field"),
    [
        ("", STEP_ON, "next_step"),
        ("See us.", None, "next_step_on"),
        ("See us.", STEP_ON.replace(month=1), "next_step_on"),
    ],
)
def test_no_release_without_a_next_step_that_has_a_date_ahead(person, release, step, on, field) -> None:
    with pytest.raises(Invalid) as refused:
        release(person, step=step, on=on)
    assert refused.value.details["fields"] == [field]


@pytest.mark.parametrize(
    "words",
    [
        "You are likely eligible for it.",
        "Your plan approved it.",
        "Maudsley says nine.",
        "Because of the alcohol.",
        "There was a seizure once.",
        "You failed this medicine.",
        "Usted es elegible.",
    ],
)
def test_a_line_with_a_word_that_a_patient_does_not_see_is_refused_and_named(person, release, words) -> None:
    def spoil(content) -> None:
        content["lines"][1]["text"] = words

    with pytest.raises(Invalid) as refused:
        release(person, change=spoil)
    assert refused.value.details["fields"] == ["trial 2"]
    assert queries.present_release(person.id) is None


def test_a_line_that_is_left_out_may_hold_anything(person, release) -> None:
    def leave_out(content) -> None:
        content["lines"][1] |= {"text": "failed", "keep": False}

    release(person, change=leave_out)
    assert [line["key"] for line in queries.present_release(person.id).content["lines"]] == ["trial 1"]


def test_a_draft_of_an_older_assessment_is_not_released(person, draft, doctor) -> None:
    revision = draft(person)
    send(person, eligible_record(trials=[failed_trial("sertraline", 50)]))
    with pytest.raises(Conflict, match="newer assessment"):
        operations.release(person.id, revision=revision, staff_id=doctor[0], by=doctor[1])


def test_the_second_tab_is_told_that_the_draft_changed(person, draft, doctor) -> None:
    revision = draft(person)
    content = queries.draft(person.id).content
    common = {"next_step": "x", "next_step_on": STEP_ON, "staff_id": doctor[0], "by": doctor[1]}
    operations.save_draft(person.id, content, revision=revision, **common)
    with pytest.raises(Conflict):
        operations.save_draft(person.id, content, revision=revision, **common)
    with pytest.raises(Conflict):
        operations.release(person.id, revision=revision, staff_id=doctor[0], by=doctor[1])


def test_what_is_taken_back_keeps_its_reason_and_drops_its_step(person, release, doctor) -> None:
    release_id = release(person)
    with pytest.raises(Invalid):
        operations.withdraw(release_id, reason=" ", staff_id=doctor[0], by=doctor[1])
    operations.withdraw(release_id, reason="Wrong dose.", staff_id=doctor[0], by=doctor[1])
    assert queries.present_release(person.id) is None
    assert db.session.get_one(Release, release_id).withdrawn_reason == "Wrong dose."
    assert [row.state for row in queries.plan(person.id)] == ["dropped"]
    with pytest.raises(Conflict):
        operations.withdraw(release_id, reason="Again.", staff_id=doctor[0], by=doctor[1])
