"""A whole study, small: what it writes, what it keeps, and that it repeats itself."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import tiny_study
import torch
from sklearn.metrics import roc_auc_score

from cxrbench.errors import CxrbenchError, ProfileError, TrainingError
from cxrbench.study.cohorts import role_cohort
from cxrbench.study.prepare import prepare
from cxrbench.study.progress import Silent
from cxrbench.study.results import load_results
from cxrbench.study.run import run_study
from cxrbench.study.where import Where


def files(out, pattern):
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.glob(pattern))}


@pytest.mark.parametrize("name", ["results.json", "trace.json", "packs", "predictions", "splits", "stages"])
def test_what_lies_in_the_way_is_refused_before_anything_is_trained(name, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    if name.endswith(".json"):
        (out / name).mkdir()
    else:
        (out / name).write_text("")
    with pytest.raises(CxrbenchError, match=rf"{name} is in the way of the (file|folder) of that name"):
        run_study(tiny_study.profile(), out, schemes=("control",), progress=Silent())
    assert [path.name for path in out.iterdir()] == [name]


def test_a_file_in_place_of_the_studys_folder_is_named(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(CxrbenchError, match="out is in the way of the folder of that name"):
        run_study(tiny_study.profile(), tmp_path / "out", schemes=("control",), progress=Silent())


def test_every_scheme_has_a_prediction_for_every_test_image(tiny):
    for scheme in tiny.results.schemes:
        table = pd.read_csv(tiny.out / scheme.seeds[0].predictions)
        assert list(table.columns) == ["image_id", "patient_id", "label", "score"]
        assert len(table) == 60
        assert table["image_id"].is_unique
        assert table["score"].between(0, 1).all()


def test_reported_aucs_are_those_of_the_files(tiny):
    for scheme in tiny.results.schemes:
        table = pd.read_csv(tiny.out / scheme.seeds[0].predictions)
        assert scheme.auc == pytest.approx(roc_auc_score(table["label"], table["score"]), abs=1e-12)
        assert scheme.ci_low < scheme.auc < scheme.ci_high


def test_operating_points_are_those_of_the_files_at_a_threshold_from_validation(tiny):
    seed = tiny.results.scheme("control").seeds[0]
    test = pd.read_csv(tiny.out / seed.predictions)
    validation = pd.read_csv(tiny.out / seed.predictions.replace("/test/", "/validation/"))
    assert [point.chosen for point in seed.points] == ["youden", "sensitivity 0.90", "sensitivity 0.95"]
    for point in seed.points:
        assert point.threshold in validation["score"].to_numpy()
        called = test["score"] >= point.threshold
        assert point.sensitivity == pytest.approx(called[test["label"] == 1].mean())
        assert point.specificity == pytest.approx((~called[test["label"] == 0]).mean())


def test_patients_are_written_as_hashes_that_group_alike(tiny):
    table = pd.read_csv(tiny.out / tiny.results.scheme("control").seeds[0].predictions)
    assert table["patient_id"].str.fullmatch("[0-9a-f]{16}").all()
    # The phantom's image ids begin with the patient's.
    patients = table["image_id"].str.rsplit("-", n=1).str[0]
    assert table.groupby(patients)["patient_id"].nunique().max() == 1
    assert table["patient_id"].nunique() == patients.nunique() == tiny.results.n_patients


def test_no_patient_is_in_two_parts(tiny):
    paths = list((tiny.out / "splits").glob("*.csv"))
    assert len(paths) == len(tiny.results.roles)
    for path in paths:
        split = pd.read_csv(path, comment="#")
        assert split.groupby("patient_id")["part"].nunique().max() == 1
        assert {"train", "validation"} <= set(split["part"])


def test_results_are_read_back_as_they_were(tiny):
    assert load_results(tiny.out / "results.json") == tiny.results


def test_results_can_be_traced(tiny):
    content = json.loads((tiny.out / "results.json").read_text())
    assert content["profile"] == "tiny"
    assert content["seeds"] == [0]
    assert {"torch", "torchvision", "numpy", "cxrbench"} <= set(content["versions"])
    assert content["device"]["type"] == "cpu"
    assert all(len(role["split_hash"]) == 64 for role in content["roles"].values())
    assert content["seconds"]["total"] > 0


def test_every_stage_run_is_trained_once(tiny):
    assert [stage.run for stage in tiny.results.stages] == [
        "init > covid",
        "init > findings",
        "init > findings > covid",
    ]
    assert len({stage.key for stage in tiny.results.stages}) == 3


def test_twice_from_nothing_gives_the_same_predictions_bit_for_bit(tiny, tmp_path, run_tiny):
    run_tiny(tiny.profile, tmp_path, ("control", "findings"))
    first = files(tiny.out, "predictions/**/*.csv")
    # Test and validation images of two schemes, and what else is known of the test images.
    assert len(first) == 5
    assert files(tmp_path, "predictions/**/*.csv") == first
    assert files(tmp_path, "splits/*.csv") == files(tiny.out, "splits/*.csv")


def test_an_unchanged_study_trains_nothing(tiny, run_tiny, log):
    again = run_tiny(tiny.profile, tiny.out, ("control", "findings"), log)
    assert len(log.lines) == 3
    assert all("kept from an earlier run" in line for line in log.lines)
    assert again.schemes == tiny.results.schemes


def test_a_changed_prediction_file_is_written_again(tiny, run_tiny):
    path = tiny.out / tiny.results.scheme("control").seeds[0].predictions
    before = path.read_bytes()
    path.write_bytes(before.replace(b"0.", b"0.1", 1))
    run_tiny(tiny.profile, tiny.out, ("control", "findings"))
    assert path.read_bytes() == before


def test_another_seed_trains_again_on_the_same_split(tiny, tmp_path, run_tiny):
    other = run_tiny(tiny.profile.with_seeds((1,)), tmp_path, ("control",))
    assert other.roles["covid"].split_hash == tiny.results.roles["covid"].split_hash
    here, there = (
        pd.read_csv(folder / results.scheme("control").seeds[0].predictions)
        for folder, results in ((tmp_path, other), (tiny.out, tiny.results))
    )
    assert here["image_id"].tolist() == there["image_id"].tolist()
    assert not np.allclose(here["score"], there["score"])


def test_changed_training_settings_train_again(tiny, run_tiny, log):
    changed = tiny_study.profile({"stages.default.batch_size": 20})
    run_tiny(changed, tiny.out, ("control",), log)
    assert "kept" not in log.lines[0]


@pytest.mark.parametrize("native", [True, False])
def test_bfloat16_that_is_imitated_is_said_and_trained(tmp_path, monkeypatch, run_tiny, log, native):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    results = run_tiny(
        tiny_study.profile({"stages.default.precision": "bfloat16"}), tmp_path, ("control",), log
    )
    assert any("bfloat16 is imitated" in line for line in log.lines) is not native
    assert 0 <= results.scheme("control").auc <= 1


def test_two_seeds_report_both_variances(tiny, run_tiny):
    results = run_tiny(tiny.profile.with_seeds((0, 1)), tiny.out, ("control",))
    scheme = results.scheme("control")
    aucs = [seed.curve.auc for seed in scheme.seeds]
    assert scheme.auc == pytest.approx(np.mean(aucs))
    assert scheme.sd_between_seeds == pytest.approx(np.std(aucs, ddof=1))
    assert len(results.stages) == 2


def test_a_target_gives_a_verdict_and_none_is_inconclusive(tiny):
    assert tiny.results.scheme("control").verdict.outcome == "pass"
    assert "an AUC that any network has" in tiny.results.scheme("control").verdict.sentence
    assert tiny.results.scheme("findings").verdict.outcome == "inconclusive"
    assert "states no target" in tiny.results.scheme("findings").verdict.sentence


def test_real_data_without_a_data_root_is_refused(tmp_path, run_tiny):
    profile = tiny_study.profile({"roles.findings": {"dataset": "chestxray14", "validation": 0.3}})
    with pytest.raises(ProfileError, match=r"'chestxray14' for role 'findings'.*--data-root"):
        run_tiny(profile, tmp_path, ("findings",))


def test_a_label_that_the_data_set_does_not_have_is_refused(tmp_path, run_tiny):
    profile = tiny_study.profile({"roles.findings.labels": ["Efusion", "Infiltration"]})
    with pytest.raises(ProfileError, match="has no label 'Efusion'"):
        run_tiny(profile, tmp_path, ("findings",))


def test_missing_initial_parameters_stop_the_study(tmp_path, run_tiny):
    profile = tiny_study.profile({"study.init": {"kind": "file", "path": "nowhere.safetensors"}})
    with pytest.raises(TrainingError, match=r"nowhere\.safetensors"):
        run_tiny(profile, tmp_path, ("control",))


def test_a_store_apart_takes_what_studies_share(tiny_profile, tmp_path):
    arguments = {
        "schemes": ("control",),
        "where": Where(store=tmp_path / "store", devices=(torch.device("cpu"),)),
        "progress": Silent(),
    }
    first = run_study(tiny_profile, tmp_path / "a", **arguments)
    trained = {p: p.stat().st_mtime_ns for p in (tmp_path / "store").glob("stages/*/best.safetensors")}
    second = run_study(tiny_profile, tmp_path / "b", **arguments)
    assert len(trained) == 1
    assert {path: path.stat().st_mtime_ns for path in trained} == trained
    assert first.results.schemes[0].seeds[0].sha256 == second.results.schemes[0].seeds[0].sha256
    for out in ("a", "b"):
        written = sorted(path.name for path in (tmp_path / out).iterdir())
        assert written == ["predictions", "results.json", "trace.json"]


def test_a_role_may_have_any_name_and_its_images_are_drawn_where_the_study_says():
    options = {"cohort": "findings", "n_images": 4}
    profile = tiny_study.profile(
        {"roles.others": {"dataset": "phantom", "validation": 0.3, "options": options}}, roles=("covid",)
    )
    assert profile.synthetic
    cohort = role_cohort(profile, "others", None)
    assert (cohort.dataset, len(cohort), cohort.pixels.device) == ("phantom-findings", 4, "cpu")
    assert role_cohort(profile, "others", None, "cuda:0").pixels.device == "cuda:0"


def test_the_device_of_a_study_reaches_what_draws(tiny_profile, tmp_path):
    (prepared,) = prepare(tiny_profile, frozenset({"covid"}), tmp_path, None, Silent(), "cpu")
    assert prepared.roles["covid"].cohort.pixels.device == "cpu"
    with pytest.raises(RuntimeError, match="nonsense"):
        prepare(tiny_profile, frozenset({"covid"}), tmp_path, None, Silent(), "nonsense")
