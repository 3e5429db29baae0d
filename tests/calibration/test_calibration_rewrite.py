"""The calibrated profile: comments stay, what was measured goes in, and it is TOML."""

from __future__ import annotations

import tomllib
from dataclasses import asdict

from cxrbench.calibration.rewrite import calibrated_profile
from cxrbench.statistics.verdicts import Margin, Target
from cxrbench.study.profile import parse_profile, profile_text

TARGET = Target(
    auc=0.7571,
    sd=0.00412,
    seeds=5,
    measured_on="0123456789abcdef",
    source='a "command"; evidence: e.csv',
)
MARGIN = Margin(difference=0.05, sd=0.01, seeds=5, measured_on="0123456789abcdef")
AS_TOML = {
    "auc": 0.7571,
    "sd": 0.00412,
    "seeds": 5,
    "measured_on": "0123456789abcdef",
    "source": 'a "command"; evidence: e.csv',
}


def comments(text):
    return [line[line.index("#") :] for line in text.splitlines() if "#" in line]


def test_comments_stay_and_the_rest_is_as_it_was(calibration_text):
    new = calibrated_profile(calibration_text, {"covid.severity_median": 0.712}, {"control": TARGET}, {}, {})
    assert comments(new) == comments(calibration_text) != []
    expected = tomllib.loads(calibration_text)
    expected["roles"]["covid"]["options"]["severity_median"] = 0.712
    expected["targets"]["control"] = AS_TOML
    assert tomllib.loads(new) == expected


def test_the_profile_that_ships_can_be_rewritten():
    text = profile_text("phantom")
    new = calibrated_profile(
        text,
        {"covid.severity_median": 0.7, "covid.imaging.noise": 1.5},
        {"control": TARGET, "pooled-all": TARGET},
        {"findings-beats-control": MARGIN},
        {},
    )
    assert comments(new) == comments(text)
    was, now = tomllib.loads(text), tomllib.loads(new)
    options = was["roles"]["covid"]["options"]
    expected = {**options, "severity_median": 0.7, "imaging": {"noise": 1.5}}
    assert now["roles"] == {**was["roles"], "covid": {**was["roles"]["covid"], "options": expected}}
    assert now["targets"] == {**was.get("targets", {}), "control": AS_TOML, "pooled-all": AS_TOML}
    assert now["claims"]["findings-beats-control"] == asdict(MARGIN)
    assert {key: now[key] for key in ("study", "stages")} == {key: was[key] for key in ("study", "stages")}


def test_tables_that_the_profile_has_not_are_made():
    new = calibrated_profile(
        "[study]\nname = 'x'\n", {"covid.severity_median": 0.7}, {"control": TARGET}, {}, {}
    )
    assert tomllib.loads(new) == {
        "study": {"name": "x"},
        "roles": {"covid": {"options": {"severity_median": 0.7}}},
        "targets": {"control": AS_TOML},
    }


def test_a_further_scheme_and_its_target_can_be_read_back(calibration_text):
    notation = "init > findings + covid > covid"
    new = calibrated_profile(calibration_text, {}, {"mine": TARGET}, {}, {"mine": notation})
    profile = parse_profile(new, "new")
    assert profile.schemes["mine"].notation == notation
    assert profile.targets["mine"].sd == TARGET.sd
