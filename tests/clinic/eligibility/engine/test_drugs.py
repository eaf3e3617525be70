from dataclasses import asdict

import pytest

from clinic.eligibility.engine import drugs


@pytest.mark.parametrize(
    ("text", "ingredient"),
    [
        ("Prozac", "fluoxetine"),
        ("ZOLOFT 50mg", "sertraline"),
        ("  lexapro ", "escitalopram"),
        ("Wellbutrin XL 300 mg tablets", "bupropion"),
        ("bupropion hydrochloride", "bupropion"),
        ("Effexor-XR", "venlafaxine"),
        ("venlafaxine (Effexor)", "venlafaxine"),
        ("olanzapine/fluoxetine", "olanzapine_fluoxetine"),
        ("dextromethorphan-bupropion", "dextromethorphan_bupropion"),
        ("Auvelity", "dextromethorphan_bupropion"),
        ("Brintellix", "vortioxetine"),
        ("lithium carbonate 900 mg", "lithium"),
        ("trazodone 50mg at night", "trazodone"),
        ("Emsam 6 mg/24h patch", "selegiline_transdermal"),
        ("selegiline transdermal", "selegiline_transdermal"),
        ("the St. John's wort", "not_ad_st_johns_wort"),
    ],
)
def test_a_name_is_found_as_people_write_it(text, ingredient):
    assert drugs.find(text).drug.id == ingredient


@pytest.mark.parametrize(
    "text",
    [
        "Celebrex",
        "Tramadol",
        "Lamisil",
        "Lovenox",
        "clomiphene",
        "scitalopram",
        "fluvoxetine",
        "Paxel",
        "Lamictil",
        "tramadone",
        "xyz",
        "",
        "50 mg",
        "Zoloft or Celexa",
        "Lustral",
        "lithium orotate",
        "not Zoloft",
        "Luvoxx",  # too short a name to be sure of one slip
        "Sellexa",  # two slips in a short name
    ],
)
def test_an_uncertain_name_is_never_guessed(text):
    assert drugs.find(text).drug is None


@pytest.mark.parametrize(
    ("text", "ingredient", "read_as"),
    [
        ("Zolofft", "sertraline", "Zoloft (sertraline)"),
        ("Zolof", "sertraline", "Zoloft (sertraline)"),
        ("Prozak 20mg", "fluoxetine", "Prozac (fluoxetine)"),
        ("sertralin", "sertraline", "sertraline"),
        ("amitryptiline", "amitriptyline", "amitriptyline"),
        ("Wellbutin XL", "bupropion", "Wellbutrin (bupropion)"),
        ("imipramin", "imipramine", "imipramine"),
        ("trimipramin", "trimipramine", "trimipramine"),
        ("Celaxa", "citalopram", "Celexa (citalopram)"),
        ("buprapian", "bupropion", "bupropion"),
        ("exapro", "escitalopram", "Lexapro (escitalopram)"),
        ("fluoxeine", "fluoxetine", "fluoxetine"),
    ],
)
def test_one_unmistakable_slip_is_read_and_said(text, ingredient, read_as):
    found = drugs.find(text)
    assert (found.drug.id, found.read_as) == (ingredient, read_as)


@pytest.mark.parametrize("text", ["fluoxetina", "Sertralina 50 mg", "LITIO", "bupropi\u00f3n"])
def test_a_spanish_name_is_a_name_and_no_slip(text):
    found = drugs.find(text)
    assert found.drug is not None
    assert found.read_as is None


@pytest.mark.parametrize(
    ("text", "strength"),
    [
        ("Zoloft 100 mg", 100),
        ("venlafaxine ER 150", 150),
        ("Effexor 37,5mg", 37.5),
        ("Emsam 6 mg/24h patch", 6),
        ("sertraline 2 x 50 mg", None),
        ("Abilify 0,5 mg", 0.5),
        ("lithium 2000 mg", 2000),
        ("lithium 2001 mg", None),
        ("sertraline 0 mg", None),
        ("sertraline", None),
    ],
)
def test_the_one_strength_in_a_text_is_found(text, strength):
    assert drugs.find(text).strength == strength


@pytest.mark.parametrize(
    ("text", "purpose"),
    [
        ("trazodone for sleep", "sleep"),
        ("Wellbutrin for smoking", "smoking"),
        ("Zoloft", None),
        ("Zoloft for depression", None),
        ("trazodone for sleep and pain", None),
        ("amitriptyline pain migraine", "pain"),
    ],
)
def test_a_purpose_in_the_text_is_found(text, purpose):
    assert drugs.find(text).purpose == purpose


@pytest.mark.parametrize("text", ["Xanax", "clonazepam 1 mg", "Ambien at night", "levothyroxine"])
def test_another_medicine_is_known_for_what_it_is(run, make_trial, text):
    row = run(trials=[make_trial(text)]).trials[0]
    assert (row.verdict, row.judgement.detail) == ("not_counted", "not_an_antidepressant_trial")


