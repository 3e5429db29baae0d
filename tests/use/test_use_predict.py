"""New images are scored by the path that the study's own predictions take."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny_study
import torch
from click.testing import CliRunner

from cxrbench.cli import main
from cxrbench.records import read_record
from cxrbench.statistics.predictions import read_predictions
from cxrbench.statistics.temperature import at_temperature, fit_temperature
from cxrbench.study.progress import Silent
from cxrbench.study.run import run_study
from cxrbench.study.temperatures import FILE, Temperature
from cxrbench.study.where import Where
from cxrbench.use.trained import find_trained


def predict(*arguments: object, **environment: str):
    environment = {"CXRBENCH_PATIENT_KEY": "", **environment}
    return CliRunner().invoke(main, ["predict", *map(str, arguments)], env=environment)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def tested(films, tmp_path) -> Path:
    """Return a list of the films that the study tested, in its order, as it stands in the manifest."""
    (seed, *_) = films.study.results.scheme("control").seeds
    wanted = [row["image_id"] for row in rows(films.out / seed.predictions)]
    manifest = pd.read_csv(films.folder / "covid.csv", dtype=str).set_index("path").loc[wanted].reset_index()
    path = films.folder / f"{tmp_path.name}.csv"
    manifest.to_csv(path, index=False)
    yield path
    path.unlink()


@pytest.mark.parametrize("seed", [0, 1])
def test_the_studys_own_test_films_get_the_same_bytes(films, tested, tmp_path, seed):
    out = tmp_path / "scores.csv"
    result = predict(films.out, tested, "--seed", seed, "--ids", "plain", "--out", out)
    assert result.exit_code == 0, result.output
    own = next(one for one in films.study.results.scheme("control").seeds if one.seed == seed)
    columns = ("image_id", "label", "score")
    assert [[row[c] for c in columns] for row in rows(out)] == [
        [row[c] for c in columns] for row in rows(films.out / own.predictions)
    ]


def test_what_is_not_asked_for_is_chosen_by_validation_and_said(films, tmp_path):
    found = find_trained(films.out)
    stages = {stage.seed: stage.validation_auc for stage in films.study.results.stages}
    assert found.study.seed.seed == max(stages, key=stages.get)
    result = predict(films.out, films.folder, "--ids", "plain", "--out", tmp_path / "scores.csv")
    assert f"{found}: the network of the highest validation AUC" in result.stdout


def test_a_stages_folder_scores_as_its_study_does(films, tmp_path):
    found = find_trained(films.out, seed=1)
    of_study, of_stage = tmp_path / "study.csv", tmp_path / "stage.csv"
    predict(films.out, films.folder, "--seed", 1, "--ids", "plain", "--out", of_study)
    result = predict(found.folder.path, films.folder, "--ids", "plain", "--out", of_stage)
    assert result.exit_code == 0, result.output
    assert of_study.read_bytes() == of_stage.read_bytes()
    assert "calibrated" in rows(of_stage)[0]


def test_a_folder_gives_scores_without_labels_or_patients(films, tmp_path):
    out = tmp_path / "scores.csv"
    result = predict(films.out, films.folder, "--ids", "plain", "--out", out, "--json")
    said = json.loads(result.stdout)
    assert list(rows(out)[0]) == ["image_id", "score", "calibrated"]
    assert (said["images"], said["labelled"], said["other_files"]) == (40, 0, 2)
    one = predict(films.out, films.folder / "film-3.png", "--ids", "plain", "--out", tmp_path / "one.csv")
    assert one.exit_code == 0, one.output
    (alone,) = rows(tmp_path / "one.csv")
    together = next(row for row in rows(out) if row["image_id"] == "film-3.png")
    assert float(alone["score"]) == pytest.approx(float(together["score"]), abs=1e-5)


def test_calibrated_scores_are_those_at_the_temperature_of_the_validation_films(films, tested, tmp_path):
    out = tmp_path / "scores.csv"
    predict(films.out, tested, "--seed", 0, "--ids", "plain", "--out", out)
    validation = read_predictions(films.out / "predictions/seed-0/validation/control.csv")
    fitted = fit_temperature(validation.labels, validation.scores["control"])
    score, calibrated = ([float(row[column]) for row in rows(out)] for column in ("score", "calibrated"))
    np.testing.assert_array_equal(calibrated, at_temperature(score, fitted.temperature))
    kept = read_record(find_trained(films.out, seed=0).folder.path / FILE, Temperature)
    assert kept.temperature == fitted.temperature


def test_a_study_without_temperatures_gets_them_when_it_is_used(films, tmp_path):
    copy = shutil.copytree(films.out, tmp_path / "old")
    temperature = find_trained(copy).temperature
    for path in copy.glob(f"stages/*/{FILE}"):
        path.unlink()
    assert find_trained(copy).temperature == temperature


def test_ids_are_hashed_and_one_private_file_says_whose(films, tested, tmp_path):
    out = tmp_path / "scores.csv"
    refused = predict(films.out, tested, "--out", out)
    assert refused.exit_code == 2
    assert "CXRBENCH_PATIENT_KEY" in refused.stderr
    assert not out.exists()
    result = predict(films.out, tested, "--out", out, CXRBENCH_PATIENT_KEY="secret")
    assert result.exit_code == 0, result.output
    assert "film-" not in out.read_text()
    private = tmp_path / "private" / "scores.csv"
    assert private.stat().st_mode & 0o077 == 0
    whose = {row["image_hash"]: row for row in rows(private)}
    manifest = {row["path"]: row for row in rows(tested)}
    for row in rows(out):
        listed = manifest[whose[row["image_id"]]["path"]]
        assert listed["COVID-19"] == row["label"]
        assert whose[row["image_id"]]["patient_id"] == listed["patient_id"]
        assert whose[row["image_id"]]["patient_hash"] == row["patient_id"]


@pytest.fixture
def with_a_bad_one(films, tmp_path) -> Path:
    folder = tmp_path / "new"
    folder.mkdir()
    for number in (1, 2):
        shutil.copy(films.folder / f"film-{number}.png", folder)
    (folder / "bad.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("not a film")
    return folder


def test_a_bad_file_stops_or_is_left_out_as_asked(films, with_a_bad_one, tmp_path):
    out = tmp_path / "scores.csv"
    arguments = (films.out, with_a_bad_one, "--ids", "plain", "--out", out)
    stopped = predict(*arguments)
    assert stopped.exit_code == 2
    assert "cannot be read: bad.png: " in stopped.stderr
    assert not out.exists()
    result = predict(*arguments, "--on-bad", "leave-out")
    assert result.exit_code == 0, result.output
    assert "cannot be read: bad.png: " in result.stderr
    assert [row["image_id"] for row in rows(out)] == ["film-1.png", "film-2.png"]
    assert not list(tmp_path.glob(".images-*"))


ODD_NAMES = [
    "a\nb",
    "a\u2028b",
    "x" * 251,
    "a\x1b[31mb",
    " a ",
    'a,"b',
    "*?[x]",
    "a\\b",
    "-v",
    "nan",
    "007",
    "=1+1",
]


def test_films_of_odd_names_are_scored_under_them(films, tmp_path):
    folder, out = tmp_path / "new", tmp_path / "scores.csv"
    folder.mkdir()
    for name in ODD_NAMES:
        shutil.copy(films.folder / "film-1.png", folder / f"{name}.png")
    result = predict(films.out, folder, "--ids", "plain", "--out", out)
    assert result.exit_code == 0, result.output
    assert all(character.isprintable() for line in result.output.splitlines() for character in line)
    assert {row["image_id"] for row in rows(out)} == {f"{name}.png" for name in ODD_NAMES}
    assert len({row["score"] for row in rows(out)}) == 1
    hashed = predict(films.out, folder, "--out", out, CXRBENCH_PATIENT_KEY="secret")
    assert hashed.exit_code == 0, hashed.output
    assert {row["image_id"] for row in rows(tmp_path / "private" / "scores.csv")} == {
        f"{name}.png" for name in ODD_NAMES
    }


@pytest.mark.parametrize(
    ("name", "said"), [(b"a\xff.png", "1 file names are not UTF-8"), (b"a\rb.png", "carriage return")]
)
def test_a_name_that_no_list_can_hold_is_refused(films, tmp_path, name, said):
    shutil.copy(films.folder / "film-1.png", os.fsencode(tmp_path) + b"/" + name)
    result = predict(films.out, tmp_path, "--ids", "plain", "--out", tmp_path / "scores.csv")
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="pipes and links of POSIX")
def test_pipes_and_links_to_nothing_are_named_and_not_waited_for(films, tmp_path):
    folder, out = tmp_path / "new", tmp_path / "scores.csv"
    folder.mkdir()
    shutil.copy(films.folder / "film-1.png", folder)
    (folder / "gone.png").symlink_to("nothing")
    (folder / "round").symlink_to("..")
    os.mkfifo(folder / "pipe")
    result = predict(films.out, folder, "--ids", "plain", "--out", out, "--on-bad", "leave-out")
    assert result.exit_code == 0, result.output
    assert "cannot be read: gone.png: no such file\n" in result.stderr
    assert [row["image_id"] for row in rows(out)] == ["film-1.png"]
    os.mkfifo(folder / "pipe.png")
    result = predict(films.out, folder, "--ids", "plain", "--out", out)
    assert result.exit_code == 2
    assert result.stderr == f"Error: {folder}: pipe.png is not a regular file\n"


def test_a_folder_of_bad_files_alone_names_them(films, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    result = predict(films.out, tmp_path, "--ids", "plain", "--out", tmp_path / "scores.csv")
    assert result.exit_code == 2
    assert "bad.png" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scheme", "findings"], "no scheme 'findings'; it ran control"),
        (["--seed", "7"], "no seed 7 of scheme 'control' (there: 0, 1)"),
        (["--fold", "1"], "no fold 1 of scheme 'control' (there: none)"),
    ],
)
def test_a_network_that_is_not_there_is_said(films, tmp_path, arguments, message):
    result = predict(films.out, films.folder, "--out", tmp_path / "s.csv", "--ids", "plain", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_folder_without_a_network_and_one_without_images_are_said(films, tmp_path):
    result = predict(tmp_path, films.folder, "--out", tmp_path / "s.csv", "--ids", "plain")
    assert "holds no trained network" in result.stderr
    result = predict(films.out, tmp_path, "--out", tmp_path / "s.csv", "--ids", "plain")
    assert "no image files" in result.stderr


def test_a_changed_stage_file_is_refused(films, tmp_path):
    copy = shutil.copytree(films.out, tmp_path / "changed")
    path = find_trained(copy).folder.path / "stage.json"
    path.write_text(path.read_text().replace('"size": 32', '"size": 64'))
    result = predict(copy, films.folder, "--out", tmp_path / "s.csv", "--ids", "plain")
    assert result.exit_code == 2
    assert "was changed after it was written" in result.stderr


def test_a_network_that_has_seen_drawings_only_says_so(tiny, films, tmp_path):
    arguments = (tiny.out, films.folder / "film-3.png", "--ids", "plain", "--out", tmp_path / "s.csv")
    assert "its score of a film means nothing" in predict(*arguments).stderr
    assert json.loads(predict(*arguments, "--json").stdout)["synthetic"] is True
    assert json.loads(predict(films.out, *arguments[1:], "--json").stdout)["synthetic"] is False


@pytest.mark.slow
def test_each_fold_has_its_own_network_and_temperature(films, tmp_path):
    covid = {"dataset": "manifest", "folds": 3, "options": {"file": "covid.csv", "labels": ["COVID-19"]}}
    # A network that has learned enough in its one epoch to have a temperature within its limits.
    changes = {"study.seeds": [0], "study.network": "resnet18", "roles.covid": covid}
    profile = tiny_study.profile({**films.changes, **changes})
    cpu = (torch.device("cpu"),)
    out = tmp_path / "study"
    run_study(profile, out, schemes=("control",), where=Where(films.folder, devices=cpu), progress=Silent())
    temperatures = set()
    for fold in (1, 2, 3):
        own = rows(out / f"predictions/seed-0/fold-{fold}/test/control.csv")
        table = tmp_path / "films.csv"
        pd.DataFrame({"path": [row["image_id"] for row in own]}).to_csv(table, index=False)
        for row in own:
            shutil.copy(films.folder / row["image_id"], tmp_path)
        result = predict(out, table, "--fold", fold, "--ids", "plain", "--out", tmp_path / "s.csv", "--json")
        assert result.exit_code == 0, result.output
        assert [row["score"] for row in rows(tmp_path / "s.csv")] == [row["score"] for row in own]
        said = json.loads(result.stdout)
        assert said["network"].endswith(f"fold {fold}")
        temperatures.add(said["temperature"])
    assert len(temperatures) == 3
