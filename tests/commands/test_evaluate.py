"""``cxrbench evaluate`` from outside: its JSON, its tables, its errors."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cxrbench.commands._errors import user_errors
from cxrbench.commands._predictions import show, show_interval, show_p
from cxrbench.commands.evaluate import command
from cxrbench.errors import RadiographError
from cxrbench.statistics import auc, operating_points

OVARIAN = Path(__file__).parents[2] / "fixtures" / "reference" / "ovarian.csv"


def run(*arguments, color=False):
    return CliRunner().invoke(command, [str(argument) for argument in arguments], color=color)


def _table(n, seed, first=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    return pd.DataFrame(
        {
            "image_id": [f"image{first + i}" for i in range(n)],
            "patient_id": [f"patient{first + i // 3}" for i in range(n)],
            "label": labels,
            "score": 1 / (1 + np.exp(-rng.normal(size=n) - labels)),
            "view": np.where(rng.random(n) < 0.5, "AP", "PA"),
            "age": np.round(rng.uniform(20, 79, n)),
        }
    )


@pytest.fixture
def predictions_file(tmp_path):
    path = tmp_path / "control.csv"
    _table(120, 1).to_csv(path, index=False)
    return path


@pytest.fixture
def validation_file(tmp_path):
    path = tmp_path / "validation.csv"
    _table(60, 2, first=300).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--cluster", ""], "it names no column"),
        (["--patient-column", " "], "it names no column"),
        (["--bootstrap", "0"], "at least 100"),
        (["--bootstrap", "9" * 30], "at most 1,000,000"),
        (["--bootstrap", "9" * 5000], "it is too large"),
        (["--level", "0.9999999999999999"], "level: must lie between 0 and 1"),
        (["--score-column", "label"], "is named for two things"),
        (
            ["--finding", "label:score", "--score-column", "age"],
            "leave out --label-column and --score-column",
        ),
    ],
)
def test_options_that_cannot_be_meant_are_refused(predictions_file, options, says):
    result = run(predictions_file, *options)
    assert result.exit_code == 2
    assert says in result.stderr


def test_json_holds_a_curve_of_one(predictions_file):
    result = run(predictions_file, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    table = pd.read_csv(predictions_file)
    expected = auc(table["label"], table["score"])
    (curve,) = found["curves"]
    assert curve["name"] == "control"
    assert (curve["auc"], curve["se"]) == (expected.auc, pytest.approx(expected.se, rel=1e-13))
    assert {"name", "auc", "se", "ci_low", "ci_high", "note", "average_precision"} == set(curve)
    assert {"n_images": 120, "n_positive": 60, "n_patients": 40}.items() <= found.items()
    assert "pairs" not in found
    assert "count as independent" in found["notes"][0]


def test_cluster(predictions_file):
    found = json.loads(run(predictions_file, "--cluster", "patient_id", "--json").stdout)
    table = pd.read_csv(predictions_file)
    expected = auc(table["label"], table["score"], table["patient_id"])
    assert found["curves"][0]["se"] == pytest.approx(expected.se, rel=1e-13)
    assert (found["clustered"], found["n_patients"], found["notes"]) == (True, 40, [])


def test_other_columns_intervals_and_levels():
    options = ["--id-column", "patient", "--label-column", "y", "--score-column", "albumin"]
    found = json.loads(run(OVARIAN, *options, "--interval", "wald", "--level", "0.9", "--json").stdout)
    (curve,) = found["curves"]
    assert (curve["name"], found["n_patients"], found["level"]) == ("ovarian", None, 0.9)
    assert curve["ci_high"] - curve["auc"] == pytest.approx(1.644854 * curve["se"], rel=1e-6)


def test_several_score_columns_are_several_curves():
    options = ["--id-column", "patient", "--label-column", "y"]
    found = json.loads(
        run(
            OVARIAN, *options, "--score-column", "albumin", "--score-column", "total_protein", "--json"
        ).stdout
    )
    assert [curve["name"] for curve in found["curves"]] == ["albumin", "total_protein"]


def test_parquet(tmp_path):
    _table(30, 1).to_parquet(tmp_path / "control.parquet")
    assert json.loads(run(tmp_path / "control.parquet", "--json").stdout)["n_images"] == 30


def test_operating_points_come_from_validation(predictions_file, validation_file):
    found = json.loads(run(predictions_file, "--validation", validation_file, "--json").stdout)
    points = found["curves"][0]["operating_points"]
    test, validation = pd.read_csv(predictions_file), pd.read_csv(validation_file)
    expected = operating_points(validation["label"], validation["score"], test["label"], test["score"])
    assert [point["rule"] for point in points] == ["youden", "sensitivity 0.90", "sensitivity 0.95"]
    for point, wanted in zip(points, expected, strict=True):
        assert point["threshold"] == wanted.threshold
        assert point["sensitivity"]["count"] == wanted.sensitivity.count
        assert point["specificity"]["ci_low"] == pytest.approx(wanted.specificity.ci_low)


def test_a_threshold_may_not_be_chosen_on_test_images_or_their_patients(predictions_file, tmp_path):
    refused = run(predictions_file, "--validation", predictions_file)
    assert refused.exit_code == 2
    assert "images image0, image1, image10 and 117 more in both" in refused.stderr
    table = _table(60, 2, first=300)
    table.loc[7, "patient_id"] = "patient3"
    table.to_csv(tmp_path / "validation.csv", index=False)
    refused = run(predictions_file, "--validation", tmp_path / "validation.csv")
    assert refused.exit_code == 2
    assert "patient patient3 in both" in refused.stderr


def test_subgroups_and_age_bands(predictions_file):
    found = json.loads(run(predictions_file, "--by", "view", "--by", "age", "--json").stdout)
    view, age = found["curves"][0]["subgroups"]
    assert [row["name"] for row in view["subgroups"]] == ["AP", "PA"]
    assert view["heterogeneity"]["df"] == 1
    assert [row["name"] for row in age["subgroups"]] == ["<18", "18-39", "40-59", "60-79", "80+"]
    assert sum(row["n_images"] for row in age["subgroups"]) == 120
    assert age["subgroups"][0]["note"] == "not estimable: no images"


def test_no_value_of_a_file_steers_the_terminal(tmp_path):
    table = _table(120, 1).assign(ward=["\x1b[31mred" if row % 2 else "a\nb" for row in range(120)])
    table.to_csv(tmp_path / "\x1b[7mwards.csv", index=False)
    shown = run(tmp_path / "\x1b[7mwards.csv", "--by", "ward", color=True)
    assert shown.exit_code == 0
    assert all(sign.isprintable() or sign == "\n" for sign in shown.stdout)
    rows = [line.split("  ")[0].strip() for line in shown.stdout.splitlines()]
    assert {"[31mred", "a b"} <= set(rows)


def test_an_unknown_subgroup_column_is_refused_with_those_there_are(predictions_file):
    refused = run(predictions_file, "--by", "hospital")
    assert refused.exit_code == 2
    assert (
        "--by hospital: no such column; besides ids, label and scores the file has view, age"
        in refused.stderr
    )


def test_calibration_needs_probabilities(predictions_file):
    found = json.loads(run(predictions_file, "--calibration", "--json").stdout)["curves"][0]["calibration"]
    assert 0 < found["brier"] < 0.3
    assert sum(one["n_images"] for one in found["bins"]) == 120
    table = pd.read_csv(predictions_file)
    table["score"] = np.log(table["score"])
    table.to_csv(predictions_file, index=False)
    refused = run(predictions_file, "--calibration")
    assert refused.exit_code == 2
    assert "must be probabilities between 0 and 1" in refused.stderr


def test_the_tables_for_a_person(predictions_file, validation_file):
    result = run(
        predictions_file, "--validation", validation_file, "--by", "view", "--by", "age", "--calibration"
    )
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].split() == ["curve", "AUC", "SE", "95%", "interval"]
    for text in (
        "120 images of 40 patients, 60 positive",
        "average precision",
        "Brier score",
        "youden",
        "sensitivity 0.95",
        "heterogeneity by view: chi-square",
        "not estimable: no images",
    ):
        assert text in result.stdout
    assert "nan" not in result.stdout


def test_a_subgroup_test_that_cannot_be_made_says_why(predictions_file):
    table = pd.read_csv(predictions_file)
    table["view"] = "PA"
    table.to_csv(predictions_file, index=False)
    assert (
        "heterogeneity by view: nothing to compare: 1 of the subgroups"
        in run(predictions_file, "--by", "view").stdout
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_id,label,score\na,0,nan\nb,1,2\n", "score must be finite, found nan in image a"),
        ("image_id,label,score\na,1,1\nb,1,2\n", "every image is positive (images a, b)"),
        ("image_id,label,score\na,0,1\na,1,2\n", "image_id appears more than once: image a"),
        ("image_id,label,score\na,0,1\nb,1,2\n", "only 1 image of the positive class"),
    ],
)
def test_bad_files_end_with_one_line_and_code_two(tmp_path, text, message):
    (tmp_path / "bad.csv").write_text(text)
    result = run(tmp_path / "bad.csv", "--json")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_missing_file_ends_with_one_line_and_code_two(tmp_path):
    result = run(tmp_path / "none.csv")
    assert result.exit_code == 2
    assert result.stderr == f"Error: {tmp_path / 'none.csv'}: no such file\n"


def test_any_error_of_the_package_becomes_one_line_with_code_two():
    @click.command()
    @user_errors
    def broken():
        raise RadiographError("x.dcm", "first line\nsecond line")

    result = CliRunner().invoke(broken)
    assert result.exit_code == 2
    assert result.stderr == "Error: x.dcm: first line second line\n"


def test_errors_of_the_program_itself_are_not_hidden():
    @click.command()
    @user_errors
    def broken():
        raise KeyError("a bug")

    assert isinstance(CliRunner().invoke(broken).exception, KeyError)


def test_numbers_for_a_person():
    assert [show(0.12345), show(None), show_interval(0.1, 0.2), show_interval(None, None)] == [
        "0.1235",
        "-",
        "0.1000 to 0.2000",
        "-",
    ]
    assert [show_p(0.04567), show_p(0.0000123), show_p(None), show_p(1.0)] == [
        "0.0457",
        "1.2e-05",
        "-",
        "1.0000",
    ]


def test_percentages_are_refused_by_file_and_image(tmp_path):
    table = _table(30, 1)
    table["score"] = np.round(100 * table["score"], 3)
    table.to_csv(tmp_path / "s.csv", index=False)
    result = run(tmp_path / "s.csv", "--calibration")
    assert result.exit_code == 2
    assert f"{tmp_path / 's.csv'}: score: must be probabilities" in result.stderr
    assert "image image0" in result.stderr or "images image0" in result.stderr
    assert "divide percentages by 100" in result.stderr


def test_what_reviewers_ask_for_is_in_the_json(predictions_file):
    result = run(
        predictions_file,
        *("--cluster", "patient_id", "--calibration", "--threshold", "0.5", "--prevalence", "0.1"),
        *("--specificity", "0.9", "--net-benefit", "0.2", "--sites", "view", "--bootstrap", "100", "--json"),
    )
    assert result.exit_code == 0, result.output
    (curve,) = json.loads(result.stdout)["curves"]
    assert (
        curve["calibration"]["slope_low"] < curve["calibration"]["slope"] < curve["calibration"]["slope_high"]
    )
    (values,) = curve["predictive_values"]
    assert values["ppv"]["ci_low"] < values["ppv"]["value"] < values["ppv"]["ci_high"]
    assert set(curve["bootstrap"]["numbers"]) == {
        "AUC",
        "average precision",
        "sensitivity at specificity 0.9",
        "mean sensitivity from specificity 0.9",
    }
    for row in curve["bootstrap"]["numbers"].values():
        assert row["ci_low"] <= row["value"] <= row["ci_high"]
    assert len(curve["bootstrap"]["roc_band"]) == 21
    assert curve["net_benefit"][0]["threshold"] == 0.2
    assert set(curve["sites"]["sites"]) == {"AP", "PA"}
    table = run(
        predictions_file,
        *("--calibration", "--threshold", "0.5", "--prevalence", "0.1", "--net-benefit", "0.2"),
        *("--sites", "view", "--bootstrap", "100"),
    )
    assert table.exit_code == 0, table.output
    for shown in ("slope", "PPV at 0.1", "LR+", "net benefit", "within sites", "average precision"):
        assert shown in table.stdout


def test_several_findings_in_one_call(tmp_path):
    table = _table(60, 3)
    table["effusion"], table["effusion_score"] = table["label"][::-1].to_numpy(), table["score"] * 2
    table.to_csv(tmp_path / "s.csv", index=False)
    result = run(
        tmp_path / "s.csv", "--finding", "label:score", "--finding", "effusion:effusion_score", "--json"
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["findings"]
    assert found["label"]["curves"][0]["auc"] == auc(table["label"], table["score"]).auc
    assert found["effusion"]["curves"][0]["auc"] == auc(table["effusion"], table["score"]).auc


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prevalence", "0.1"], "need a --threshold"),
        (["--finding", "label"], "write LABEL:SCORE"),
        (["--finding", "label:score", "--finding", "label:score"], "given twice"),
        (["--sites", "hospital"], "--sites hospital: no such column"),
        (["--bootstrap", "10"], "at least 100"),
        (["--bootstrap", "1_00"], "is not a whole number"),
        (["--threshold", "nan"], "threshold: must be a number"),
        (["--net-benefit", "1"], "threshold: must lie strictly between 0 and 1"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(predictions_file, arguments, message):
    result = run(predictions_file, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
