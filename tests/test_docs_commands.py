"""Every command in the documentation is one that the program takes; those that can be run in small, run."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pytest
import tiny_study
from click.testing import CliRunner
from PIL import Image

from cxrbench.cli import main
from cxrbench.plugin import add_short_options, pytest_addoption

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^ *```(?:sh|bash|console|shell)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
IN_LINE = re.compile(r"`(cxrbench [a-z][^`]*)`")


@dataclass(frozen=True)
class Line:
    """One command of a page, its words, and what the comment after it says."""

    page: str
    words: tuple[str, ...]
    comment: str

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)[:70]}"


def blocks(page: Path) -> list[Line]:
    """Return the commands of a page's fenced blocks, in order."""
    found = []
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for text in re.sub(r"\\\n\s*", " ", block).splitlines():
            command, _, comment = re.sub(r"^\s*\$ ", "", text.strip()).partition(" #")
            if not command.startswith("#") and command.strip():
                words = tuple(shlex.split(command))
                found.append(Line(page.relative_to(ROOT).as_posix(), words, comment.strip()))
    return found


LINES = {page: blocks(page) for page in PAGES}
OURS = [line for lines in LINES.values() for line in lines if line.words[0] == "cxrbench"] + [
    Line(page.relative_to(ROOT).as_posix(), tuple(shlex.split(text)), "")
    for page in PAGES
    for text in IN_LINE.findall(page.read_text(encoding="utf-8"))
    if "-" in text or len(text.split()) > 3
]
TESTS = [line for lines in LINES.values() for line in lines if line.words[0] == "pytest"]
OTHERS = [line for lines in LINES.values() for line in lines if line.words[0] not in ("cxrbench", "pytest")]
KNOWN = {
    ".",
    "cd",
    "cmake",
    "cp",
    "eval",
    "export",
    "git",
    "mkdir",
    "mkdocs",
    "pip",
    "python",
    "python3",
    "sed",
    "tox",
    "uv",
}


def command_of(words: tuple[str, ...]) -> tuple[click.Command, list[str]]:
    """Return the command that ``cxrbench ...`` calls, and the words after its name."""
    found: click.Command = main
    rest = list(words[1:])
    while isinstance(found, click.Group):
        name = rest.pop(0)
        below = found.get_command(click.Context(found), name)
        assert below is not None, f"no command {name!r}"
        found = below
    return found, rest


def test_there_are_commands_to_look_at():
    assert len(OURS) > 20
    assert len(TESTS) > 5


@pytest.mark.parametrize("line", OURS, ids=str)
def test_the_program_takes_every_command(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command, rest = command_of(line.words)
    try:
        command.make_context(command.name, rest)
    except click.MissingParameter:
        # In a sentence a command may stand for itself, without what it is called with.
        assert line not in LINES[ROOT / line.page]


class Options(set):
    """Stands for pytest's parser, and keeps the names of a plugin's options."""

    def getgroup(self, *_):
        return self

    def addoption(self, *names, **_):
        self.update(names)


@pytest.mark.parametrize("line", TESTS, ids=str)
def test_pytest_takes_every_option(line, pytestconfig):
    ours = Options()
    pytest_addoption(ours)
    add_short_options(ours)
    _, unknown = pytestconfig._parser.parse_known_and_unknown_args(list(line.words[1:]))
    assert set(unknown) <= ours
    assert all((ROOT / word).exists() for word in line.words[1:2] if not word.startswith("-"))


@pytest.mark.parametrize("line", OTHERS, ids=str)
def test_other_programs_are_known_and_their_files_are_there(line):
    assert line.words[0] in KNOWN or "=" in line.words[0]
    scripts = [word for word in line.words[1:2] if word.endswith(".py")]
    assert all((ROOT / script).exists() for script in scripts)


APART = {
    "calibrate": "trains for minutes even in small; tests/calibration runs it",
    "faults": "trains for minutes even in small; tests/faults runs it",
}
"""Commands that are not run here, and why."""
ELSEWHERE = {"--gpu", "--devices", "--cluster"}
"""Options that need hardware of their own."""
WITH_VALUE = {"--devices", "--cluster", "--profile"}
PLACES = {"/data": "fixtures", "/data/ours": "fixtures/manifest"}
"""Folders that the documentation names, and those of :func:`place` that stand for them."""


def in_small(words: tuple[str, ...]) -> list[str]:
    """Return a command with the stand-ins of :func:`place` for what it names."""
    found = [PLACES.get(word, word) for word in words]
    if words[1] == "study":
        kept, rest = [], iter(found)
        for word in rest:
            if word in ELSEWHERE or (word == "--profile" and "mine.toml" not in words):
                if word in WITH_VALUE:
                    next(rest)
            else:
                kept.append(word)
        profile = "three.toml" if any("pneumonia" in word for word in words) else "tiny.toml"
        small = [] if "mine.toml" in words else ["--profile", profile]
        small += [] if "--scheme" in words else ["--scheme", "control", "--scheme", "findings"]
        found = [*kept, *small, "--quiet", "--no-report"]
    return found


@pytest.fixture
def place(tmp_path, tiny, monkeypatch) -> Path:
    """Return a folder that holds, in small, what the documentation's commands name."""
    monkeypatch.chdir(tmp_path)
    roles = ("findings", "pneumonia", "covid")
    (tmp_path / "tiny.toml").write_text(tiny_study.profile_text())
    (tmp_path / "three.toml").write_text(tiny_study.profile_text(roles=roles))
    (tmp_path / "mine.toml").write_text(tiny_study.profile_text({"stages.default.batch_size": 32}))
    for name in ("study", "results", "study-of-my-branch", "study-a", "study-b"):
        shutil.copytree(tiny.out, name)
    for name in ("mine", "theirs"):
        random = np.random.default_rng(len(name))
        rows = []
        for i in range(80):
            score = np.clip(random.normal(0.4 + 0.2 * (i % 2), 0.2), 0.01, 0.99)
            rows.append(f"i{i},p{i // 2},{i % 2},{score},{'PA' if i % 3 else 'AP'}")
        Path(f"{name}.csv").write_text("\n".join(["image_id,patient_id,label,score,view", *rows]))
    Path("films").mkdir()
    for number in range(3):
        film = np.random.default_rng(number).integers(0, 255, (64, 64), dtype=np.uint8)
        Image.fromarray(film).save(f"films/{number}.png")
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    return tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(line in OURS for line in LINES[page])], ids=lambda p: p.stem
)
def test_the_commands_of_a_page_run_in_small(page, monkeypatch):
    for name in ("baselines/main", "baseline"):
        result = CliRunner().invoke(main, ["baseline", "save", name, "--study", "study"])
        assert result.exit_code == 0, result.output
    for line in LINES[page]:
        if line.words[0] == "export":
            name, _, value = line.words[1].partition("=")
            monkeypatch.setenv(name, value)
        if line.words[0] == "sed":
            _, _, change, name = line.words
            _, old, new, _ = change.split("/")
            before = Path(name).read_text()
            Path(name).write_text(re.sub(old, new, before, flags=re.MULTILINE))
            assert Path(name).read_text() != before
        if line.words[0] != "cxrbench" or line.words[1] in APART:
            continue
        words = in_small(line.words)
        result = CliRunner().invoke(main, words[1:])
        expected = re.search(r"exit code (\d)", line.comment)
        assert result.exit_code == (int(expected[1]) if expected else 0), f"{words}: {result.output}"
