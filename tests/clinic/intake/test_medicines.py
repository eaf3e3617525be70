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


def test_a_draft_that_the_send_overtook_leaves_the_medicine_done(person) -> None:
    key = person.add_medicine("Zoloft")
    whole = {"drug": "Zoloft", "dose": "50-100", "weeks": "4-7", "at_dose": "all", "form": "a", "revision": "0"}
    person.client.post(f"/intake/medicines/{key}/1", data=whole)
    person.client.post(f"/intake/medicines/{key}/2", data={"outcome": "none", "form": "b", "revision": "1"})
    for late in (whole, {name: said for name, said in whole.items() if name != "at_dose"}):
        person.client.post(f"/intake/medicines/{key}/1/autosave", data=late)
    person.save(f"medicines/{key}/3", missed="1")
    (row,) = queries.trials(person.intake_id)
    assert queries.trial_leaf(row).is_complete
    assert queries.trial_leaf(row).values["at_dose"] == "all"


def test_a_draft_of_a_medicine_is_kept(person) -> None:
    key = person.add_medicine("Zoloft")
    answer = person.client.post(
        f"/intake/medicines/{key}/1/autosave", data={"drug": "Zoloft", "dose": "5", "form": "a"}
    )
    assert answer.json["revision"] == 1
    assert 'value="5"' in person.get(f"medicines/{key}/1").get_data(as_text=True)


def record_row(person) -> dict:
    return queries.record_of(person.intake_id)["trials"][0]


def test_brand_and_generic_stand_together_everywhere(person) -> None:
    person.known()
    key = person.add_medicine("Zoloft")
    for page in ("medicines", f"medicines/{key}/1", f"medicines/{key}/2", f"medicines/{key}/3", "review"):
        assert "Zoloft (sertraline)" in person.get(page).get_data(as_text=True)
    assert names(person) == ["Zoloft"], "what the person wrote is kept"


def test_the_generic_name_brings_its_brand(person) -> None:
    key = person.add_medicine("sertraline 50 mg")
    assert "sertraline 50 mg (Zoloft)" in person.get(f"medicines/{key}/1").get_data(as_text=True)


def test_a_look_alike_is_offered_and_never_guessed(person) -> None:
    key = person.add_medicine("Celebrex")
    html = person.get(f"medicines/{key}/1").get_data(as_text=True)
    assert "<h1>Celebrex</h1>" in html
    assert "Celexa (citalopram)" in html
    answer = person.save(f"medicines/{key}/1", drug="Celebrex", dose="20", rename="Celexa")
    assert answer.location.endswith(f"/{key}/1")
    assert names(person) == ["Celexa"]
    assert queries.trial_leaf(queries.trial(person.intake_id, key)).values["dose"] == "20"


def test_the_release_form_is_asked_only_where_the_name_leaves_it_open(person) -> None:
    key = person.add_medicine("Effexor")
    html = person.get(f"medicines/{key}/1").get_data(as_text=True)
    assert "Extended release (XR, ER)" in html
    person.save(f"medicines/{key}/1", drug="Effexor", release="xr")
    assert record_row(person)["formulation"] == "xr"
    person.save(f"medicines/{key}/1", drug="Effexor XR")
    assert "formulation" not in record_row(person)
    assert "Which kind was it?" not in person.get(f"medicines/{key}/1").get_data(as_text=True)


def test_a_patch_and_a_pill_are_told_apart(person) -> None:
    key = person.add_medicine("selegiline")
    assert "Patch on the skin" in person.get(f"medicines/{key}/1").get_data(as_text=True)
    person.save(f"medicines/{key}/1", drug="selegiline", release="patch")
    assert record_row(person)["formulation"] == "patch"


def test_a_level_is_asked_of_lithium_and_not_of_zoloft(person) -> None:
    lithium, zoloft = person.add_medicine("lithium"), person.add_medicine("Zoloft")
    assert "blood test" in person.get(f"medicines/{lithium}/1").get_data(as_text=True)
    assert "blood test" not in person.get(f"medicines/{zoloft}/1").get_data(as_text=True)
    person.save(f"medicines/{lithium}/1", drug="lithium", level="yes")
    assert record_row(person)["level_therapeutic"] is True


