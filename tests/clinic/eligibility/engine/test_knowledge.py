import pytest

from clinic.eligibility.engine import knowledge, policy_file


@pytest.mark.parametrize("policy_id", knowledge.policy_ids())
def test_a_policy_file_bears_its_id_its_version_and_its_sources(policy_id):
    policy = knowledge.policy(policy_id)
    assert policy["id"] == policy_id
    assert policy["version"]
    assert policy["treatment"] in ("tms", "esketamine", "ketamine_iv")
    assert set(policy["src"]) == set(policy["sources"])


def test_the_rule_sets_differ_in_the_least_weeks_alone():
    tables = {each: knowledge.ruleset_table(each) for each in knowledge.ruleset_ids()}
    assert {each: table["min_weeks"] for each, table in tables.items()} == {
        "default": 6,
        "min_weeks_4": 4,
        "min_weeks_8": 8,
    }
    rest = [{key: value for key, value in table.items() if key not in ("id", "min_weeks")} for table in tables.values()]
    assert rest[0] == rest[1] == rest[2]


def test_every_named_source_of_a_drug_is_listed():
    table = knowledge.antidepressants()
    for row in (*table["antidepressants"], *table["augmentation_agents"]):
        assert set(row["src"]) <= set(table["sources"]), row["id"]


@pytest.mark.parametrize("read", [knowledge.policy, knowledge.ruleset_table])
@pytest.mark.parametrize("name", ["nobody", "../antidepressants", ""])
def test_a_name_outside_the_catalogue_is_an_error(read, name):
    with pytest.raises(KeyError):
        read(name)


# A clinic's own policies

OWN = """
id: {id}
version: "1"
treatment: tms
payer: "Clinic's Own Plan"
confidence: low
verified: read at the clinic
criteria: {{age: {{min: 18}}, min_failed_antidepressant_trials: {trials}}}
exclusions: []
"""


@pytest.fixture
def own(tmp_path):
    yield tmp_path
    knowledge.use_folder(tmp_path / "none")


def write(folder, name, text):
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def test_a_policy_of_the_clinic_stands_beside_ours(own, run):
    write(own, "own_plan", OWN.format(id="own_plan", trials=2))
    assert knowledge.use_folder(own) == []
    assert len(knowledge.policy_ids()) == 29
    assert run(payer="clinic's own plan").policies[0].verdict == "met"
    row = next(row for row in knowledge.policies_index() if row["id"] == "own_plan")
    assert (row["own"], row["name"]) == (True, "Clinic's Own Plan")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("broken", "a: [", "is not YAML"),
        ("empty", "", "must be a list of keys"),
        ("bare", "id: bare", "criteria: is missing"),
        ("other", OWN.format(id="name", trials=2), "give both one name"),
        ("count", OWN.format(id="count", trials='"two"'), "criteria.min_failed_antidepressant_trials: must be a whole"),
        ("kind", OWN.format(id="kind", trials=2).replace("age:", "ages:"), "criteria.ages: unknown criterion"),
        ("aetna_cpb_0469", OWN.format(id="aetna_cpb_0469", trials=2), "rename file and id"),
    ],
)
def test_a_broken_policy_is_refused_by_its_path_and_breaks_no_other(own, name, text, says):
    write(own, name, text)
    write(own, "sound", OWN.format(id="sound", trials=2))
    (refused,) = knowledge.use_folder(own)
    assert refused.path == str(own / f"{name}.yaml")
    assert says in str(refused)
    assert "sound" in knowledge.policy_ids()
    assert len(knowledge.policy_ids()) == 29


def test_a_folder_that_is_not_there_is_said(own):
    (refused,) = knowledge.use_folder(own / "none")
    assert str(refused) == f"{own / 'none'}: is no folder: make it, or name another"


def test_what_is_wrong_with_a_file_is_said_with_what_to_do(own):
    write(own, "aetna_cpb_0469", "a: 1")
    write(own, "broken", "a: [")
    (own / "folder.yaml").mkdir()
    refused = {each.path: str(each).removeprefix(f"{each.path}: ") for each in knowledge.use_folder(own)}
    ours, broken, folder = (refused[str(own / f"{name}.yaml")] for name in ("aetna_cpb_0469", "broken", "folder"))
    assert ours == "'aetna_cpb_0469' is an id of a policy that comes with the program: rename file and id"
    assert broken.startswith("is not YAML: while parsing a flow node")
    assert "  " not in broken
    assert folder.startswith("cannot be read: ")


