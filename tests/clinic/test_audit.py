"""The trail: every event sealed once, and whatever is done to a copy of it is found."""

import itertools
from datetime import timedelta
from threading import Thread

import pytest
from sqlalchemy import text

from clinic import audit, clock
from clinic.audit import sealing
from clinic.audit.sealing import seal
from clinic.audit.verifying import verify
from clinic.db import db, transaction, use_keys
from tests.builders import TESTER


def write(count: int = 3, **more) -> None:
    with transaction():
        for number in range(count):
            audit.record_event("tests", number, "tried", by=TESTER, reason=f"because {number}", **more)


def kinds(report) -> list[str]:
    return [problem.kind for problem in report.problems]


@pytest.fixture
def trail(database, now, tmp_path, monkeypatch):
    """Nine events in three seals, their ids in order, and the file beside."""
    monkeypatch.setattr(sealing, "anchor_file", lambda: tmp_path / "anchor")
    for _ in range(3):
        write()
        assert seal() == 3
    database.session.commit()
    return database.session.scalars(text("SELECT id FROM audit_events ORDER BY id")).all()


def change(statement: str, **values) -> None:
    db.session.execute(text(statement), values)
    db.session.commit()
    db.session.expunge_all()


def test_a_whole_trail_has_no_problem(trail, tmp_path) -> None:
    report = verify([tmp_path / "anchor"])
    assert (report.problems, report.events, report.sealed, report.seals) == ([], 9, 9, 3)
    assert (report.unsealed, report.anchored, report.unsigned) == (0, 3, 0)


def test_nothing_new_makes_no_seal(trail) -> None:
    assert seal() == 0


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("action", "'other'"),
        ("actor_key", "'9'"),
        ("detail", """'{"a": 1}'"""),
        ("patient_id", "7"),
        ("entity_id", "'99'"),
        ("occurred_at", "occurred_at + interval '1 microsecond'"),
        ("reason", "NULL"),
        ("reason", "origin"),
        ("origin", "NULL"),
        ("origin", "'x'::bytea"),
        ("content_hash", "sha256('x')"),
    ],
)
def test_an_altered_value_is_found(trail, column, value) -> None:
    change(f"UPDATE audit_events SET {column} = {value} WHERE id = :id", id=trail[4])
    report = verify()
    assert set(kinds(report)) == {"altered"}
    assert {problem.at for problem in report.problems} == {f"event {trail[4]}"}


def test_an_altered_row_with_a_hash_made_anew_is_found(trail) -> None:
    event = db.session.get_one(audit.AuditEvent, trail[4])
    event.action = "other"
    event.content_hash = audit.content_hash(event)
    db.session.commit()
    assert kinds(verify()) == ["altered"]


@pytest.mark.parametrize("place", [0, 4, 8])
def test_a_removed_row_is_found(trail, place) -> None:
    change("DELETE FROM audit_events WHERE id = :id", id=trail[place])
    assert [(p.kind, p.at) for p in verify().problems] == [("removed", f"event {trail[place]}")]


def test_rows_that_changed_places_are_found(trail) -> None:
    first, second = trail[1], trail[6]
    for old, new in ((first, -1), (second, first), (-1, second)):
        change("UPDATE audit_events SET id = :new WHERE id = :old", new=new, old=old)
    assert [(p.kind, p.at) for p in verify().problems] == [("moved", f"event {first}"), ("moved", f"event {second}")]


def test_a_row_with_an_old_id_is_found(trail) -> None:
    change("DELETE FROM audit_events WHERE id = :id", id=trail[4])
    write(1)
    late = db.session.scalar(text("SELECT max(id) FROM audit_events"))
    change("UPDATE audit_events SET id = :id WHERE id = :late", id=trail[4], late=late)
    assert kinds(verify()) == ["altered"]


@pytest.mark.parametrize(
    "what", ["chain = sha256('x')", "ids = ids[2:3] || ids[1]", "sealed_at = now()", "mac = sha256('x')"]
)
def test_a_seal_that_was_tampered_with_is_found(trail, what) -> None:
    change(f"UPDATE audit_seals SET {what} WHERE number = 2")
    assert "seal" in kinds(verify())


