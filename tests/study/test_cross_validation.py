"""A cross-validated target: each image tested once, and nothing trained twice that depends on no fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import tiny_study
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score
from tiny_study import MANIFEST, profile_text

from cxrbench.cohort.split import Division, Split, save_split
from cxrbench.errors import LeakError, ProfileError, TrainingError
from cxrbench.report import write_report
from cxrbench.statistics.operating import thresholds
from cxrbench.study.executor import torch_threads
from cxrbench.study.finished import FinishedStudy
from cxrbench.study.prepare import prepare
from cxrbench.study.profile import parse_profile
from cxrbench.study.progress import Silent
from cxrbench.study.results import load_results
from cxrbench.study.run import run_study
from cxrbench.study.where import Where
from cxrbench.training.checkpoints import StageFolder

SCHEMES = ("control", "findings")
FOLDS = (1, 2, 3)


@pytest.fixture(scope="module")
def text():
    return profile_text(
        {
            "roles.covid.folds": 3,
            "roles.covid.validation": None,
            "roles.covid.options.n_test_images": 0,
            "stages.default.precision": "float32",
        }
    )


@dataclass(frozen=True)
class Crossed:
    """A finished cross-validated study, what it said, and where it lies."""

    profile: object
    results: object
    out: object
    lines: list[str]


class Log(Silent):
    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


def study(profile, out, schemes=SCHEMES, data_root=None, jobs=1):
    said = Log()
    results = run_study(
        profile,
        out,
        schemes=schemes,
        where=Where(data_root, devices=(torch.device("cpu"),) * jobs),
        progress=said,
    ).results
    return Crossed(profile, results, out, said.lines)


@pytest.fixture(scope="module")
def crossed(text, tmp_path_factory):
    return study(parse_profile(text, "crossed.toml"), tmp_path_factory.mktemp("crossed"))


def predictions(crossed, scheme, part="test", fold=None):
    folder = crossed.out / "predictions" / "seed-0"
    return pd.read_csv((folder / f"fold-{fold}" if fold else folder) / part / f"{scheme}.csv")


def folds_file(crossed):
    (path,) = (crossed.out / "splits").glob("covid-*.csv")
    return pd.read_csv(path, comment="#", dtype=str)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("part", ["test", "validation"])
def test_the_joined_file_holds_every_image_once_as_its_fold_scored_it(crossed, scheme, part):
    joined = predictions(crossed, scheme, part)
    assert joined["image_id"].tolist() == sorted(folds_file(crossed)["image_id"])
    assert list(joined.columns) == ["image_id", "patient_id", "label", "score", "fold"]
    assert joined["score"].between(0, 1).all()
    for fold in FOLDS:
        own = predictions(crossed, scheme, part, fold).sort_values("image_id")
        of = joined[joined["fold"] == fold]
        assert own["image_id"].tolist() == of["image_id"].tolist()
        assert own["score"].tolist() == of["score"].tolist()


def test_an_image_is_scored_by_the_network_of_its_fold_which_validated_on_the_next(crossed):
    fold_of = folds_file(crossed).set_index("image_id")["part"].astype(int)
    tested = predictions(crossed, "control").set_index("image_id")["fold"]
    validated = predictions(crossed, "control", "validation").set_index("image_id")["fold"]
    assert (tested == fold_of[tested.index]).all()
    assert (validated % 3 + 1 == fold_of[validated.index]).all()


def test_the_auc_is_that_of_all_images(crossed):
    for scheme in crossed.results.schemes:
        joined = predictions(crossed, scheme.name)
        assert scheme.auc == pytest.approx(roc_auc_score(joined["label"], joined["score"]), abs=1e-12)
    assert (crossed.results.n_images, crossed.results.n_patients) == (80, joined["patient_id"].nunique())


def test_a_stage_that_has_not_seen_the_target_is_trained_once(crossed):
    assert [(stage.run, stage.fold) for stage in crossed.results.stages] == [
        *(("init > covid", fold) for fold in FOLDS),
        ("init > findings", None),
        *(("init > findings > covid", fold) for fold in FOLDS),
    ]
    assert len({stage.key for stage in crossed.results.stages}) == 7
    assert len(list((crossed.out / "stages").iterdir())) == 7
    assert sum("init > findings  " in line for line in crossed.lines) == 1
    assert len(crossed.lines) == 7
    assert "seed 0  fold 2  init > findings > covid" in "\n".join(crossed.lines)


def test_a_schemes_seconds_are_its_chain_over_all_folds_with_shared_stages_once(crossed):
    stages = crossed.results.stages
    chain = [stage.seconds for stage in stages if stage.run.startswith("init > findings")]
    assert len(chain) == 4
    assert crossed.results.scheme("findings").train_seconds == pytest.approx(sum(chain))
    control = sum(stage.seconds for stage in stages if stage.run == "init > covid")
    assert crossed.results.scheme("control").train_seconds == pytest.approx(control)


def test_results_say_how_the_target_was_tested(crossed):
    covid, findings = crossed.results.roles["covid"], crossed.results.roles["findings"]
    assert (covid.folds, findings.folds) == (3, 0)
    assert {part: counts.images for part, counts in covid.parts.items()} == dict.fromkeys(
        ("train", "validation", "test"), 80
    )
    (path,) = (crossed.out / "splits").glob("covid-*.csv")
    assert covid.split_hash in path.read_text().splitlines()[1]
    assert load_results(crossed.out / "results.json") == crossed.results


def test_thresholds_are_chosen_on_each_folds_own_validation_part(crossed):
    (seed,) = crossed.results.scheme("control").seeds
    test = pd.read_csv(crossed.out / seed.predictions)
    chosen = pd.read_csv(crossed.out / "predictions/seed-0/validation/control.csv")
    for point in seed.points:
        assert point.threshold is None
        called = pd.Series(False, index=test.index)
        for fold, rows in test.groupby("fold"):
            own = chosen[chosen["fold"] == fold]
            rule = dict(thresholds(own["label"], own["score"]))
            called[rows.index] = rows["score"] >= rule[point.chosen]
        positive = test["label"] == 1
        assert point.sensitivity == pytest.approx(called[positive].mean())
        assert point.specificity == pytest.approx((~called[~positive]).mean())


def test_the_report_says_so_too(crossed, tmp_path):
    index = write_report(FinishedStudy(crossed.out, crossed.results), tmp_path / "report")
    assert "3-fold cross-validation, patients grouped" in index.read_text(encoding="utf-8")


def test_an_unchanged_study_trains_and_predicts_nothing(crossed):
    files = sorted((crossed.out / "predictions").rglob("*.*"))
    written = [path.stat().st_mtime_ns for path in files]
    again = study(crossed.profile, crossed.out)
    assert len(again.lines) == 7
    assert all("kept from an earlier run" in line for line in again.lines)
    assert [path.stat().st_mtime_ns for path in files] == written
    assert again.results.schemes == crossed.results.schemes


def test_a_study_killed_in_a_later_fold_goes_on_there(crossed, tmp_path, monkeypatch):
    finish, done = StageFolder.finish, []

    def killed(folder, *args):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(folder.key)
        return finish(folder, *args)

    with monkeypatch.context() as patch:
        patch.setattr(StageFolder, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            study(crossed.profile, tmp_path, ("control",))
    resumed = study(crossed.profile, tmp_path, ("control",))
    assert ["kept" in line for line in resumed.lines] == [True, True, False]
    whole = crossed.out / "predictions/seed-0/test/control.csv"
    assert (tmp_path / "predictions/seed-0/test/control.csv").read_bytes() == whole.read_bytes()


def test_a_changed_fold_file_is_written_again_and_the_joined_one_with_it(crossed):
    own = crossed.out / "predictions/seed-0/fold-2/test/control.csv"
    joined = crossed.out / "predictions/seed-0/test/control.csv"
    before = own.read_bytes(), joined.read_bytes()
    own.write_bytes(before[0].replace(b"0.", b"0.1", 1))
    joined.write_bytes(b"image_id\n")
    study(crossed.profile, crossed.out)
    assert (own.read_bytes(), joined.read_bytes()) == before


def test_an_official_test_list_is_not_trained_on(text, tmp_path):
    profile = parse_profile(text.replace("n_test_images = 0", "n_test_images = 60"), "crossed.toml")
    with pytest.raises(ProfileError, match=r"'folds'.*official test list of 60 images.*give 'validation'"):
        study(profile, tmp_path, ("control",))


def test_stored_folds_are_no_stored_split(tmp_path):
    folds = Division("phantom", ("COVID-19",), 0, folds=3)
    save_split(Split(folds, ("a", "b", "c"), ("1", "2", "3"), ("1", "2", "3")), tmp_path / "folds.csv")
    changes = {"roles.covid.split": (tmp_path / "folds.csv").as_posix()}
    with pytest.raises(ProfileError, match=r"'covid': .*folds.csv holds folds"):
        study(tiny_study.profile(changes), tmp_path, ("control",))


# Leaks.

COPIES = {
    **MANIFEST,
    "roles.covid": {
        "dataset": "manifest",
        "folds": 3,
        "options": {"file": "covid.csv", "labels": ["COVID-19"]},
    },
}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """36 films: 24 of the target, two of them there under two patients, and four of them in findings too."""
    from cxrbench.datasets.phantom import PhantomConfig, phantom_cohort

    root = tmp_path_factory.mktemp("films")
    config = PhantomConfig.from_mapping({"findings": {"n_images": 36, "images_per_patient": 1.0}})
    pixels = phantom_cohort("findings", config, seed=3).pixels.read_batch(range(36), 96)
    folder = root / "data" / "films"
    folder.mkdir(parents=True)
    rows = {"findings": [], "covid": []}

    def add(role, film, patient, label):
        name = f"{patient}.jpg" if role == "covid" else f"{patient}.png"
        Image.fromarray(np.asarray(pixels[film])).save(folder / name)
        rows[role].append(
            {"path": name, "patient_id": patient, ("COVID-19" if role == "covid" else "Mass"): label}
        )

    for film in range(24):
        add("covid", film, f"c{film:02d}", film % 2)
    for film in (0, 1):
        add("covid", film, f"twin{film}", film % 2)
    for film in (0, 8, 16, 23, *range(24, 36)):
        add("findings", film, f"f{film:02d}", film // 2 % 2)
    for role, table in rows.items():
        pd.DataFrame(table).to_csv(folder / f"{role}.csv", index=False)
    return root


def turns(films, action):
    profile = tiny_study.profile({**COPIES, "study.on_leak": action})
    return prepare(profile, frozenset({"findings", "covid"}), films / action, films / "data", Silent())


def names(data, *parts):
    rows = np.concatenate([data.rows(part) for part in parts])
    return {name.rsplit("/", 1)[-1].split(".")[0] for name in data.pack.table.loc[rows, "image_id"]}


def test_a_film_that_is_tested_in_one_fold_and_trained_on_in_it_stops_the_study(films):
    with pytest.raises(LeakError, match="training images that show a tested film"):
        turns(films, "stop")


def test_other_roles_lose_what_any_fold_tests_and_are_the_same_in_all_folds(films):
    prepared = turns(films, "drop-train")
    assert [turn.fold for turn in prepared] == [1, 2, 3]
    for turn in prepared:
        findings = turn.roles["findings"]
        assert names(findings, "train", "validation") == {f"f{film}" for film in range(24, 36)}
        for part in ("train", "validation"):
            assert findings.identity(part) == prepared[0].roles["findings"].identity(part)


def test_no_fold_trains_on_a_film_that_it_tests(films):
    film = {"twin0": "c00", "twin1": "c01"}
    tested = set()
    dropped = 0
    for turn in turns(films, "drop-train"):
        covid = turn.roles["covid"]
        test = {film.get(name, name) for name in names(covid, "test")}
        assert not test & {film.get(name, name) for name in names(covid, "train", "validation")}
        dropped += len(covid.dropped)
        tested |= names(covid, "test")
    assert len(tested) == 26
    assert dropped > 0


@pytest.mark.slow
def test_several_processes_give_the_same_bits_as_one_of_as_many_threads(text, tmp_path):
    profile = parse_profile(text, "crossed.toml")
    with torch_threads(1):
        alone = study(profile, tmp_path / "alone")
    with torch_threads(2):
        parallel = study(profile, tmp_path / "parallel", jobs=2)
    assert alone.results.device["threads"] == parallel.results.device["threads"] == 1
    assert {stage.processes for stage in parallel.results.stages} == {2}
    assert {stage.processes for stage in alone.results.stages} == {1}
    assert {seed.processes for scheme in parallel.results.schemes for seed in scheme.seeds} == {2}
    assert sorted(line.partition("(")[0] for line in parallel.lines) == sorted(
        line.partition("(")[0] for line in alone.lines
    )
    files = sorted(path.relative_to(alone.out) for path in alone.out.glob("predictions/**/*.csv"))
    # The covariates of the test images are one file more.
    assert len(files) == 2 * 2 * (1 + len(FOLDS)) + 1
    for file in files:
        assert (parallel.out / file).read_bytes() == (alone.out / file).read_bytes()
    # Nothing is left to do, with one process or several.
    assert all("kept from" in line for line in study(profile, parallel.out, jobs=2).lines)


@pytest.mark.slow
def test_a_stage_that_fails_in_a_process_fails_the_study_in_words(text, tmp_path):
    # Each step multiplies the parameters by a number near to -10,000.
    broken = text.replace("epochs = 1", "epochs = 20\nlearning_rate = 100.0\nweight_decay = 100.0")
    with pytest.raises(TrainingError, match=r"stage 'init > .*lower learning_rate|not finite"):
        study(parse_profile(broken, "crossed.toml"), tmp_path, jobs=2)
