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
    ],
)
def test_a_name_is_found_as_people_write_it(text, ingredient):
    assert drugs.find(text).drug.id == ingredient


@pytest.mark.parametrize(
    "text",
    [
        "Celebrex",
        "Zolofft",
        "fluoxetina",
        "xyz",
        "",
        "50 mg",
        "Zoloft or Celexa",
        "Lustral",
        "lithium orotate",
        "not Zoloft",
    ],
)
def test_an_uncertain_name_is_never_guessed(text):
    assert drugs.find(text).drug is None


def test_celebrex_offers_celexa_and_stays_open(run, make_trial):
    row = run(trials=[make_trial("Celebrex")]).to_json()["trials"][0]
    assert row["verdict"] == "undetermined"
    assert row["ingredient"] is None
    assert row["why"][0]["suggestions"][0] == "Celexa (citalopram)"


def test_selegiline_needs_its_form():
    assert drugs.identify("selegiline").problem == "form_unclear"
    assert drugs.identify("selegiline", "patch").drug.id == "selegiline_transdermal"
    assert drugs.identify("selegiline", "tablet").product == "oral selegiline"


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
    assert drugs.search(typed)[0][0] == ingredient


def test_two_letters_find_nothing_and_no_more_than_the_limit_is_shown():
    assert drugs.search("pr") == []
    assert len(drugs.search("ine", limit=4)) <= 4


def test_bupropion_is_no_ssri():
    name, brands, drug_class = drugs.search("wellb")[0]
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
