"""A target holds on the test images that it was measured on, and on no others."""

from __future__ import annotations

import pytest
import tiny_study

from cxrbench.report.content import short_target
from cxrbench.statistics.verdicts import Target, verdict

MEASURED = Target(source="a calibration", auc=0.75, sd=0.02, seeds=5, measured_on="0123456789abcdef")


def test_on_its_own_test_images_a_target_is_what_it_says():
    target = MEASURED.for_sample(MEASURED.measured_on)
    assert target == MEASURED
    assert verdict(target, 0.76, 0.7, 0.8).outcome == "pass"


@pytest.mark.parametrize("sample", ["fedcba9876543210", ""])
def test_on_others_it_settles_nothing(sample):
    made = verdict(MEASURED.for_sample(sample), 0.2, 0.1, 0.3)
    assert made.outcome == "inconclusive"
    assert "measured on other test images" in made.sentence
    assert "a calibration" in made.sentence
    # The interval that is quoted is the sample's own: the calibration's spread is that of other images.
    assert "[0.100, 0.300]" in made.sentence


def test_a_target_that_was_measured_on_no_images_holds_on_all():
    paper = Target(source="a paper", auc=0.757, tolerance=0.05)
    assert paper.for_sample("0123456789abcdef") == paper.for_sample("") == paper


def test_a_study_knows_its_test_images_by_ids_and_labels(tiny, tmp_path, run_tiny):
    sample = tiny.results.sample
    assert len(sample) == 16
    assert int(sample, 16) >= 0
    # Another difficulty shows other pixels on the same films; another seed of the data draws other films.
    stated = {
        "targets.control": {
            "source": "a calibration",
            "auc": 0.5,
            "sd": 0.1,
            "seeds": 5,
            "measured_on": sample,
        }
    }
    harder = {**stated, "roles.covid.options.severity_median": 0.3}
    same = run_tiny(tiny_study.profile(harder), tmp_path / "a", ("control",))
    drawn = {**stated, "study.data_seed": 6}
    other = run_tiny(tiny_study.profile(drawn), tmp_path / "b", ("control",))
    assert same.sample == sample != other.sample
    assert same.scheme("control").verdict.outcome == "pass"
    assert same.scheme("control").spread_decides
    assert other.scheme("control").verdict.outcome == "inconclusive"
    assert "other test images" in other.scheme("control").verdict.sentence
    assert not other.scheme("control").spread_decides
    assert short_target(other.scheme("control")).endswith("*")
