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
        ("sertraline", None),
    ],
)
def test_the_one_strength_in_a_text_is_found(text, strength):
    assert drugs.find(text).strength == strength


@pytest.mark.parametrize(
    ("text", "purpose"), [("trazodone for sleep", "sleep"), ("Wellbutrin for smoking", "smoking"), ("Zoloft", None)]
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


def test_only_what_holds_the_letters_is_offered():
    assert drugs.search("qqq") == []
    assert {name for name, *_ in drugs.search("zol")} == {"sertraline"}


def test_three_slips_are_no_name():
    assert drugs.find("levomilnacipran").drug is not None
    assert drugs.find("lefomilnasiprann").drug is None


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