def test_the_steps_of_a_dose_are_asked_only_where_it_changed(person) -> None:
    key = person.add_medicine("Zoloft")
    answer = person.save(f"medicines/{key}/1", drug="Zoloft", dose="150", at_dose="changed")
    assert answer.location.endswith(f"/{key}/4")
    answer = person.save(
        f"medicines/{key}/4", step1_dose="50", step1_weeks="2", step2_dose="100", step2_weeks="2-3", step3_dose="150"
    )
    assert answer.location.endswith(f"/{key}/2")
    assert record_row(person)["steps"] == [
        {"dose": 50, "weeks": 2},
        {"dose": 100, "weeks": [2, 3]},
        {"dose": 150},
    ]
    person.save(f"medicines/{key}/1", drug="Zoloft", dose="150", at_dose="all")
    assert "steps" not in record_row(person)


def test_a_step_that_is_no_number_is_explained_and_kept(person) -> None:
    key = person.add_medicine("Zoloft")
    answer = person.save(f"medicines/{key}/4", step1_dose="some", step2_weeks="a while")
    assert answer.status_code == 422
    assert 'value="a while"' in answer.get_data(as_text=True)


def test_words_are_asked_for_what_stopped_it(person) -> None:
    key = person.add_medicine("Zoloft")
    for stopped, asked in (("side_effects", "Which side effects"), ("could_not", "Which illness"), ("cost", "")):
        person.save(f"medicines/{key}/2", stopped=stopped)
        html = person.get(f"medicines/{key}/3").get_data(as_text=True)
        assert [words for words in ("Which side effects", "Which illness") if words in html] == (
            [asked] if asked else []
        )


def test_what_could_not_be_taken_says_why(person) -> None:
    key = person.add_medicine("Zoloft")
    person.save(f"medicines/{key}/2", stopped="could_not")
    assert record_row(person)["contraindicated"] == "another illness or medicine"
    person.save(f"medicines/{key}/3", in_the_way="A heart rhythm problem")
    assert record_row(person) == {
        "drug": "Zoloft",
        "stopped_reason": "other",
        "contraindicated": "A heart rhythm problem",
    }


def test_a_side_effect_has_its_month(person) -> None:
    key = person.add_medicine("Zoloft")
    person.save(f"medicines/{key}/2", stopped="side_effects")
    answer = person.save(f"medicines/{key}/3", side_effects="Nausea", side_effect_month="4")
    assert answer.status_code == 422
    person.save(f"medicines/{key}/3", side_effects="Nausea", side_effect_month="4", side_effect_year="2026")
    row = record_row(person)
    assert (row["side_effect"], row["side_effect_on"]) == ("Nausea", "2026-04")


# -- taken now ------------------------------------------------------------------------------------------------------


def test_medicines_taken_now_are_added_one_by_one(person) -> None:
    for name in ("Metformin", "fish oil", "metformin"):
        html = person.get("taking").get_data(as_text=True)
        data = {"drug": name, "add": "1", "names": [n for n in ("Metformin", "fish oil") if f'value="{n}"' in html]}
        assert person.save("taking", **data).location.endswith("/intake/taking")
    assert queries.record_of(person.intake_id)["current_medicines"] == ["Metformin", "fish oil"]
    person.save("taking", names=["Metformin", "fish oil"], remove="Metformin")
    assert queries.record_of(person.intake_id)["current_medicines"] == ["fish oil"]


def test_a_name_that_was_typed_and_not_added_joins_the_list(person) -> None:
    assert person.save("taking", drug="Zoloft").location.endswith("/intake/taking")
    html = person.get("taking").get_data(as_text=True)
    assert "Zoloft (sertraline)" in html
    assert person.save("taking", names=["Zoloft"]).location.endswith("/intake/therapy")


def test_nothing_else_is_an_answer_and_not_sure_is_none(person) -> None:
    person.save("taking", none="y")
    assert queries.record_of(person.intake_id)["current_medicines"] == []
    person.save("taking", none_not_sure="y")
    assert "current_medicines" not in queries.record_of(person.intake_id)


def test_a_draft_does_not_empty_the_list(person) -> None:
    person.save("taking", drug="Zoloft", add="1")
    person.client.post("/intake/taking/autosave", data={"names": "Zoloft", "drug": "Pro", "form": "b", "revision": "1"})
    assert queries.record_of(person.intake_id)["current_medicines"] == ["Zoloft"]
