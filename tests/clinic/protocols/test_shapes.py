from pathlib import Path

import pytest
import yaml

from clinic.protocols import shapes
from clinic.protocols.base import CatalogueError, catalogue, load_protocol
from clinic.protocols.shapes import Shape, bookable, load_shapes, shaped

DAILY = (
    "tms_10hz_left_standard",
    "tms_10hz_left_dash",
    "itbs_left",
    "rtms_1hz_right",
    "bilateral_sequential",
    "deep_tms_h1",
)
FOLDER = Path(shapes.__file__).parent / "shapes"


def kinds(visits):
    return [(visit.kind, visit.gap, visit.ideal) for visit in visits]


def test_every_daily_protocol_can_be_booked_in_each_payer_shape_and_as_maintenance():
    wanted = {key: [f"{key}.maintenance", f"{key}.noridian", f"{key}.six_weeks"] for key in DAILY}
    for key, others in wanted.items():
        assert [other for other in bookable() if other.startswith(f"{key}.")] == others
    assert not any(key.startswith("saint_snt.") for key in bookable())
    assert set(catalogue()) < set(bookable())


@pytest.mark.parametrize("key", DAILY)
def test_noridian_is_20_and_5_then_10_and_6(key):
    protocol = bookable()[f"{key}.noridian"]
    first, extension = protocol.visits_by_stage
    assert [v.kind for v in first] == ["mapping"] + ["daily"] * 19 + ["taper"] * 5
    assert [v.kind for v in extension] == ["daily"] * 10 + ["taper"] * 6
    assert [v.number for v in (*first, *extension)] == list(range(1, 42))
    assert protocol.later[0].needs_improvement_percent == 25
    assert (protocol.session_count, protocol.first_visits) == (25, first)


@pytest.mark.parametrize("key", DAILY)
def test_a_shape_keeps_minutes_staff_and_gaps_of_its_protocol(key):
    own, other = catalogue()[key].visits, bookable()[f"{key}.noridian"].visits
    assert (other[0].minutes, other[0].need) == (own[0].minutes, own[0].need)
    assert {(v.minutes, v.need) for v in other[1:]} == {(v.minutes, v.need) for v in own[1:]}
    assert kinds(other[20:25]) == kinds(own[30:35])
    assert kinds(other[35:41]) == kinds(own[30:36])
    assert other[25].gap == own[1].gap  # the extension goes on like a daily session


def test_six_weeks_have_no_taper():
    assert [v.kind for v in bookable()["itbs_left.six_weeks"].visits] == ["mapping"] + ["daily"] * 29


@pytest.mark.parametrize(
    ("key", "minutes", "need", "gap", "ideal"),
    [
        ("itbs_left.maintenance", 15, "tms", (5, 30), (5, 20)),  # every one to four weeks
        ("esketamine_trd.maintenance", 150, "obs", (5, 16), (5, 10)),  # every one or two weeks
        ("iv_ketamine_induction.booster", 120, "obs", (5, 44), (5, 30)),  # every one to six weeks
    ],
)
def test_maintenance_is_one_visit_some_weeks_after_the_last(key, minutes, need, gap, ideal):
    protocol = bookable()[key]
    (visit,) = protocol.visits
    assert (visit.kind, visit.minutes, visit.need, visit.gap, visit.ideal) == ("maintenance", minutes, need, gap, ideal)
    assert protocol.follows


def test_a_shaped_protocol_is_given_by_the_same_devices_and_says_both_versions():
    protocol = bookable()["itbs_left.noridian"]
    assert (protocol.gives, catalogue()["itbs_left"].gives) == ("itbs_left", "itbs_left")
    assert protocol.edition == f"{catalogue()['itbs_left'].version}.1"
    assert protocol.facts["total_sessions"] == 25
    assert "acute_sessions" not in protocol.facts
    assert len(protocol.sources) == len(catalogue()["itbs_left"].sources) + 1


def test_every_shape_says_where_it_comes_from_and_how_sure_it_is():
    for shape in load_shapes(FOLDER):
        assert shape.verified
        assert all(source.title and source.organisation and source.verified for source in shape.sources)


def test_accelerated_days_have_no_shape():
    noridian = next(shape for shape in load_shapes(FOLDER) if shape.key == "noridian")
    assert not noridian.fits(catalogue()["saint_snt"])
    assert not noridian.fits(bookable()["itbs_left.six_weeks"])
    with pytest.raises(ValueError, match="saint_snt"):
        noridian.over(catalogue()["saint_snt"])


# -- a clinic's own files

SOUND = {
    "key": "short",
    "version": 1,
    "name": "ten only",
    "modality": "tms",
    "stages": [
        {"id": "course", "name": "ten", "runs": [{"like": "mapping", "counts": [1]}, {"like": "daily", "counts": [9]}]}
    ],
    "verified": "seen",
    "sources": [{"title": "t", "organisation": "o", "year": 2026, "verified": "seen"}],
}


def write(folder, name="tms.short", **overrides):
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**SOUND, **overrides}))
    return folder


def test_a_clinic_adds_its_own_shape(tmp_path):
    found = shaped(catalogue(), load_shapes(write(tmp_path)))
    assert len(found["itbs_left.short"].visits) == 10
    assert list(found)[list(found).index("itbs_left") + 1] == "itbs_left.short"


def test_a_run_takes_the_nth_block_and_may_skip_one():
    stages = [{"id": "course", "name": "x", "runs": [{"like": "taper", "counts": [0, 2]}]}]
    protocol = Shape.model_validate({**SOUND, "stages": stages}).over(catalogue()["itbs_left"])
    assert len(protocol.visits) == 2


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("short", {}),
        ("tms.other", {}),
        ("tms.short", {"version": 0}),
        ("tms.short", {"surprise": 1}),
        ("tms.short", {"stages": []}),
        ("tms.short", {"stages": [{"id": "course", "name": "x", "runs": [{"like": "daily", "counts": [0]}]}]}),
        ("tms.short", {"stages": [{**SOUND["stages"][0], "needs_improvement_percent": 25}]}),
    ],
)
def test_a_shape_that_cannot_be_used_is_refused_by_file(tmp_path, name, overrides):
    with pytest.raises(CatalogueError, match=rf"{name}\.yaml"):
        load_shapes(write(tmp_path, name, **overrides))


def test_a_shape_given_twice_is_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(CatalogueError, match="twice"):
        load_shapes(write(tmp_path), write(tmp_path / "mine"))


def test_a_protocol_file_does_not_claim_to_be_a_shape(tmp_path):
    source = Path(shapes.__file__).parent / "itbs_left.yaml"
    (tmp_path / "itbs_left.yaml").write_text(source.read_text() + "base: tms_10hz_left_dash\n")
    with pytest.raises(CatalogueError, match="base"):
        load_protocol(tmp_path / "itbs_left.yaml")
