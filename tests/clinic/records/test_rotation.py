"""From one data key to the next while the clinic runs, and what is seen when a key is lost."""

from typing import Any

import pytest
from sqlalchemy import text

from clinic.audit.sealing import seal
from clinic.audit.verifying import verify
from clinic.db import Base, Blind, Keyring, db, keyring, use_keys
from clinic.errors import Conflict
from clinic.patients import queries
from clinic.records import rotation
from clinic.records.rotation import look, rotate
from tests.builders import TESTER, make_intake, make_patient, make_staff

OLD, NEW = "the old key 0123456789", "the new key 9876543210"


@pytest.fixture(autouse=True)
def keys(settings, monkeypatch, tmp_path):
    from clinic.audit import sealing

    monkeypatch.setattr(sealing, "anchor_file", lambda: tmp_path / "anchor")
    use_keys([OLD])
    yield
    use_keys(settings.data_keys)


@pytest.fixture
def people(database, now) -> Any:
    patient = make_patient(email="ana@example.org", phone="+17145550199")
    make_patient(email=None, phone=None)
    make_intake(patient)
    database.session.commit()
    seal()
    database.session.commit()
    return patient


def lies(table: str) -> dict[int, int]:
    return dict(look()[table].by_key)


def test_every_value_and_digest_moves_to_the_new_key(people) -> None:
    use_keys([NEW, OLD])
    assert set(lies("patients")) == {1}
    assert look()["patients"].stale_blinds == 2
    assert rotate(by=TESTER) > 4
    assert all(one.is_done for one in look().values())
    use_keys([NEW])
    db.session.expire_all()
    assert queries.get(people.id).email == "ana@example.org"
    assert queries.reached_at("ANA@example.org") == [people]
    assert queries.reached_at("(714) 555-0199") == [people]


def test_search_works_on_the_way(people) -> None:
    use_keys([NEW, OLD])
    assert queries.reached_at("ana@example.org") == [people]


def test_the_audit_trail_stays_whole(people) -> None:
    use_keys([NEW, OLD])
    rotate(by=TESTER)
    use_keys([NEW])
    report = verify()
    assert (report.problems, report.unsigned) == ([], 0)


def test_a_seal_that_was_not_ours_is_not_signed_anew(people) -> None:
    db.session.execute(text("UPDATE audit_seals SET mac = sha256('x')"))
    db.session.commit()
    use_keys([NEW, OLD])
    rotate(by=TESTER)
    assert {problem.kind for problem in verify().problems} == {"seal"}


def test_a_run_that_was_stopped_goes_on(people, monkeypatch) -> None:
    use_keys([NEW, OLD])
    monkeypatch.setattr(rotation, "encrypted_tables", lambda: [Base.metadata.tables["patients"]])
    first = rotate(by=TESTER)
    monkeypatch.undo()
    assert first >= 2
    assert rotate(by=TESTER) > 0
    assert rotate(by=TESTER) in (0, 1)  # the event of the run before was written under the newest key
    assert all(one.is_done for one in look().values())


def test_what_changes_meanwhile_is_not_overwritten(people, monkeypatch) -> None:
    use_keys([NEW, OLD])
    real = rotation._renewed

    def change_first(table: Any, row: Any) -> Any:
        new = real(table, row)
        if table.name == "patients" and row["id"] == people.id:
            db.session.execute(
                text("UPDATE patients SET given_name = :name WHERE id = :id"),
                {"name": keyring().encrypt("Changed"), "id": people.id},
            )
            db.session.commit()
        return new

    monkeypatch.setattr(rotation, "_renewed", change_first)
    rotate(by=TESTER)
    db.session.expire_all()
    assert queries.get(people.id).given_name == "Changed"


def test_a_lost_key_is_counted_and_stops_a_rotation(people) -> None:
    use_keys([NEW])
    assert set(lies("patients")) == {-1}
    with pytest.raises(Conflict, match="no data key opens"):
        rotate(by=TESTER)


def test_a_stolen_database_tells_no_name_and_no_contact(people) -> None:
    for table in Base.metadata.sorted_tables:
        dump = repr(db.session.execute(text(f'SELECT t::text FROM "{table.name}" t')).all())
        for secret in ("ana@example.org", "+17145550199", people.given_name, people.family_name, "1980-05-17"):
            assert secret not in dump, table.name


def test_secrets_of_authenticator_apps_move_to_the_new_signing_key(app, people, monkeypatch) -> None:
    from passlib.totp import TOTP

    old = TOTP.using(secrets={"1": "a" * 32})
    user = make_staff("nurse", tf_totp_secret=old.new().to_json(encrypt=True))
    db.session.commit()
    both = TOTP.using(secrets={"1": "a" * 32, "2": "b" * 32})
    monkeypatch.setattr(app.extensions["security"].totp_factory, "_totp", both)
    rotate(by=TESTER)
    db.session.expire_all()
    assert '"2"' in user.tf_totp_secret


def test_every_search_digest_has_the_column_that_it_is_of() -> None:
    loose = [
        column
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, Blind) and column.name.removesuffix("_blind") not in table.c
    ]
    assert loose == []


def test_a_keys_name_tells_nothing_of_it() -> None:
    assert Keyring([OLD]).names()[0] not in OLD
    assert len({*Keyring([OLD, NEW]).names()}) == 2