@pytest.mark.parametrize("policy_id", knowledge.policy_ids())
def test_our_own_policies_pass_the_same_check(policy_id):
    assert policy_file.problems(knowledge.policy(policy_id), stem=policy_id) == []


# What freezes a version


def test_the_hash_is_of_the_content_and_not_of_its_order(own):
    text = OWN.format(id="own_plan", trials=2)
    write(own, "own_plan", text)
    knowledge.use_folder(own)
    before = knowledge.content_hash("policy", "own_plan")
    lines = text.strip().splitlines()
    write(own, "own_plan", "\n".join(["# a comment", *reversed(lines)]))
    knowledge.use_folder(own)
    assert knowledge.content_hash("policy", "own_plan") == before
    write(own, "own_plan", OWN.format(id="own_plan", trials=3))
    knowledge.use_folder(own)
    assert knowledge.content_hash("policy", "own_plan") != before


def test_every_rule_set_policy_and_table_has_a_hash_of_its_own():
    entries = [("policy", each) for each in knowledge.policy_ids()]
    entries += [("ruleset", each) for each in knowledge.ruleset_ids()] + [("table", each) for each in knowledge.TABLES]
    hashes = {knowledge.content_hash(*entry) for entry in entries}
    assert len(hashes) == len(entries)
    assert all(len(each) == 64 for each in hashes)


@pytest.mark.parametrize("entry", [("policy", "nobody"), ("ruleset", "nine"), ("table", "x"), ("kind", "default")])
def test_what_is_not_in_the_catalogue_has_no_hash(entry):
    with pytest.raises(KeyError, match=" ".join(entry) if entry[0] in ("table", "kind") else entry[1]):
        knowledge.content_hash(*entry)


@pytest.mark.parametrize(
    ("payer", "names"),
    [
        ("Own Plan", ["Own Plan"]),
        ("Own Plan (North)", ["Own Plan (North)", "Own Plan"]),
        ("North / South / (closed)", ["North / South / (closed)", "North / South /", "North", "South"]),
        ("(none)", ["(none)"]),
    ],
)
def test_a_payer_is_looked_for_under_each_of_its_names(own, payer, names):
    write(own, "own_plan", OWN.format(id="own_plan", trials=2).replace("Clinic's Own Plan", payer))
    assert knowledge.use_folder(own) == []
    assert knowledge.payer_names("own_plan") == names


def test_a_row_of_the_index_in_full():
    row = next(row for row in knowledge.policies_index() if row["id"] == "blue_shield_ca_2020")
    table = knowledge.policy("blue_shield_ca_2020")
    payer = "Blue Shield of California (2020 text, example of a strict older policy)"
    assert row == {
        "id": "blue_shield_ca_2020",
        "name": payer,
        "version": "1.0",
        "treatment": "tms",
        "policy_number": "2.01.50",
        "effective": "2020-12-01",
        "payer_names": [payer, "Blue Shield of California"],
        "confidence": table["confidence"],
        "verified": table["verified"],
        "currency": "historic",
        "sources": [{"id": name} | table["sources"][name] for name in table["src"]],
        "own": False,
        "content_hash": knowledge.content_hash("policy", "blue_shield_ca_2020"),
    }
    assert row["verified"]
    assert row["sources"]


def test_a_policy_of_the_clinic_may_name_no_source(own):
    write(own, "own_plan", OWN.format(id="own_plan", trials=2))
    knowledge.use_folder(own)
    row = next(row for row in knowledge.policies_index() if row["own"])
    assert (row["sources"], row["currency"], row["effective"], row["policy_number"]) == ([], None, None, None)


def test_the_index_of_policies_tells_what_a_list_shows():
    rows = knowledge.policies_index()
    assert [row["id"] for row in rows] == list(knowledge.policy_ids())
    row = next(row for row in rows if row["id"] == "uhc_optum")
    assert row["payer_names"] == ["UnitedHealthcare / Optum Behavioral", "UnitedHealthcare", "Optum Behavioral"]
    assert (row["version"], row["effective"], row["confidence"]) == ("1.0", None, "medium")
    assert row["sources"][0]["organisation"] == "Florida TMS Clinic"