def test_every_other_medicine_and_every_look_alike_keeps_apart_from_our_names():
    ours = {drugs.plain(name) for drug in drugs.table().values() for name in (drug.name, *drug.brands)}
    look_alikes = {drugs.plain(name) for name in drugs._words().look_alikes}
    assert not ours & look_alikes
    assert not ours & {drugs.plain(name) for drug in drugs.others().values() for name in (drug.name, *drug.brands)}
    assert all(drugs.find(name).drug is None for name in look_alikes)


def test_celebrex_offers_celexa_and_stays_open(run, make_trial):
    row = run(trials=[make_trial("Celebrex")]).to_json()["trials"][0]
    assert row["verdict"] == "undetermined"
    assert row["ingredient"] is None
    assert row["why"][0]["suggestions"][0] == "Celexa (citalopram)"


def test_selegiline_needs_its_form():
    assert drugs.identify("selegiline").problem == "form_unclear"
    assert drugs.identify("selegiline", "patch").drug.id == "selegiline_transdermal"
    assert drugs.identify("selegiline", "tablet").product == "oral selegiline"


def test_selegiline_as_it_is_found_keeps_its_words_and_offers_both_forms():
    patch, swallowed, neither = (drugs.find(f"selegiline{form}") for form in (" patch", " capsule", " 6 mg"))
    assert (patch.drug.id, patch.product, patch.words) == ("selegiline_transdermal", None, {"selegiline", "patch"})
    assert (swallowed.drug, swallowed.product) == (patch.drug, "oral selegiline")
    assert swallowed.words == {"selegiline", "capsule"}
    assert (neither.drug, neither.problem, neither.words) == (None, "form_unclear", {"selegiline"})
    assert neither.suggestions == ("selegiline transdermal", "oral selegiline")


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("Zoloft 50 mg", "sertraline"),
        ("tramadol 50 mg", "tramadol"),
        ("CELEBREX", "celecoxib"),
        ("Lovenox", None),
        ("Zoloft or Celexa", None),
        ("Qwertzu", None),
    ],
)
def test_a_medicine_beside_ours_is_known_where_a_history_would_ask(text, known):
    found = drugs.known_medicine(text)
    assert (found.id if found else None) == known


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("em", ()),
        ("emm", ("Emsam (selegiline transdermal)",)),
        ("bupropi", ("bupropion", "buspirone")),
        ("clomiprami", ("clomipramine", "citalopram", "imipramine")),  # a fourth would be near enough
        ("Zolo XR", ("Zoloft (sertraline)",)),
        ("carbonate", ("Parnate (tranylcypromine)",)),  # nothing but a salt
        ("tablets", ()),
    ],
)
def test_the_nearest_names_are_at_most_three_and_near_enough(text, near):
    assert drugs.nearest(text) == near


def test_the_forms_of_one_name_take_no_place_among_the_nearest():
    near = ("esketamine nasal", "ketamine", "sertraline")
    assert drugs.nearest("esketamine nas", likeness=50) == near
    assert drugs.nearest("st johns wo tablets", likeness=90) == ("st johns wort",)


@pytest.mark.parametrize(
    ("text", "least"),
    [("Paxil CR", 25), ("Paxil", 20), ("Aplenzin", 348), ("venlafaxine besylate ER", 112.5), ("Effexor XR", 75)],
)
def test_a_form_with_its_own_least_dose(text, least):
    assert drugs.minimum_dose(drugs.find(text))[0] == least


def test_prozac_weekly_counts_by_its_weekly_dose(run, make_trial):
    assert run(trials=[make_trial("Prozac Weekly", dose_mg_per_day=12.86)]).trials[0].verdict == "adequate"


@pytest.mark.parametrize(
    ("typed", "ingredient"),
    [("pro", "fluoxetine"), ("zol", "sertraline"), ("lex", "escitalopram"), ("wel", "bupropion")],
)
def test_three_letters_find_brand_or_generic(typed, ingredient):
    assert drugs.search(typed, 8)[0][0] == ingredient


def test_two_letters_find_nothing_and_no_more_than_the_limit_is_shown():
    assert drugs.search("pr", 8) == []
    assert len(drugs.search("des", 2)) == 2


def test_only_what_holds_the_letters_is_offered():
    assert drugs.search("qqq", 8) == []
    assert {name for name, *_ in drugs.search("zol", 8)} == {"sertraline"}


def test_three_slips_are_no_name():
    assert drugs.find("levomilnacipran").drug is not None
    assert drugs.find("lefomilnasiprann").drug is None


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("flu", ["fluoxetine", "fluvoxamine", "olanzapine-fluoxetine"]),
        ("tra", ["tranylcypromine", "trazodone", "selegiline transdermal"]),
        ("met", ["methylphenidate", "L-methylfolate", "l methylfolate"]),  # none an antidepressant
        ("ser", ["nefazodone", "sertraline", "quetiapine extended-release"]),
    ],
)
def test_what_begins_so_is_offered_first_then_antidepressants_then_by_name(typed, offered):
    assert [name for name, *_ in drugs.search(typed, 8)] == offered
    assert [name for name, *_ in drugs.search(typed, 2)] == offered[:2]


