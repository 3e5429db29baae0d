"""The pages in a real browser: they fit, nothing fails or is fetched, and axe-core finds nothing wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cxrbench.report import write_report, write_side_by_side

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTHS = (390, 1280)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start the machine's browser, without a window."""
    place = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if place is None:
        pytest.skip(f"no browser is installed (looked for {', '.join(BROWSERS)})")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Where root runs the tests, as in a container, Chromium's own sandbox refuses to work.
        started = playwright.chromium.launch(executable_path=place, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(
    reports: dict[str, Any],
    tiny: Any,
    make_study: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    """Return one page of every kind."""
    folder = tmp_path_factory.mktemp("pages")
    other = make_study(names=("control", "sequential"), synthetic=False, seeds=(0, 1))
    return {
        **{name: reports[name].index for name in ("six", "seeds", "calibrated")},
        "films": write_report(tiny.study, folder / "films"),
        "two": write_side_by_side(make_study(), other, folder / "two"),
    }


@pytest.mark.parametrize("name", ["calibrated", "seeds", "films", "two"])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_a_page_can_be_read_on_a_telephone_and_a_desk_and_by_a_screen_reader(
    browser: Any, pages: dict[str, Path], name: str, colours: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    for width in WIDTHS:
        # The page itself allows no script; axe-core is one.
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=colours, bypass_csp=True
        )
        page, said = context.new_page(), []
        page.on("console", lambda message, said=said: said.append(message.text))
        page.on("pageerror", lambda error, said=said: said.append(str(error)))
        page.on("request", lambda request, said=said: said.append(request.url))
        page.goto(pages[name].as_uri())
        assert said == [pages[name].as_uri(), *(url for url in said if url.startswith("data:"))]
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider == 0, f"at {width} px the page is {wider} px too wide"
        broken = page.evaluate("[...document.images].filter(i => !i.naturalWidth).map(i => i.alt)")
        assert broken == []
        found = Axe().run(page).response["violations"]
        assert [(violation["id"], violation["nodes"][0]["html"]) for violation in found] == []
        context.close()


def test_the_page_is_dark_where_that_is_asked_for(browser: Any, pages: dict[str, Path]) -> None:
    shades = {}
    for colours in ("light", "dark"):
        page = browser.new_page(color_scheme=colours)
        page.goto(pages["six"].as_uri())
        text = page.evaluate("getComputedStyle(document.body).backgroundColor")
        shades[colours] = [int(value) for value in text.removeprefix("rgb(").removesuffix(")").split(",")]
        page.close()
    assert min(shades["light"]) > 200
    assert max(shades["dark"]) < 60


def test_the_forest_plot_fits_a_telephone_at_a_size_that_can_be_read(
    browser: Any, pages: dict[str, Path]
) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 900})
    page.goto(pages["six"].as_uri())
    box = page.locator("img.forest").bounding_box()
    page.close()
    # It is drawn 4.2 inches wide with letters of 9 points: so many pixels of the screen high.
    assert box["x"] + box["width"] <= 390
    assert 9 * box["width"] / (4.2 * 72) > 10


def test_reasons_unfold_without_a_script(browser: Any, pages: dict[str, Path]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(pages["six"].as_uri())
    reason = page.get_by_text("AUC 0.842 [0.829, 0.855] against at least 0.860 (calibration)")
    assert not reason.is_visible()
    page.get_by_text("Why these verdicts").click()
    assert reason.is_visible()
    context.close()
