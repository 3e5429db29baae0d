"""When prediction files are made again, and by which path."""

from __future__ import annotations

import shutil

import pytest

from cxrbench.study import predictions


@pytest.fixture
def copied(tiny, tmp_path):
    """A copy of the finished study, to be changed."""
    return shutil.copytree(tiny.out, tmp_path / "study")


@pytest.fixture
def predicted(monkeypatch):
    """The number of images of each call of what the inference benchmark times, in order."""
    calls = []
    path = predictions.predict_images

    def noted(role, network, images, device, precision):
        calls.append(len(images.pixels))
        return path(role, network, images, device, precision)

    monkeypatch.setattr(predictions, "predict_images", noted)
    return calls


def test_changed_code_predicts_again_and_trains_nothing(tiny, copied, run_tiny, log, predicted, monkeypatch):
    run_tiny(tiny.profile, copied, ("control",))
    assert predicted == []
    monkeypatch.setattr(predictions, "prediction_source", lambda: "other code")
    run_tiny(tiny.profile, copied, ("control",), log)
    parts = {part: counts.images for part, counts in tiny.results.roles["covid"].parts.items()}
    # Each part by the study's network, then its first images by the reference.
    first = predictions.REFERENCE_IMAGES
    assert predicted == [
        images for part in predictions.PARTS for images in (parts[part], min(first, parts[part]))
    ]
    assert any("kept from an earlier run" in line for line in log.lines)


def test_the_code_of_predictions_is_that_of_what_makes_them(monkeypatch):
    asked = []
    monkeypatch.setattr(predictions, "source_digest", lambda *modules: asked.extend(modules) or "digest")
    assert predictions.prediction_source.__wrapped__() == "digest"
    assert {"cxrbench.study.predictions", "cxrbench.training.predict", "cxrbench.training.network"} <= set(
        asked
    )


@pytest.mark.parametrize(
    "damaged", ["predictions/seed-0/test/control.csv", "predictions/seed-0/test/control.json"]
)
def test_a_damaged_file_is_made_again_and_that_is_reported(tiny, copied, run_tiny, log, predicted, damaged):
    (copied / damaged).write_bytes((copied / damaged).read_bytes().replace(b"0", b"1", 1))
    run_tiny(tiny.profile, copied, ("control",), log)
    assert (copied / "predictions/seed-0/test/control.csv").read_bytes() == (
        tiny.out / "predictions/seed-0/test/control.csv"
    ).read_bytes()
    assert len(predicted) == 2
    (line,) = [line for line in log.lines if "made again" in line]
    assert str(copied / "predictions/seed-0/test/control") in line
