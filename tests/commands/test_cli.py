"""``cxrbench`` as a stranger meets it: help at once, and errors in one line."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from cxrbench.cli import main
from cxrbench.study.profile import load_profile, profile_names

COMMANDS = tuple(main.list_commands(click.Context(main)))


def test_help_names_every_command_and_imports_nothing_heavy():
    program = (
        "import sys\n"
        "from cxrbench.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'pandas', 'numpy', 'scipy', 'sklearn', 'matplotlib'} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    *shown, heavy = result.stdout.splitlines()
    assert heavy == "[]"
    for command in COMMANDS:
        assert any(line.strip().startswith(command) for line in shown), command


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith("Usage:")


def test_a_terminal_without_a_character_is_shown_its_number(tmp_path):
    path = tmp_path / "\u00e9\u2013.csv"
    path.write_text("image_id,label,score\na,0,1\nb,1,2\nc,0,3\nd,1,4\n")
    result = CliRunner(charset="latin-1").invoke(main, ["evaluate", str(path)])
    assert result.exit_code == 0
    assert "\u00e9\\u2013: average precision" in result.output


def test_a_current_folder_that_is_gone_is_said_in_one_line(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    result = CliRunner().invoke(main, ["schemes"])
    assert result.exit_code == 2
    assert result.stderr == "Error: the current folder is gone or closed to you; change to another\n"


def test_commands_and_choices_complete_in_a_shell():
    complete = ShellComplete(main, {}, "cxrbench", "_CXRBENCH_COMPLETE")
    assert [item.value for item in complete.get_completions([], "exp")] == ["export"]
    assert [item.value for item in complete.get_completions(["export", "--format"], "o")] == ["onnx"]


def test_the_six_schemes_need_ten_stage_runs():
    result = CliRunner().invoke(main, ["schemes"])
    assert result.exit_code == 0
    assert "11 stage runs are named; shared beginnings leave 10 to train" in result.output
    assert "init > findings > pneumonia > covid" in result.output


def test_the_second_reading_is_a_named_set():
    result = CliRunner().invoke(main, ["schemes", "--schemes", "paths"])
    assert "9 stage runs are named; shared beginnings leave 7 to train" in result.output
    assert "init > findings > pneumonia + covid" in result.output
    assert "pooled-supplement" not in result.output
    of_profile = CliRunner().invoke(main, ["schemes", "--profile", "paediatric-small", "--schemes", "paths"])
    assert "init > findings > pneumonia + paediatric" in of_profile.output


def test_every_profile_says_in_one_line_what_it_can_show():
    result = CliRunner().invoke(main, ["profiles"])
    assert result.exit_code == 0
    lines = dict(line.split(maxsplit=1) for line in result.output.splitlines())
    assert set(lines) == set(profile_names())
    assert all(shows.endswith(".") for shows in lines.values())
    content = json.loads(CliRunner().invoke(main, ["profiles", "--json"]).output)
    assert {name: entry["shows"] for name, entry in content.items()} == lines
    assert content["phantom"]["synthetic"]
    assert not content["paediatric-small"]["synthetic"]


def test_a_profile_is_written_to_be_changed(tmp_path):
    mine = tmp_path / "mine.toml"
    assert CliRunner().invoke(main, ["profiles", "paper", "--out", str(mine)]).exit_code == 0
    assert CliRunner().invoke(main, ["profiles", "paper"]).output == mine.read_text(encoding="utf-8")
    assert load_profile(str(mine)).settings == load_profile("paper").settings
    again = CliRunner().invoke(main, ["profiles", "public", "--out", str(mine)])
    assert (again.exit_code, "is there already" in again.stderr) == (2, True)
    assert load_profile(str(mine)).name == "paper"
    assert CliRunner().invoke(main, ["profiles", "papr"]).exit_code == 2


def test_a_scheme_can_be_tried():
    result = CliRunner().invoke(
        main, ["schemes", "--json", "--add", "mine=init > pneumonia > findings > covid"]
    )
    content = json.loads(result.output)
    assert content["schemes"]["mine"] == "init > pneumonia > findings > covid"
    assert len(content["plan"]) == 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["schemes", "--add", "mine"], "write NAME=NOTATION"),
        (["schemes", "--add", "mine=init > > covid"], "a role is expected here (character 8)"),
        (["schemes", "--profile", "phantm"], "did you mean 'phantom'"),
        (["study", "--profile", "phantm", "--out", "x"], "did you mean 'phantom'"),
        (["study", "--profile", "public-small", "--out", "x"], "--data-root"),
        (["study", "--scheme", "contrl", "--out", "x"], "did you mean 'control'"),
        (["study", "--jobs", "0", "--out", "x"], "jobs = 0: give 1 or more"),
        (["study", "--out", ""], "it names nothing"),
        (["study", "--out", "a\0b"], "it names nothing"),
        (["gate", "", "--baseline", "x"], "it names nothing"),
        (["schemes", "--profile", "latin.toml"], "profile latin.toml: line 1 is not UTF-8"),
    ],
)
def test_a_mistake_is_said_without_a_traceback(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "latin.toml").write_bytes("# Küste".encode("latin-1"))
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_study_ends_in_a_table_and_a_report(tmp_path, tiny_text):
    profile = tmp_path / "tiny.toml"
    profile.write_text(tiny_text)
    out = tmp_path / "out"
    arguments = ["study", "--profile", str(profile), "--out", str(out), "--scheme", "control", "--quiet"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "init > covid" in result.output
    said = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).stdout)
    assert [scheme["notation"] for scheme in said["schemes"]] == ["init > covid"]
    assert said["results"] == str(out / "results.json")
    assert (out / "report" / "index.html").read_text().startswith("<!DOCTYPE html>")
    assert json.loads((out / "results.json").read_text())["profile"] == "tiny"
