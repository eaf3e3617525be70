import pytest
import yaml
from pydantic import ValidationError

from clinic.protocols.base import CatalogueError, catalogue, load_catalogue, load_protocol

DAILY = (
    "tms_10hz_left_standard",
    "tms_10hz_left_dash",
    "itbs_left",
    "rtms_1hz_right",
    "bilateral_sequential",
    "deep_tms_h1",
)


def test_the_catalogue_holds_the_schedulable_protocols():
    assert sorted(catalogue()) == sorted([*DAILY, "saint_snt", "esketamine_trd", "iv_ketamine_induction"])


@pytest.mark.parametrize("key", DAILY)
def test_a_daily_course_is_mapping_29_daily_and_a_taper_of_six(key):
    visits = catalogue()[key].visits
    assert [v.kind for v in visits] == ["mapping"] + ["daily"] * 29 + ["taper"] * 6
    assert [v.number for v in visits] == list(range(1, 37))
    assert (visits[0].need, visits[0].consistent, visits[0].gap) == ("map", False, None)
    assert {(v.need, v.gap, v.ideal) for v in visits[1:30]} == {("tms", (1, 7), (1, 1))}
    assert catalogue()[key].session_count == 36


@pytest.mark.parametrize(
    ("key", "first", "session"),
    [
        ("tms_10hz_left_standard", 90, 50),
        ("tms_10hz_left_dash", 90, 30),
        ("itbs_left", 75, 15),
        ("rtms_1hz_right", 90, 40),
        ("bilateral_sequential", 100, 50),
        ("deep_tms_h1", 75, 30),
        ("esketamine_trd", 180, 150),
        ("iv_ketamine_induction", 150, 120),
    ],
)
def test_slots_are_the_published_defaults(key, first, session):
    visits = catalogue()[key].visits
    assert (visits[0].minutes, {v.minutes for v in visits[1:]}) == (first, {session})


def test_the_taper_thins_out_three_two_one():
    gaps = [(v.gap, v.ideal) for v in catalogue()["itbs_left"].visits[30:]]
    assert gaps == [
        ((1, 7), (1, 1)),
        ((2, 7), (2, 2)),
        ((2, 7), (2, 2)),
        ((3, 9), (2, 4)),
        ((2, 7), (2, 2)),
        ((4, 11), (3, 5)),
    ]


def test_an_accelerated_day_holds_ten_sessions_an_hour_apart():
    protocol = catalogue()["saint_snt"]
    assert [len(v.offsets) for v in protocol.visits] == [1, 10, 10, 10, 10, 10]
    assert protocol.visits[1].offsets == tuple(range(0, 541, 60))
    assert [v.gap for v in protocol.visits[2:]] == [(1, 1)] * 4
    assert protocol.session_count == 50


def test_esketamine_is_eight_and_four():
    protocol = catalogue()["esketamine_trd"]
    assert [v.kind for v in protocol.visits] == ["induction"] * 8 + ["optimisation"] * 4
    assert {v.need for v in protocol.visits} == {"obs"}
    assert protocol.session_count == 12


def test_ketamine_is_six_infusions_and_off_label():
    protocol = catalogue()["iv_ketamine_induction"]
    assert [v.kind for v in protocol.visits] == ["infusion"] * 6
    assert protocol.fda_status.startswith("off-label")


@pytest.mark.parametrize(("key", "hours"), [*((k, 20) for k in DAILY), ("saint_snt", None), ("esketamine_trd", 48)])
def test_hours_between_starts(key, hours):
    assert catalogue()[key].min_hours == hours


def test_every_protocol_names_sources_and_how_sure_they_are():
    for protocol in catalogue().values():
        assert protocol.version >= 1
        assert protocol.verified
        assert protocol.pace_verified
        assert all(s.title and s.organisation and s.verified for s in protocol.sources)


def test_a_published_protocol_is_frozen():
    with pytest.raises(ValidationError):
        catalogue()["itbs_left"].version = 2
    with pytest.raises(TypeError):
        catalogue()["mine"] = catalogue()["itbs_left"]


# -- a clinic's own files

SOUND = {
    "key": "mine",
    "version": 1,
    "name": "Mine",
    "modality": "tms",
    "device_kind": "tms",
    "blocks": [
        {"kind": "mapping", "count": 1, "minutes": 60, "need": "map", "consistent": False},
        {"kind": "daily", "count": 4, "minutes": 30, "need": "tms", "gap": [1, 7], "ideal": [1, 1]},
    ],
    "fda_status": "cleared",
    "verified": "seen",
    "pace_verified": "recalled",
    "sources": [{"title": "t", "organisation": "o", "year": 2026, "verified": "seen"}],
}


def write(folder, name="mine", **overrides):
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**SOUND, **overrides}))
    return path


def test_a_clinic_adds_its_own_protocol_beside_ours(tmp_path):
    write(tmp_path)
    assert len(load_catalogue(tmp_path)["mine"].visits) == 5


def test_a_key_given_twice_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    write(tmp_path / "a")
    write(tmp_path / "b")
    with pytest.raises(CatalogueError, match="twice"):
        load_catalogue(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize(
    "overrides",
    [
        {"key": "other"},
        {"version": 0},
        {"surprise": 1},
        {"sources": []},
        {"blocks": []},
        {"blocks": [{"kind": "daily", "count": 2, "minutes": 30, "need": "tms"}]},
        {"blocks": [{**SOUND["blocks"][1], "gap": [7, 1]}]},
        {"blocks": [{**SOUND["blocks"][0]}, {"kind": "daily", "count": 1, "minutes": 30, "need": "tms"}]},
        {"blocks": [{**SOUND["blocks"][0], "sessions": 10, "every_minutes": 30}]},
    ],
)
def test_a_protocol_that_cannot_be_counted_is_refused_by_file(tmp_path, overrides):
    with pytest.raises(CatalogueError, match=r"mine\.yaml"):
        load_protocol(write(tmp_path, **overrides))


def test_a_file_that_is_no_yaml_is_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("a: [")
    with pytest.raises(CatalogueError, match=r"mine\.yaml"):
        load_protocol(path)
