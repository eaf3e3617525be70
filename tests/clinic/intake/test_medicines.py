"""The list of medicines: in order, each row once, removed and brought back."""

import uuid

from clinic.intake import queries

NAMES = [
    "Prozac",
    "Zoloft",
    "Lexapro",
    "Wellbutrin",
    "Effexor",
    "Cymbalta",
    "Remeron",
    "Pamelor",
    "Nardil",
    "Lithium",
    "Abilify",
    "Trintellix",
]


def names(person) -> list[str]:
    return [queries.trial_leaf(row).values["drug"] for row in queries.trials(person.intake_id)]


def test_twelve_medicines_keep_their_order(person) -> None:
    for name in NAMES:
        person.add_medicine(name)
    assert names(person) == NAMES
    assert [row["drug"] for row in queries.record_of(person.intake_id)["trials"]] == NAMES


def test_the_same_send_twice_is_one_row(person) -> None:
    key = str(uuid.uuid4())
    for _ in range(2):
        answer = person.client.post("/intake/medicines", data={"key": key, "drug": "Zoloft", "add": "1"})
    assert answer.location.endswith(f"/intake/medicines/{key}/1")
    assert names(person) == ["Zoloft"]


def test_three_short_pages_make_a_medicine(person) -> None:
    key = person.add_medicine("Zoloft")
    first = person.save(f"medicines/{key}/1", drug="Zoloft", dose="50-100", weeks="4-7", at_dose="all")
    assert first.location.endswith(f"/{key}/2")
    second = person.save(f"medicines/{key}/2", outcome="lost_response")
    assert second.location.endswith(f"/{key}/3")
    assert person.save(f"medicines/{key}/3", missed="1").location.endswith("/intake/medicines")
    assert queries.record_of(person.intake_id)["trials"] == [
        {
            "drug": "Zoloft",
            "dose_mg_per_day": [50, 100],
            "weeks": [4, 7],
            "weeks_at_dose": [4, 7],
            "adherence": "good",
            "outcome": "lost_response",
        }
    ]


def test_an_answer_that_is_taken_back_is_gone(person) -> None:
    key = person.add_medicine("Zoloft")
    person.save(f"medicines/{key}/1", drug="Zoloft", dose="50")
    person.save(f"medicines/{key}/1", drug="Zoloft", dose_not_sure="y")
    assert queries.record_of(person.intake_id)["trials"] == [{"drug": "Zoloft"}]


def test_a_removed_medicine_comes_back_where_it_stood(person) -> None:
    keys = [person.add_medicine(name) for name in ("Prozac", "Zoloft", "Lexapro")]
    answer = person.client.post(f"/intake/medicines/{keys[1]}/remove")
    assert names(person) == ["Prozac", "Lexapro"]
    page = person.client.get(answer.location).get_data(as_text=True)
    assert "Zoloft was taken off your list" in page
    person.client.post(f"/intake/medicines/{keys[1]}/restore")
    assert names(person) == ["Prozac", "Zoloft", "Lexapro"]


def test_an_end_before_the_start_offers_the_year_that_was_meant(person) -> None:
    key = person.add_medicine("Lexapro")
    answer = person.save(f"medicines/{key}/2", from_month="3", from_year="2025", to_month="1", to_year="2025")
    html = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "Did you mean January 2026?" in html
    assert "Use 2026" in html


def test_going_on_with_a_typed_name_adds_it(person) -> None:
    answer = person.save("medicines", drug="Zoloft")
    assert "/1" in answer.location
    assert names(person) == ["Zoloft"]


def test_adding_without_a_name_asks_for_one(person) -> None:
    assert person.save("medicines", add="1").status_code == 422


def test_the_medicine_of_another_form_is_not_found(person, another) -> None:
    key = person.add_medicine("Zoloft")
    stranger = another()
    stranger.post("/intake/start")
    assert stranger.get(f"/intake/medicines/{key}/1").status_code == 404
    assert stranger.post(f"/intake/medicines/{key}/remove").status_code == 404


def test_a_list_has_an_end(person, monkeypatch) -> None:
    monkeypatch.setattr("clinic.intake.operations.MAX_TRIALS", 1)
    person.add_medicine("Zoloft")
    answer = person.save("medicines", drug="Prozac", add="1")
    assert answer.status_code == 422
    assert names(person) == ["Zoloft"]


def test_a_draft_of_a_medicine_is_kept(person) -> None:
    key = person.add_medicine("Zoloft")
    answer = person.client.post(
        f"/intake/medicines/{key}/1/autosave", data={"drug": "Zoloft", "dose": "5", "form": "a"}
    )
    assert answer.json["revision"] == 1
    assert 'value="5"' in person.get(f"medicines/{key}/1").get_data(as_text=True)
