"""The script that fills the documentation's tables; that they are filled, CI checks by running it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "docs" / "tables" / "fill.py"
PAGE = "before\n<!-- table: made/up -->\nold\n<!-- end -->\nafter\n"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("fill_tables", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pages(script, monkeypatch, tmp_path):
    """A documentation of one page, whose one table counts 1, and a folder of generators with that one."""
    folder = tmp_path / "docs" / "tables"
    folder.mkdir(parents=True)
    (folder / "made.py").write_text("def up(): return '| 1 |\\n'\n")
    (tmp_path / "README.md").write_text("no table\n")
    page = tmp_path / "docs" / "page.md"
    page.write_text(PAGE)
    monkeypatch.setattr(script, "DOCS", tmp_path / "docs")
    monkeypatch.syspath_prepend(str(folder))
    yield page
    sys.modules.pop("made", None)


def test_a_page_is_filled_once_and_then_stays(script, pages):
    assert script.main(["--check"]) == 1
    assert pages.read_text() == PAGE
    assert script.main([]) == 0
    assert pages.read_text() == "before\n<!-- table: made/up -->\n\n| 1 |\n\n<!-- end -->\nafter\n"
    assert script.main(["--check"]) == 0


def test_a_number_changed_by_hand_is_shown(script, pages, capsys):
    script.main([])
    pages.write_text(pages.read_text().replace("| 1 |", "| 2 |"))
    assert script.main(["--check"]) == 1
    shown = capsys.readouterr().out
    assert "-| 2 |" in shown
    assert "+| 1 |" in shown


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (PAGE.replace("/up", "/down"), "no table made/down"),
        (PAGE.replace("made/", "unmade/"), "no table unmade/up"),
        (PAGE.replace("<!-- end -->", ""), "no '<!-- end -->'"),
        (PAGE.replace("made/up", "made"), "misspelt"),
    ],
)
def test_a_wrong_mark_is_named(script, pages, page, message):
    pages.write_text(page)
    with pytest.raises(SystemExit, match=message):
        script.main(["--check"])
