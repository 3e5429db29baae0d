"""The documentation as a site: it builds without a warning, and needs nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOADED = re.compile(
    r"<(?:script|img|iframe|source)[^>]+\bsrc=\"?((?:https?:)?//[^\" >]+)"
    r"|<link[^>]+\bhref=\"?((?:https?:)?//[^\" >]+)|@import[^;]*//|url\(['\"]?((?:https?:)?//)"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site; every warning is an error, a link that leads nowhere among them."""
    pytest.importorskip("material", reason="pip install 'cxrbench[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_every_page_of_the_documentation_is_a_page_of_the_site(site: Path) -> None:
    pages = (ROOT / "docs").rglob("*.md")
    wanted = {path.relative_to(ROOT / "docs").with_suffix(".html").as_posix() for path in pages}
    wanted = {name.replace("README.html", "index.html") for name in wanted}
    assert wanted <= {path.relative_to(site).as_posix() for path in site.rglob("*.html")}


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    loaded = {
        path.name: found
        for path in site.rglob("*")
        if path.suffix in (".html", ".css") and (found := LOADED.findall(path.read_text(encoding="utf-8")))
    }
    assert not loaded
    assert LOADED.search('<link rel="stylesheet" href="https://fonts.example/css?family=Roboto">')


@pytest.mark.slow
def test_what_makes_the_tables_is_not_published(site: Path) -> None:
    assert not list(site.rglob("*.py"))
