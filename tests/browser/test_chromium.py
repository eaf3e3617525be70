import platform
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.chromium import PACKAGE, chromium_executable

pytestmark = pytest.mark.browser


def title_seen_by(path: str, env: dict[str, str]) -> str:
    with ThreadPoolExecutor(1) as aside:  # this thread may hold a browser already, and holds one only
        return aside.submit(_title_seen_by, path, env).result()


def _title_seen_by(path: str, env: dict[str, str]) -> str:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, env=env)
        page = browser.new_page()
        page.goto("data:text/html,<title>before</title><script>document.title = 'after'</script>")
        title = page.title()
        browser.close()
    return title


def test_the_chromium_that_we_find_runs_a_page():
    assert title_seen_by(*chromium_executable()) == "after"


@pytest.mark.skipif(platform.machine() != "x86_64" or not PACKAGE.exists(), reason="comes for x86-64 only")
def test_the_chromium_out_of_the_package_runs_a_page(monkeypatch):
    monkeypatch.setenv("CHROMIUM", "bundled")
    path, env = chromium_executable()
    assert ".cache" in path
    assert title_seen_by(path, env) == "after"
