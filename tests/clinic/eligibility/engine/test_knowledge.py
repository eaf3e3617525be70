import pytest

from clinic.eligibility.engine import knowledge


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