def test_bupropion_is_no_ssri():
    name, brands, drug_class = drugs.search("wellb", 8)[0]
    assert (name, drug_class) == ("bupropion", "ndri")
    assert "Wellbutrin" in brands


def test_every_name_of_the_table_finds_its_own_row():
    for drug in drugs.table().values():
        for name in (drug.name, *drug.brands):
            assert drugs.find(name).drug is not None, name


def test_every_name_of_the_table_is_assessed_with_its_sources(run, make_trial):
    names = [drug.name for drug in drugs.table().values()]
    rows = run(trials=[make_trial(name) for name in names]).to_json()["trials"]
    assert len(rows) == len(names)
    assert all(row["sources"] for row in rows)


def test_agents_that_share_a_row_are_found_by_their_own_names():
    assert drugs.find("modafinil").drug.id == "modafinil"
    assert all(key == drug.id for key, drug in drugs.table().items())


# How a row of the table is read

ROW = {
    "id": "xine",
    "generic_name": "xine (oral)",
    "brand_names": ["Xin", "Xino (discontinued)"],
    "drug_class": "snri",
    "payer_class": "atypical",
    "counts_as_standard_trial": True,
    "checker_default_min": 20,
    "checker_strict_min": 40,
    "label_usual_max": 60,
    "dose_unit": "mg_per_24_hours_patch",
    "never_counts_when": "used for sleep",
    "why_not_counted": "said nowhere of what counts",
    "notes": "a note",
    "dose_verified": "seen",
    "dose_confidence": "high",
    "src": ["a", "b"],
    "tms_flag": True,
    "formulations": [
        {"form": "capsule", "min": 20},
        {"form": "besylate_er_tablet"},
        {"form": "controlled_release", "min": 25, "unit": "mg_per_day"},
        {"form": "weekly_delayed_release", "min": 84, "unit": "mg_per_week"},
    ],
}
SHORT = {
    key: ROW[key]
    for key in ("id", "brand_names", "drug_class", "payer_class", "dose_verified", "dose_confidence", "src")
}


def test_every_field_of_a_row_is_read():
    assert asdict(drugs._antidepressant(ROW)) == {
        "id": "xine",
        "name": "xine",
        "brands": ("Xin", "Xino"),
        "kind": "antidepressant",
        "drug_class": "snri",
        "payer_class": "atypical",
        "min_dose": 20,
        "strict_min": 40,
        "usual_max": 60,
        "dose_unit": "mg_per_24_hours_patch",
        "why_not_counted": None,
        "never_counts_when": "used for sleep",
        "verified": "seen",
        "confidence": "high",
        "src": ("a", "b"),
        "tms_flag": True,
        "adequate_weeks": None,
        "augmentation_class": None,
        "formulations": (
            {"form": "controlled_release", "min_dose": 25, "words": {"cr"}},
            {"form": "weekly_delayed_release", "min_dose": 12, "words": {"weekly"}},
        ),
    }


@pytest.mark.parametrize(
    ("said", "why"),
    [({"why_not_counted": "a herb", "notes": "x"}, "a herb"), ({"notes": "pain only"}, "pain only"), ({}, None)],
)
def test_a_row_that_never_counts_has_no_doses_and_says_why(said, why):
    row = SHORT | {"generic_name": "xine", "counts_as_standard_trial": False, "tms_flag": False} | said
    drug = drugs._antidepressant(row)
    assert (drug.kind, drug.why_not_counted, drug.dose_unit) == ("not_counted", why, "mg_per_day")
    assert (drug.min_dose, drug.strict_min, drug.usual_max, drug.never_counts_when) == (None,) * 4
    assert (drug.tms_flag, drug.formulations) == (False, ())


def test_every_field_of_an_agent_is_read():
    row = {"brand_names": ["Ag"], "augmentation_class": "lithium", "min_dose": 2, "max_dose": 9, "verified": "seen"}
    row |= {"dose_unit": "mcg_per_day", "confidence": "low", "src": ["a"], "adequate_weeks_default": 4}
    agent = asdict(drugs._agent(row, "key", "name"))
    assert agent == {
        "id": "key",
        "name": "name",
        "brands": ("Ag",),
        "kind": "augmentation",
        "drug_class": "lithium",
        "payer_class": "not_a_standard_trial",
        "min_dose": 2,
        "strict_min": None,
        "usual_max": 9,
        "dose_unit": "mcg_per_day",
        "why_not_counted": "an augmenting agent, not a trial of its own",
        "never_counts_when": None,
        "verified": "seen",
        "confidence": "low",
        "src": ("a",),
        "tms_flag": False,
        "adequate_weeks": 4,
        "augmentation_class": "lithium",
        "formulations": (),
    }


@pytest.mark.parametrize(
    ("written", "read"),
    [("St. John's  wort", "st johns wort"), ("BUPROPI\u00d3N", "bupropion"), ("\u2122Zoloft\u00ae!", "tmzoloft")],
)
def test_a_name_is_compared_in_plain_letters(written, read):
    assert drugs.plain(written) == read
