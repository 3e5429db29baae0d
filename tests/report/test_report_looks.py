"""Films and maps in the report: what is shown, what is not, and what is said of it."""

import io
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxrbench.cohort.pack import Pack
from cxrbench.look import kept
from cxrbench.report import write_report
from cxrbench.report.figures.films import Looked, Strip, draw_looked, draw_strips
from cxrbench.report.looks import _odd, look
from cxrbench.study.finished import FinishedStudy
from cxrbench.study.results import Results


@pytest.fixture
def not_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes longest and is not looked at: a figure is made, and no picture of it."""
    monkeypatch.setattr("cxrbench.report.looks.render", lambda _: b"png")


def test_a_study_shows_films_of_every_part_and_where_control_and_best_look(tiny: Any) -> None:
    looks = look(tiny.study)
    assert [figure.name for figure in looks.figures] == ["films", "looks"]
    assert looks.notes == ()
    assert looks.pointing is None
    films, where = looks.figures
    for role, of_role in tiny.results.roles.items():
        for part, counts in of_role.parts.items():
            assert (f"{role}, {part}: 6 of {counts.images} films" in films.alt) == (counts.images > 0)
    assert where.alt.startswith("Films and class activation maps of control and findings: ")
    for figure in looks.figures:
        assert Image.open(io.BytesIO(figure.png)).format == "PNG"


def test_no_identifier_is_in_what_is_said_of_films(tiny: Any, tmp_path: Path) -> None:
    pack = kept.pack_of(tiny.study, "covid")
    identifiers = {*pack.table["image_id"], *pack.table["patient_id"], *pack.table["path"]}
    write_report(tiny.study, tmp_path)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = re.sub(rb"base64,[\w+/=]+", b"", path.read_bytes())
            assert not [name for name in identifiers if name.encode() in content], path.name
    with Image.open(tmp_path / "figures" / "films.png") as picture:
        assert picture.info.keys() <= {"dpi"}


def _private(tiny: Any) -> FinishedStudy:
    roles = {**tiny.results.settings["roles"], "covid": {"dataset": "manifest"}}
    settings = {**tiny.results.settings, "roles": roles}
    return replace(tiny.study, results=replace(tiny.results, settings=settings))


@pytest.mark.usefixtures("not_rendered")
def test_private_films_are_shown_to_nobody_who_did_not_ask(tiny: Any) -> None:
    looks = look(_private(tiny))
    (films,) = looks.figures
    assert films.name == "films"
    assert "covid" not in films.alt
    assert looks.notes == (
        "The films of role covid are of a data set that is not declared public, and are not shown.",
    )
    asked = look(_private(tiny), private_films=True)
    assert [figure.name for figure in asked.figures] == ["films", "looks"]
    assert asked.notes == ()


def _tested_elsewhere(
    tiny: Any, with_further_test: Callable[[Results], Results], dataset: str
) -> FinishedStudy:
    """A further test, of the data set, that has the packed films of the target."""
    settings = {**tiny.results.settings, "tests": {"hospital-b": {"dataset": dataset}}}
    return replace(tiny.study, results=replace(with_further_test(tiny.results), settings=settings))


@pytest.mark.usefixtures("not_rendered")
def test_films_of_a_further_test_are_shown_as_those_of_a_role_are(
    tiny: Any, with_further_test: Callable[[Results], Results]
) -> None:
    films, _ = look(_tested_elsewhere(tiny, with_further_test, "phantom")).figures
    everything = len(kept.pack_of(tiny.study, "covid"))
    assert f"hospital-b, further test: 6 of {everything} films" in films.alt

    looks = look(_tested_elsewhere(tiny, with_further_test, "manifest"))
    assert "hospital-b" not in looks.figures[0].alt
    assert looks.notes == (
        "The films of further test hospital-b are of a data set that is not declared public, "
        "and are not shown.",
    )


@pytest.mark.usefixtures("not_rendered")
def test_films_of_a_further_test_that_are_gone_are_missed(
    tiny: Any, with_further_test: Callable[[Results], Results]
) -> None:
    study = _tested_elsewhere(tiny, with_further_test, "phantom")
    test = study.results.tests["hospital-b"]
    gone = replace(test, cohort=replace(test.cohort, pack_key="0" * 64))
    looks = look(replace(study, results=replace(study.results, tests={"hospital-b": gone})))
    assert looks.notes == (
        "No example film: the packed films of further test hospital-b are not in the study's folder.",
    )
    assert [figure.name for figure in looks.figures] == ["films", "looks"]


@pytest.mark.usefixtures("not_rendered")
def test_a_part_of_few_films_shows_as_many_as_it_has(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"train": np.arange(3), "validation": np.arange(3, 3), "test": np.arange(3, 20)}
    monkeypatch.setattr(kept, "parts_of", lambda *_: few)
    assert "covid, train: 3 of 3 films; covid, test: 6 of 17 films" in look(tiny.study).figures[0].alt


@pytest.mark.usefixtures("not_rendered")
def test_without_checkpoints_the_report_says_so_and_keeps_the_rest(tiny: Any, tmp_path: Path) -> None:
    shutil.copytree(tiny.out, tmp_path / "study")
    shutil.rmtree(tmp_path / "study" / "stages")
    index = write_report(FinishedStudy(tmp_path / "study", tiny.results), tmp_path / "report")
    html = index.read_text(encoding="utf-8")
    assert (
        "Where the networks look is not shown: the checkpoint of control, seed 0, is not in the study" in html
    )
    assert 'class="films"' in html
    assert 'class="looks"' not in html
    assert str(tmp_path) not in html


def test_results_alone_are_a_report_still(reports: dict[str, Any]) -> None:
    html = reports["six"].html
    assert "No example film: the packed films of role covid are not in the study&#39;s folder." in html
    assert '<img class="films"' not in html


@pytest.mark.usefixtures("not_rendered")
def test_pictures_that_may_not_be_radiographs_are_shown(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = kept.pack_of(tiny.study, "covid")
    pixels = np.array(pack.pixels)
    pixels[3] = 0
    monkeypatch.setattr(kept, "pack_of", lambda *_: replace(pack, pixels=pixels))
    covid = replace(tiny.results.roles["covid"], odd_pictures={"constant": 1, "almost black": 1})
    study = replace(tiny.study, results=replace(tiny.results, roles={"covid": covid}))
    assert [figure.name for figure in look(study).figures] == ["films", "odd", "looks"]
    strip = _odd("covid", replace(pack, pixels=pixels))
    assert strip.words == ["constant"]
    assert (strip.films[0] == 0).all()


@pytest.mark.usefixtures("not_rendered")
def test_the_pointing_game_is_played_with_the_films_that_have_boxes(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = kept.pack_of(tiny.study, "covid")
    test = kept.parts_of(tiny.study, "covid", pack)["test"]
    positive = test[pack.table.loc[test, "COVID-19"].to_numpy() == 1]
    whole, corner = "0.0000 0.0000 1.0000 1.0000", "0.9000 0.9000 1.0000 1.0000"
    boxes = [""] * len(pack)
    # Boxes of negative films count for nothing.
    for row in test:
        boxes[row] = whole
    boxes[positive[0]] = corner
    boxed = replace(pack, table=pack.table.assign(box_places=boxes))
    findings = kept.pack_of(tiny.study, "findings")
    monkeypatch.setattr(kept, "pack_of", lambda _, role: boxed if role == "covid" else findings)
    found = look(tiny.study)
    assert found.pointing is not None
    assert list(found.pointing) == ["control", "findings"]
    for game in found.pointing.values():
        # At 32 px a map is one place, in the middle.
        assert (game.cells, game.films, game.hits) == ((1, 1), len(positive), len(positive) - 1)
    (where,) = [figure for figure in found.figures if figure.name == "looks"]
    assert "Yellow boxes are where readers marked the finding." in where.caption


@pytest.mark.usefixtures("not_rendered")
def test_the_table_of_the_pointing_game_is_on_the_page(tiny: Any, tmp_path: Path) -> None:
    plain = kept.pack_of

    def with_boxes(study: FinishedStudy, role: str) -> Pack:
        pack = plain(study, role)
        return replace(pack, table=pack.table.assign(box_places="0.0 0.0 1.0 1.0"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "pack_of", with_boxes)
        html = write_report(tiny.study, tmp_path).read_text(encoding="utf-8")
    assert "Pointing game: on how many positive test films with boxes" in html
    lines = (tmp_path / "tables" / "pointing.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["scheme", "control", "findings"]
    assert lines[1].split(",")[3] == "1.0"


def test_maps_of_a_network_share_one_scale_about_their_average() -> None:
    film = np.full((32, 32), 100, dtype=np.uint8)
    maps = [np.full((2, 2), value, dtype=np.float32) for value in (1.0, 3.0)]
    looked = [
        Looked("true positive", film, [of_film, -of_film], [0.7, 0.2], [True, False]) for of_film in maps
    ]
    figure = draw_looked(looked, ["control", "best"])
    drawn = [axes.images[1] for axes in figure.axes if len(axes.images) == 2]
    low, high = drawn[0].get_clim()
    assert (low + high) / 2 == pytest.approx(2.0)
    assert {image.get_clim() for image in drawn[::2]} == {(low, high)}
    assert low < 1.05
    assert figure.axes[1].get_xlabel() == "0.70, called positive"


def test_a_short_strip_leaves_its_places_empty() -> None:
    film = np.zeros((16, 16), dtype=np.uint8)
    figure = draw_strips([Strip("covid, test: 2 films", [film, film], ["positive", "negative"])], 6)
    assert sum(bool(axes.images) for sub in figure.subfigs for axes in sub.axes) == 2


def test_the_words_below_neighbouring_films_do_not_touch() -> None:
    film = np.zeros((16, 16), dtype=np.uint8)
    words = ["Pleural_Thickening +2", "Consolidation +1", "fewer than 16 grey levels", "W" * 64, "", "nil"]
    figure = draw_strips(
        [Strip("findings, train", [film] * 6, words), Strip("covid", [film], ["positive"])], 6
    )
    figure.set_dpi(160)
    figure.draw_without_rendering()
    first, second = figure.subfigs
    below = [axes.xaxis.label for axes in first.axes]
    assert below[2].get_text().split() == ["fewer", "than", "16", "grey", "levels"]
    assert below[3].get_text().endswith("W…")
    shown = [label.get_window_extent() for label in below if label.get_text()]
    for left, right in pairwise(shown):
        assert left.x1 < right.x0
    assert min(box.y0 for box in shown) > second.axes[0].get_window_extent().y1