def test_a_chain_made_anew_without_the_key_is_found(trail) -> None:
    """Whoever has the database alone can compute every hash, but sign none."""
    change("DELETE FROM audit_events WHERE id = :id", id=trail[8])
    row = db.session.get_one(sealing.AuditSeal, 3)
    before = db.session.get_one(sealing.AuditSeal, 2)
    row.ids, row.hashes, row.last_id = row.ids[:2], row.hashes[:64], trail[7]
    row.chain = sealing.chain(before.chain, row)
    db.session.commit()
    assert [(p.kind, p.text) for p in verify().problems] == [("seal", "its signature is not ours")]


def test_a_tail_cut_off_with_its_seals_is_found_beside_the_database(trail, tmp_path) -> None:
    change("DELETE FROM audit_events WHERE id >= :id", id=trail[6])
    change("DELETE FROM audit_seals WHERE number = 3")
    assert verify().problems == []
    assert [(p.kind, p.at) for p in verify([tmp_path / "anchor"]).problems] == [("anchor", "line 3")]


def test_a_missing_seal_is_found(trail) -> None:
    change("DELETE FROM audit_seals WHERE number = 2")
    assert "seal" in kinds(verify())


def test_a_torn_or_missing_anchor_is_said(trail, tmp_path) -> None:
    (tmp_path / "anchor").write_text((tmp_path / "anchor").read_text()[:-20])
    assert kinds(verify([tmp_path / "anchor", tmp_path / "none"])) == ["anchor"]


def test_the_unsealed_tail_has_an_age(trail, at) -> None:
    write(2)
    with at(clock.now() + timedelta(minutes=5)):
        report = verify()
        assert (report.unsealed, report.problems, report.is_tail_old) == (2, [], True)
        seal()
        assert verify().unsealed == 0


def test_an_event_that_commits_late_is_sealed_late(trail) -> None:
    """Ids are drawn in one order and committed in another."""
    write(3)
    row = db.session.get_one(audit.AuditEvent, trail[8] + 2)
    late = {column.name: getattr(row, column.name) for column in audit.AuditEvent.__table__.columns}
    db.session.delete(row)
    db.session.commit()
    assert seal() == 2
    assert verify().missing[-1] == (trail[8] + 2, trail[8] + 2)
    db.session.add(audit.AuditEvent(**late))
    db.session.commit()
    assert verify().problems == []
    assert seal() == 1
    assert trail[8] + 2 not in [first for first, _, _ in db.session.get_one(sealing.AuditSeal, 5).missing]


def test_an_id_that_never_came_is_not_waited_for_after_a_day(trail, at) -> None:
    write(1)
    change("DELETE FROM audit_events WHERE id = (SELECT max(id) FROM audit_events)")
    write(1)
    seal()
    assert db.session.get_one(sealing.AuditSeal, 4).missing != []
    with at(clock.now() + timedelta(days=2)):
        write(1)
        seal()
        assert db.session.get_one(sealing.AuditSeal, 5).missing == []


def test_seals_of_a_key_that_was_lost_are_counted_and_the_chain_still_holds(trail, settings) -> None:
    try:
        use_keys(["another key"])
        report = verify()
    finally:
        use_keys(settings.data_keys)
    assert report.unsigned == 3
    assert "seal" not in kinds(report)


def test_an_erased_event_needs_a_deletion_on_record(trail) -> None:
    write(1, patient_id=7)
    key = trail[8] + 1
    seal()
    change("UPDATE audit_events SET reason = NULL, origin = NULL, erased_at = now() WHERE id = :id", id=key)
    assert kinds(verify()) == ["erased"]
    with transaction():
        audit.record_event("patients", 7, "erased", by=TESTER, patient_id=7)
    assert verify().problems == []


@pytest.mark.races
def test_many_sealers_at_once_seal_each_event_once(committed_app, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sealing, "anchor_file", lambda: tmp_path / "anchor")
    faults: list[Exception] = []

    def run(work) -> None:
        try:
            with committed_app.app_context():
                for _ in range(12):
                    work()
                    db.session.remove()
        except Exception as error:  # noqa: BLE001 - whatever ended a thread is the finding
            faults.append(error)

    threads = [Thread(target=run, args=[work]) for work in itertools.islice(itertools.cycle([write, seal]), 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with committed_app.app_context():
        while seal():
            pass
        report = verify([tmp_path / "anchor"])
        assert faults == []
        assert (report.problems, report.unsealed, report.events) == ([], 0, 3 * 12 * 3)
