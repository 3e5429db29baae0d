"""``cxrbench power``: the library's numbers, from the command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cxrbench.commands.power import command
from cxrbench.statistics import (
    auc_power,
    comparison_power,
    images_for_comparison,
    images_for_power,
    images_for_precision,
    planned_se,
)


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def found(*arguments):
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_images_for_each_aim():
    assert found("--auc", 0.8, "--null", 0.7, "--prevalence", 0.2)["images"] == images_for_power(
        0.8, 0.7, 0.2
    )
    assert found("--auc", 0.8, "--half-width", 0.05)["images"] == images_for_precision(0.8, 0.05, 0.5)
    pair = found("--auc", 0.85, "--against", 0.8, "--correlation", 0.6)
    assert pair["images"] == images_for_comparison(0.85, 0.8, 0.5, correlation=0.6)
    noninferior = found("--auc", 0.8, "--against", 0.8, "--hypothesis", "noninferiority", "--margin", 0.05)
    se = planned_se(0.8, 0.8, noninferior["images"] // 2, noninferior["images"] // 2)
    assert comparison_power(0, se, hypothesis="noninferiority", margin=0.05) == pytest.approx(0.8, abs=0.002)


def test_images_of_patients():
    plain = found("--auc", 0.8, "--null", 0.7)
    clustered = found("--auc", 0.8, "--null", 0.7, "--images-per-patient", 3, "--icc", 0.5)
    assert clustered["design_effect"] == 2
    assert clustered["images"] == pytest.approx(2 * plain["images"], rel=0.02)
    assert clustered["patients"] == -(-clustered["images"] // 3)


def test_the_power_of_a_number_of_images():
    assert found("--auc", 0.8, "--null", 0.7, "--images", 200)["power"] == auc_power(0.8, 0.7, 100, 100)
    assert "power 0." in run("--auc", 0.8, "--against", 0.75, "--images", 200).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--auc", 0.8], "give one of"),
        (["--auc", 0.8, "--null", 0.7, "--against", 0.7], "give one of"),
        (["--auc", 0.8, "--half-width", 0.1, "--images", 10], "no power to give"),
        (["--auc", 0.8, "--null", 0.8], "no number of images"),
        (["--auc", 0.8, "--against", 0.8], "no number of images"),
        (["--auc", "nan", "--null", 0.7], "auc: must lie strictly"),
        (["--auc", "0_8", "--null", 0.7], "is not a number"),
        (["--auc", 0.8, "--half-width", "1e-9"], "would be needed"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_one_line(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--null", 0.5, "--images", 50, "--prevalence", "nan"], "prevalence"),
        (["--null", 0.5, "--images", 50, "--prevalence", "inf"], "prevalence"),
        (["--null", 0.5, "--images", "9" * 400], "at most"),
        (["--against", 0.7, "--images", "9" * 400], "at most"),
        (["--null", 0.5, "--margin", 0.1], "--against"),
        (["--half-width", 0.1, "--hypothesis", "superiority"], "--against"),
        (["--null", 0.7, "--prevalence", 1e-300], "at most"),
        (
            ["--null", 0.7, "--images-per-patient", 1e300],
            "images would be those of 1 patient, and an interval",
        ),
    ],
)
def test_numbers_beyond_all_plans_and_options_without_their_aim_are_refused(given, says):
    result = run("--auc", 0.8, *given)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
