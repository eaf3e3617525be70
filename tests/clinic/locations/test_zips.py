"""ZIP codes, their middles, and straight-line miles."""

import pytest
from flask.testing import FlaskClient

from clinic.db import db
from clinic.locations import presenter, zips
from tests.builders import make_location, make_profile


@pytest.mark.parametrize(
    ("zip_code", "latitude", "longitude"),
    [("92832", 33.869, -117.929), ("90210-1234", 34.101, -118.415), ("00601", 18.181, -66.750)],
)
def test_a_zip_code_has_a_middle(zip_code: str, latitude: float, longitude: float) -> None:
    assert zips.center(zip_code) == zips.Point(latitude, longitude)


@pytest.mark.parametrize("text", ["", "9283", "00000", "x", "92832-", "92832,33", "928321"])
def test_what_is_no_zip_code_has_none(text: str) -> None:
    assert zips.center(text) is None


def test_the_list_is_whole_and_in_order() -> None:
    lines = zips._lines().decode().splitlines()
    assert "public domain" in lines[0]
    codes = [line.split(",")[0] for line in lines[1:]]
    assert len(codes) == 33_791
    assert codes == sorted(set(codes))


def test_miles_are_in_a_straight_line() -> None:
    los_angeles, new_york = zips.Point(34.052, -118.244), zips.Point(40.713, -74.006)
    assert 2440 < presenter.miles(los_angeles, new_york) < 2450
    assert presenter.miles(los_angeles, los_angeles) == 0


@pytest.fixture
def sites(client: FlaskClient) -> FlaskClient:
    make_profile()
    make_location(name="Ash", slug="ash", latitude=34.0901, longitude=-118.4065)
    make_location(name="Birch", slug="birch", latitude=33.8704, longitude=-117.9243)
    make_location(name="Cedar", slug="cedar")
    db.session.commit()
    return client


def test_the_nearest_site_comes_first(sites: FlaskClient) -> None:
    html = sites.get("/locations?zip=92832").text
    assert html.index("Birch") < html.index("Ash") < html.index("Cedar")
    assert "Less than a mile away" in html
    assert "About 31 miles away" in html
    assert "straight line from the middle of ZIP code 92832" in html


@pytest.mark.parametrize(("zip_code", "words"), [("928", "A ZIP code has five digits."), ("00000", "Try one nearby.")])
def test_a_wrong_zip_code_is_kept_and_explained(sites: FlaskClient, zip_code: str, words: str) -> None:
    answer = sites.get(f"/locations?zip={zip_code}")
    assert answer.status_code == 422
    assert words in answer.text
    assert f'value="{zip_code}"' in answer.text
