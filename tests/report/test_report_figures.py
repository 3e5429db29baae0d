"""The figures."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxrbench.errors import CxrbenchError
from cxrbench.report.curves import read_curves
from cxrbench.report.figures.forest import draw_forest
from cxrbench.report.figures.pairs import draw_pairs
from cxrbench.report.figures.plan import draw_plan, plan
from cxrbench.report.figures.roc import draw_roc
from cxrbench.report.figures.seeds import draw_seeds
from cxrbench.report.figures.training import draw_training
from cxrbench.statistics.verdicts import Target

MakeStudy = Callable[..., Any]


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("six", {"forest", "roc", "pairs", "plan", "training"}),
        ("seeds", {"forest", "seeds", "roc", "pairs", "plan", "training"}),
        ("pair", {"forest", "roc", "plan", "training"}),
        ("single", {"forest", "roc", "plan", "training"}),
    ],
)
def test_every_figure_is_a_picture_with_something_on_it(
    reports: dict[str, Any], name: str, figures: set[str]
) -> None:
    folder = reports[name].index.parent / "figures"
    assert {path.stem for path in folder.iterdir()} == figures
    for path in folder.iterdir():
        assert path.suffix == ".png"
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            assert image.format == "PNG"
            pixels = np.asarray(image.convert("L"))
        assert min(pixels.shape) > 200
        # White paper, dark ink, and neither everywhere.
        assert pixels.max() == 255
        assert pixels.min() < 60
        assert 0.005 < (pixels < 250).mean() < 0.7


def test_forest_draws_every_interval_and_calibrated_and_other_targets(make_study: MakeStudy) -> None:
    (axes,) = draw_forest(make_study().results).axes
    assert [text.get_text() for text in axes.texts][6:8] == ["sequential", "0.857 [0.844, 0.870]"]
    intervals = [tuple(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 2]
    assert (0.844, 0.870) in intervals
    bands = [(patch.get_x(), patch.get_x() + patch.get_width(), patch.get_hatch()) for patch in axes.patches]
    assert bands[0] == (pytest.approx(0.727), pytest.approx(0.787), None)
    assert bands[1] == (pytest.approx(0.86), pytest.approx(1.0), None)
    assert bands[4] == (pytest.approx(0.82), pytest.approx(0.86), "/////")
    assert len(bands) == 5
    low, high = axes.get_xlim()
    assert 0.70 < low < 0.727
    assert 0.887 < high < 0.90


def test_the_forests_band_of_a_calibrated_target_is_where_a_run_passes(reports: dict[str, Any]) -> None:
    results = reports["calibrated"].study.results
    figure = draw_forest(results)
    (axes,) = figure.axes
    bands = {round(patch.get_y() + 0.32): patch for patch in axes.patches}
    # t(4; 0.975) sd sqrt(1 + 1/5), for control in row 0 and sequential in row 3.
    for row, auc, sd in ((0, 0.757, 0.011), (3, 0.857, 0.02)):
        reach = 2.7764 * sd * 1.2**0.5
        assert bands[row].get_x() == pytest.approx(auc - reach, abs=1e-5)
        assert bands[row].get_width() == pytest.approx(2 * reach, abs=1e-5)
    # The sample's own interval stays, and the axis holds both.
    assert (0.741, 0.773) in [tuple(line.get_xdata()) for line in axes.lines]
    low, high = axes.get_xlim()
    assert low < bands[0].get_x()
    assert high > bands[3].get_x() + bands[3].get_width()


def test_the_forest_is_no_wider_than_a_telephone_can_show(make_study: MakeStudy) -> None:
    figure = draw_forest(make_study().results)
    # 360 of its pixels, 96 per inch: what is printed in 9 points is then 8 points high or more.
    assert figure.get_figwidth() * 96 * 8 / 9 <= 360
    assert min(text.get_fontsize() for text in figure.axes[0].texts) >= 9


def test_forest_draws_no_band_above_an_auc_of_one(make_study: MakeStudy) -> None:
    results = make_study(names=("sequential",)).results
    (scheme,) = results.schemes
    target = Target(auc=0.9, sd=0.06, seeds=5, source="calibration")
    scheme = replace(scheme, target=target, decided_by=target.interval())
    (axes,) = draw_forest(replace(results, schemes=(scheme,))).axes
    (band,) = axes.patches
    assert band.get_x() + band.get_width() == 1


def test_roc_panels_hold_the_scheme_the_control_and_the_points(make_study: MakeStudy) -> None:
    study = make_study(names=("control", "sequential"))
    curves = read_curves(study)
    control, sequential = draw_roc(study.results, curves).axes
    # Chance, the scheme, three points; and the control behind the other.
    assert len(control.lines) == 1 + 1 + 3
    assert len(sequential.lines) == 1 + 1 + 1 + 3
    np.testing.assert_array_equal(
        sequential.lines[2].get_xdata(), curves["sequential", 0].false_positive_rate
    )
    point = study.results.scheme("sequential").seeds[0].points[0]
    drawn = sequential.lines[3]
    assert drawn.get_xdata()[0] == pytest.approx(1 - point.specificity)
    assert drawn.get_ydata()[0] == pytest.approx(point.sensitivity)


def test_curves_have_the_area_of_their_file(make_study: MakeStudy) -> None:
    study = make_study(names=("sequential",))
    curve = read_curves(study)["sequential", 0]
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    # Two normal distributions drawn for an AUC of 0.857, 801 against 259 images.
    assert area == pytest.approx(0.857, abs=0.03)
    assert (curve.false_positive_rate[0], curve.true_positive_rate[0]) == (0, 0)
    assert (curve.false_positive_rate[-1], curve.true_positive_rate[-1]) == (1, 1)


def test_pairs_are_row_minus_column_with_frames_where_they_differ(make_study: MakeStudy) -> None:
    (axes,) = draw_pairs(make_study().results).axes
    texts = [text.get_text() for text in axes.texts]
    assert texts[:2] == ["+0.085", "p <0.001"]
    assert texts[2:6] == ["+0.061", "p <0.001", "−0.024", "p 0.034"]
    assert len(texts) == 30
    assert sum(not patch.get_fill() for patch in axes.patches) == 11


def test_pairs_of_several_seeds_are_those_of_the_means(make_study: MakeStudy) -> None:
    (axes,) = draw_pairs(make_study(seeds=(0, 1, 2)).results).axes
    texts = [text.get_text() for text in axes.texts]
    assert texts[:2] == ["+0.085", "p <0.001"]
    assert "p 0.034" in texts
    assert sum(not patch.get_fill() for patch in axes.patches) == 11


def _boxes(results: Any) -> dict[str, list[bool]]:
    """Return what stands in the boxes of the plan -> whether each such box is marked as shared."""
    found: dict[str, list[bool]] = {}
    for text in draw_plan(results).axes[0].texts:
        box = text.get_bbox_patch()
        if box is not None:
            found.setdefault(text.get_text(), []).append(box.get_linewidth() > 1)
    return found


def test_the_plan_draws_each_stage_run_once_and_marks_the_shared_one(make_study: MakeStudy) -> None:
    results = make_study().results
    assert _boxes(results) == {
        "init": [False],
        "covid": [False] * 5,
        "findings": [True],
        "pneumonia": [False] * 2,
        "findings +\npneumonia": [False],
        "findings +\npneumonia +\ncovid": [False],
    }
    texts = [text.get_text() for text in draw_plan(results).axes[0].texts]
    assert "sequential  0.857" in texts
    figure = plan(results, {})
    assert "11 stage runs; 10 stage runs had to be trained" in figure.caption
    assert "init > findings is shared by findings, sequential" in figure.alt


def test_a_scheme_that_others_go_on_from_is_named_in_the_plan(make_study: MakeStudy) -> None:
    results = make_study(names=("control", "findings")).results
    first = replace(results.schemes[0], notation="init > findings")
    changed = replace(results, schemes=(first, results.schemes[1]))
    texts = {text.get_text(): text for text in draw_plan(changed).axes[0].texts}
    assert _boxes(changed) == {"init": [False], "findings": [True], "covid": [False]}
    name, box = texts["control  0.757"], texts["findings"]
    assert name.get_position()[0] == box.get_position()[0]
    assert name.get_position()[1] > box.get_position()[1]


def test_training_marks_the_epoch_that_was_kept(make_study: MakeStudy) -> None:
    results = make_study(names=("control",), seeds=(0, 1)).results
    loss, auc = draw_training(results).axes
    assert len(loss.lines) == 2
    rings = [line for line in auc.lines if line.get_fillstyle() == "none"]
    assert [list(ring.get_xdata()) for ring in rings] == [[stage.best_epoch + 1] for stage in results.stages]
    assert list(loss.lines[0].get_xdata()) == [1, 2, 3, 4, 5, 6]


def test_seeds_are_a_line_each(make_study: MakeStudy) -> None:
    results = make_study(names=("control", "findings"), seeds=(3, 5)).results
    (axes,) = draw_seeds(results).axes
    lines = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    assert lines["seed 3"] == pytest.approx([0.754, 0.839])
    assert lines["seed 5"] == pytest.approx([0.760, 0.845])


def test_a_missing_prediction_file_is_named(make_study: MakeStudy) -> None:
    study = make_study(names=("control",))
    path = study.folder / "predictions" / "seed-0" / "test" / "control.csv"
    path.unlink()
    with pytest.raises(CxrbenchError, match=r"control\.csv: predictions cannot be read"):
        read_curves(study)


def test_a_changed_prediction_file_is_refused(make_study: MakeStudy) -> None:
    study = make_study(names=("control",))
    path = study.folder / "predictions" / "seed-0" / "test" / "control.csv"
    path.write_text(path.read_text() + "IMG-9,MRN-9,1,0.5\n")
    with pytest.raises(CxrbenchError, match="is not the file that the results were computed from"):
        read_curves(study)


def test_a_file_without_scores_is_refused_in_one_line(make_study: MakeStudy) -> None:
    study = make_study(names=("control",))
    path: Path = study.folder / "predictions" / "seed-0" / "test" / "control.csv"
    path.write_text("image_id,label\na,1\n")
    scheme = study.results.schemes[0]
    seed = replace(scheme.seeds[0], sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    results = replace(study.results, schemes=(replace(scheme, seeds=(seed,)),))
    with pytest.raises(CxrbenchError, match="no column 'score'") as caught:
        read_curves(replace(study, results=results))
    assert "\n" not in str(caught.value)
