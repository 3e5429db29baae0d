"""``cxrbench report``."""

from pathlib import Path

from click.testing import CliRunner

from cxrbench.cli import main

NOISES = {"control": (1.5, 1), "findings": (1.0, 2)}


def _run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["report", *map(str, arguments)])
    return result.exit_code, result.output


def test_one_study_gives_its_report_and_two_are_put_side_by_side(made_up, tmp_path: Path) -> None:
    study = made_up(tmp_path / "a", NOISES).folder
    assert _run(study, "--out", tmp_path / "one") == (0, f"report: {tmp_path / 'one' / 'index.html'}\n")
    assert "not declared public" in (tmp_path / "one" / "index.html").read_text(encoding="utf-8")
    other = made_up(tmp_path / "b", NOISES).folder
    assert _run(study, other) == (0, f"report: {study / 'side-by-side' / 'index.html'}\n")
    assert "No AUC differs" in (study / "side-by-side" / "index.html").read_text(encoding="utf-8")


def test_a_folder_without_results_is_named_in_one_line(tmp_path: Path) -> None:
    code, output = _run(tmp_path)
    assert code == 2
    assert "results.json does not exist; run a study first" in output
    assert len(output.splitlines()) == 1
