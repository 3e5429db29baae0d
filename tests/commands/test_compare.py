"""``cxrbench compare`` from outside: its JSON, its tables, its errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cxrbench.commands import _predictions
from cxrbench.commands.compare import command
from cxrbench.statistics import Adjustment, IntervalMethod, compare_all, reader_study, write_predictions

OVARIAN = [
    str(Path(__file__).parents[2] / "fixtures" / "reference" / "ovarian.csv"),
    *("--id-column", "patient", "--label-column", "y"),
    *("--score-column", "albumin", "--score-column", "total_protein", "--score-column", "ten_minus_kg"),
]


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


@pytest.fixture
def files(tmp_path):
    """Three prediction files for the same 40 images of 20 patients, each in an order of its own."""
    rng = np.random.default_rng(1)
    labels = np.arange(40) % 2
    scores = rng.normal(size=(3, 40)) + labels
    paths = []
    for name, row in zip(("control", "findings", "sequential"), scores, strict=True):
        order = rng.permutation(40)
        paths.append(
            write_predictions(
                tmp_path / f"{name}.csv",
                [f"image{i}" for i in order],
                [f"patient{i // 2}" for i in order],
                labels[order],
                row[order],
            )
        )
    return paths, labels, scores


def test_ovarian_numbers_in_json_at_full_precision():
    result = run(*OVARIAN, "--json")
    assert result.exit_code == 0
    assert result.stderr == ""
    found = json.loads(result.stdout)
    assert [round(curve["auc"], 4) for curve in found["curves"]] == [0.7366, 0.6478, 0.7258]
    assert [round(curve["se"], 4) for curve in found["curves"]] == [0.0927, 0.1, 0.1028]
    assert round(found["omnibus"]["chi2"], 6) == 2.533978
    assert (found["omnibus"]["df"], round(found["omnibus"]["p_value"], 6)) == (2, 0.281678)
    assert [round(pair["p_value"], 5) for pair in found["pairs"]][1:] == [0.91021, 0.45614]
    assert (found["n_images"], found["n_positive"], found["n_patients"]) == (43, 31, None)
    assert found["curves"][0]["auc"] == 0.7365591397849462


def test_files_are_joined_on_the_image_id_and_give_what_python_gives(files):
    paths, labels, scores = files
    result = run(*paths, "--cluster", "patient_id", "--margin", "0.02", "--json")
    found = json.loads(result.stdout)
    expected = compare_all(
        labels,
        dict(zip(("control", "findings", "sequential"), scores, strict=True)),
        np.arange(40) // 2,
        margin=0.02,
    )
    assert found["n_patients"] == 20
    for given, pair in zip(found["pairs"], expected.pairs, strict=True):
        assert (given["a"], given["b"]) == (pair.a, pair.b)
        assert given["difference"] == pair.difference
        assert given["p_adjusted"] == pytest.approx(pair.p_adjusted, rel=1e-12)
        assert given["noninferiority"]["p_value"] == pytest.approx(pair.noninferiority.p_value, rel=1e-12)
        assert given["superiority"]["margin"] == 0.02


@pytest.mark.parametrize("adjust", get_args(Adjustment))
def test_adjustment_is_an_option(files, adjust):
    paths, _, _ = files
    found = json.loads(run(*paths, "--adjust", adjust, "--json").stdout)
    p = sorted(pair["p_value"] for pair in found["pairs"])
    adjusted = sorted(pair["p_adjusted"] for pair in found["pairs"])
    factor = {"holm": 3, "bonferroni": 3, "fdr_bh": 3, "none": 1}[adjust]
    assert adjusted[0] <= min(1, factor * p[0]) + 1e-15
    assert found["adjust"] == adjust


def test_a_file_against_itself_has_p_exactly_one(files):
    paths, _, _ = files
    found = json.loads(run(paths[0], paths[0], "--json").stdout)
    assert (found["pairs"][0]["difference"], found["pairs"][0]["z"], found["pairs"][0]["p_value"]) == (
        0,
        0,
        1,
    )
    assert found["pairs"][0]["p_adjusted"] == 1
    assert (found["omnibus"]["chi2"], found["omnibus"]["df"], found["omnibus"]["p_value"]) == (0, 0, 1)


def test_degenerate_curves_are_valid_json_with_null_for_what_does_not_exist(tmp_path):
    ids, labels = [f"i{k}" for k in range(20)], [0] * 10 + [1] * 10
    for name, scores in (("right", range(20)), ("wrong", range(20, 0, -1))):
        write_predictions(tmp_path / f"{name}.csv", ids, ids, labels, list(scores))
    result = run(tmp_path / "right.csv", tmp_path / "wrong.csv", "--json")
    assert "NaN" not in result.stdout
    assert "Infinity" not in result.stdout
    found = json.loads(result.stdout)
    assert found["pairs"][0]["z"] is None
    assert found["omnibus"]["chi2"] is None
    table = run(tmp_path / "right.csv", tmp_path / "wrong.csv")
    assert "no variance" in table.stdout


def test_the_table_for_a_person(files):
    paths, _, _ = files
    result = run(*paths, "--margin", "0.02")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["curve", "AUC", "SE", "95%", "interval"]
    assert lines[2].startswith("control")
    assert "p (holm)" in result.stdout
    assert "non-inferior by 0.02" in result.stdout
    assert "superior by 0.02" in result.stdout
    assert "all equal: chi-square" in result.stdout
    assert (
        "40 images of 20 patients, 20 positive; standard errors: images independent (DeLong)" in result.stdout
    )
    assert "note: 40 images of 20 patients count as independent" in result.stdout
    assert "--cluster patient_id allows for it" in result.stdout
    clustered = run(*paths, "--cluster", "patient_id").stdout
    assert "clustered by patient (Obuchowski)" in clustered
    assert "note" not in clustered


def test_one_image_per_patient_is_reported(tmp_path):
    ids, labels = [f"i{k}" for k in range(6)], [0, 0, 1, 0, 1, 1]
    for name, scores in (("a", [1, 2, 3, 4, 5, 6]), ("b", [2, 1, 3, 4, 6, 5])):
        write_predictions(tmp_path / f"{name}.csv", ids, ids, labels, scores)
    result = run(tmp_path / "a.csv", tmp_path / "b.csv", "--cluster", "patient_id")
    assert "small-sample factor is 1" in result.stdout


def test_unpaired_files(files, tmp_path):
    paths, labels, scores = files
    other = write_predictions(
        tmp_path / "elsewhere.csv",
        [f"other{i}" for i in range(40)],
        [f"other{i // 2}" for i in range(40)],
        labels,
        scores[1],
    )
    refused = run(paths[0], other)
    assert refused.exit_code == 2
    assert "not of the same images" in refused.stderr
    found = json.loads(run(paths[0], other, "--unpaired", "--cluster", "patient_id", "--json").stdout)
    assert [curve["name"] for curve in found["curves"]] == ["control", "elsewhere"]
    assert (found["n_images"], found["n_positive"], found["n_patients"]) == (80, 40, 40)
    one, two = found["curves"]
    assert found["pairs"][0]["difference"] == one["auc"] - two["auc"]
    assert found["pairs"][0]["se"] == pytest.approx(np.hypot(one["se"], two["se"]), rel=0.03)
    assert found["omnibus"] is None
    assert run(paths[0], other, "--unpaired").exit_code == 0


def test_unpaired_files_of_one_name_are_numbered(tmp_path):
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
        ids = [f"{folder}{i}" for i in range(6)]
        write_predictions(tmp_path / folder / "control.csv", ids, ids, [0, 1, 0, 1, 0, 1], [1, 2, 3, 4, 5, 6])
    result = run(tmp_path / "old" / "control.csv", tmp_path / "new" / "control.csv", "--unpaired", "--json")
    assert [curve["name"] for curve in json.loads(result.stdout)["curves"]] == ["control (1)", "control (2)"]


def test_unpaired_files_with_common_images_need_patients(files):
    paths, _, _ = files
    refused = run(paths[0], paths[1], "--unpaired")
    assert refused.exit_code == 2
    assert "in both files, so the AUCs are correlated" in refused.stderr
    assert run(paths[0], paths[1], "--unpaired", "--cluster", "patient_id").exit_code == 0
    refused = run(*paths, "--unpaired")
    assert "two files with one score column each" in refused.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("image7,", "image70,"), "image image7 of control not in findings"),
        (
            lambda text: text.replace("image7,patient3,1", "image7,patient3,0"),
            "a different label for image image7",
        ),
        (
            lambda text: text.replace("image7,patient3", "image7,patient9"),
            "a different patient for image image7",
        ),
        (lambda text: text.replace("image7,", "image8,"), "image_id appears more than once: image image8"),
    ],
)
def test_files_that_do_not_agree_end_with_one_line_and_code_two(files, change, message):
    paths, _, _ = files
    paths[1].write_text(change(paths[1].read_text()))
    result = run(*paths, "--json")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--margin", "-1"], "margin: must be an AUC difference"),
        (["--level", "95"], "level: must lie between 0 and 1"),
        (["--cluster", "hospital"], "no column 'hospital'"),
        (["--score-column", "probability"], "no column 'probability'"),
    ],
)
def test_options_that_cannot_be_met_end_with_one_line_and_code_two(files, options, message):
    paths, _, _ = files
    result = run(*paths, *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_one_curve_is_refused(files):
    paths, _, _ = files
    result = run(paths[0])
    assert result.exit_code == 2
    assert "one curve has nothing to be compared with" in result.stderr


def test_choices_are_those_of_the_library():
    assert get_args(Adjustment) == _predictions.ADJUSTMENTS
    assert get_args(IntervalMethod) == _predictions.INTERVALS


def test_unpaired_images_of_the_same_patients_are_noted(tmp_path):
    for name, seed in (("new", 1), ("old", 2)):
        rng = np.random.default_rng(seed)
        rows = [f"{name}{i},p{i // 2},{i % 2},{rng.random()}" for i in range(8)]
        (tmp_path / f"{name}.csv").write_text("image_id,patient_id,label,score\n" + "\n".join(rows) + "\n")
    result = run(tmp_path / "new.csv", tmp_path / "old.csv", "--unpaired")
    assert result.exit_code == 0
    assert "16 images of 4 patients count as independent" in result.stdout


def test_a_margin_that_only_python_reads_is_refused(files):
    result = run(*files[0], "--margin", "0_02")
    assert result.exit_code == 2
    assert "'0_02' is not a number" in result.stderr


def test_paired_tests_of_other_numbers(files):
    paths, labels, scores = files
    result = run(*paths[:2], "--threshold", "0.5", "--specificity", "0.8", "--bootstrap", "100", "--json")
    assert result.exit_code == 0, result.output
    rows = {row["what"]: row for row in json.loads(result.stdout)["more"]}
    assert list(rows) == [
        "sensitivity at score 0.5 (McNemar)",
        "specificity at score 0.5 (McNemar)",
        "AUC (bootstrap)",
        "average precision (bootstrap)",
        "sensitivity at specificity 0.8 (bootstrap)",
        "mean sensitivity from specificity 0.8 (bootstrap)",
    ]
    first = rows["sensitivity at score 0.5 (McNemar)"]
    calls = np.asarray(scores)[:2, np.asarray(labels) == 1] >= 0.5
    assert first["difference"] == pytest.approx(calls[0].mean() - calls[1].mean())
    assert 0 <= rows["AUC (bootstrap)"]["p_value"] <= 1
    assert "McNemar" in run(*paths[:2], "--threshold", "0.5").stdout


def test_a_margin_tests_equivalence_too(files):
    result = run(*files[0], "--margin", "0.5", "--json")
    assert {pair["equivalence"]["hypothesis"] for pair in json.loads(result.stdout)["pairs"]} == {
        "equivalence"
    }
    assert "equivalent by 0.5" in run(*files[0], "--margin", "0.5").stdout


def test_paired_numbers_of_different_images_are_refused(files):
    result = run(*files[0][:2], "--unpaired", "--threshold", "0.5")
    assert result.exit_code == 2
    assert "paired tests" in result.stderr


@pytest.fixture
def readers(tmp_path):
    """Two methods, three readers, the files in different orders of 30 images of 15 patients."""
    rng = np.random.default_rng(7)
    labels = np.arange(30) % 2
    scores = rng.normal(size=(2, 3, 30)) + rng.normal(size=30) + labels
    paths = []
    for method, rows in zip(("film", "film:screen"), scores, strict=True):
        order = rng.permutation(30)
        frame = pd.DataFrame({"image_id": [f"i{k}" for k in order], "label": labels[order]})
        frame["patient_id"] = [f"p{k // 2}" for k in order]
        for reader, row in zip(("score", "r:2", "r3"), rows, strict=True):
            frame[reader] = row[order]
        paths.append(tmp_path / f"{method}.csv")
        frame.to_csv(paths[-1], index=False)
    columns = [part for reader in ("score", "r:2", "r3") for part in ("--score-column", reader)]
    return [*paths, *columns], labels, scores


def test_readers_of_two_methods(readers):
    arguments, labels, scores = readers
    patients = np.arange(30) // 2
    of = {
        method: dict(zip(("score", "r:2", "r3"), rows, strict=True))
        for method, rows in zip(("film", "film:screen"), scores, strict=True)
    }
    expected = reader_study(labels, of, patients, level=0.9)
    options = ("--readers", "--cluster", "patient_id", "--level", "0.9")
    found = json.loads(run(*arguments, *options, "--json").stdout)
    assert len(found["curves"]) == 6
    assert dict(found["readers"]["means"]) == pytest.approx(dict(expected.means))
    (pair,), (wanted,) = found["readers"]["differences"], expected.differences
    assert (pair["a"], pair["b"]) == ("film", "film:screen")
    assert [pair["ci_low"], pair["ci_high"]] == pytest.approx([wanted.ci_low, wanted.ci_high])
    assert pair["p_adjusted"] == pytest.approx(wanted.p_value) == pytest.approx(found["readers"]["p_value"])
    shown = run(*arguments, *options).stdout
    assert "90% interval" in shown
    assert f"{wanted.difference:.4f}" in shown
    assert "clustered by patient" in shown
    assert "count as independent" in run(*arguments, "--readers").stdout


@pytest.mark.parametrize(
    "more", [("--unpaired",), ("--margin", "0.1"), ("--threshold", "0"), ("--interval", "wald")]
)
def test_a_reader_study_is_not_mixed_with_other_tests(readers, more):
    found = run(*readers[0], "--readers", *more)
    assert found.exit_code == 2
    assert "--readers: gives mean AUCs" in found.stderr


def test_a_reader_study_needs_methods_and_readers(readers, files):
    one_method = run(readers[0][0], *readers[0][2:], "--readers")
    one_reader = run(*files[0], "--readers")
    for found in (one_method, one_reader):
        assert found.exit_code == 2
        assert "two or more files" in found.stderr
