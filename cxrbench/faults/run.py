"""Plant every fault into a finished study's target stage, predict, and hold the result against the study.

Only target stages are trained. They lie under STUDY/faults/KEY with the predictions of the test images next
to the checkpoint, so that what is finished is kept and a killed run goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from cxrbench.errors import CxrbenchError, TrainingError
from cxrbench.faults.catalogue import FAULTS, Fault
from cxrbench.faults.planting import TRAINED, FirstEpoch, LastEpoch, TargetData
from cxrbench.faults.records import AUDIT, ELSEWHERE, TRACE, FaultRow, Measured, Sensitivity
from cxrbench.files import digest, source_digest
from cxrbench.gate.rules import scheme_verdict
from cxrbench.leaks.audit import audit
from cxrbench.schemes import StageRun, make_plan
from cxrbench.statistics import across_seeds, adjust_p_values, auc
from cxrbench.statistics.means import compare_means
from cxrbench.statistics.predictions import (
    Predictions,
    join_predictions,
    read_predictions,
    write_predictions,
)
from cxrbench.statistics.verdicts import Verdict, verdict
from cxrbench.study.executor import torch_threads
from cxrbench.study.finished import FinishedStudy
from cxrbench.study.predictions import (
    PredictionFile,
    kept_file,
    predict_and_trace,
    record_file,
)
from cxrbench.study.prepare import Prepared, RoleData, prepare
from cxrbench.study.profile import Profile
from cxrbench.study.progress import StudyProgress
from cxrbench.study.results import Results
from cxrbench.study.stages import heads, initial, make_stage
from cxrbench.study.tracing import images_trace
from cxrbench.study.where import ANYWHERE, Where
from cxrbench.trace.compare import compare_traces
from cxrbench.trace.records import PredictionEntry, Trace
from cxrbench.training.checkpoints import StageFolder, TrainedStage
from cxrbench.training.loop import load_network, train_stage
from cxrbench.training.network import Network
from cxrbench.training.seeds import derive_seed
from cxrbench.training.tracer import norms

FORMAT = 1
TEST = "test.csv"
PREFERRED = "sequential"


def chosen_scheme(names: Sequence[str]) -> str:
    """Return the scheme that faults are planted into: ``sequential`` where it is there, else the first."""
    return PREFERRED if PREFERRED in names else names[0]


def check_one_split(profile: Profile) -> None:
    """Raise CxrbenchError where ``profile`` cross-validates its target: faults need a single split."""
    if profile.roles[profile.target].folds:
        raise CxrbenchError(
            f"profile {profile.name!r} cross-validates its target, and faults are planted into a study with "
            "one split; take a profile without 'folds'"
        )


def measure(
    profile: Profile,
    study: FinishedStudy,
    *,
    schemes: tuple[str, ...] = (),
    where: Where = ANYWHERE,
    progress: StudyProgress,
    faults: Sequence[Fault] = FAULTS,
) -> Sensitivity:
    """Plant ``faults`` one after another into ``study`` and return what is seen of them.

    Parameters
    ----------
    study: that of ``profile``, as :func:`cxrbench.study.run.run_study` returned it.
    schemes: as for the study; faults are planted into ``sequential`` where it is among them, or all are, else
        into the first.
    where: as for the study. Faulty stages are trained on the first device.

    Raises
    ------
    CxrbenchError: the profile cross-validates its target, a checkpoint or a prediction file of the study is
        missing, or a stage cannot be trained.
    """
    check_one_split(profile)
    results = study.results
    asked = [scheme.name for scheme in profile.select(schemes)] if schemes else results.names
    scheme = results.scheme(chosen_scheme(asked))
    planted = {fault.scheme or scheme.name for fault in faults} & set(results.names)
    benches = {name: _bench(profile, study, name, where, progress) for name in sorted(planted)}
    threads = results.device.get("threads")
    # As many as the study had: the last bits depend on it, and a fault is to be the only difference.
    with torch_threads(None if threads is None else int(threads)):
        rows = tuple(_row(benches.get(fault.scheme or scheme.name), fault) for fault in faults)
    return Sensitivity(
        profile=results.profile,
        synthetic=results.synthetic,
        calibrated=results.calibrated,
        scheme=scheme.name,
        notation=scheme.notation,
        seeds=results.seeds,
        margin=profile.gate_margin,
        target=str(scheme.target) if scheme.target else None,
        clean_verdict=scheme.verdict,
        n_images=results.n_images,
        n_positive=results.n_positive,
        n_patients=results.n_patients,
        device=results.device,
        versions=results.versions,
        rows=rows,
    )


@dataclass(frozen=True)
class _Bench:
    """One scheme of a finished study, and what it takes to train its target stage again.

    ``run`` is the target stage. ``stages``: (run, seed) -> what the study trained. ``clean``: seed -> the
    study's test predictions. ``trace``: the study's. ``first``: what made the initial parameters, where that
    was a stage.
    """

    profile: Profile
    results: Results
    out: Path
    scheme: str
    run: StageRun
    prepared: Prepared
    stages: dict[tuple[StageRun, int], TrainedStage]
    clean: dict[int, Predictions]
    device: torch.device
    progress: StudyProgress
    trace: Trace
    first: TrainedStage | None

    @property
    def target(self) -> RoleData:
        return self.prepared.roles[self.profile.target]


def _bench(
    profile: Profile,
    study: FinishedStudy,
    scheme: str,
    where: Where,
    progress: StudyProgress,
) -> _Bench:
    results, out, trace = study.results, study.folder, study.trace()
    if trace is None:
        raise CxrbenchError(f"the study at {out} has no trace; run it again")
    device = where.devices[0] if where.devices else torch.device("cpu")
    schemes = profile.select(tuple(f"{scheme.name}={scheme.notation}" for scheme in results.schemes))
    # All roles, as in the study: what the leak audit finds is read from its store and not searched again.
    roles = frozenset(role for one in schemes for role in one.roles)
    turns = prepare(profile, roles, out, where.data_root, progress, str(device))
    (prepared,) = turns
    plan = make_plan(schemes)
    keys = {(stage.run, stage.seed): stage.key for stage in results.stages}
    run = plan.final[scheme]
    chain = [stage for stage in plan.runs if stage.path == run.path[: len(stage.path)]]
    stages = {
        (stage, seed): _finished(out / "stages", keys[str(stage), seed])
        for stage in chain
        for seed in results.seeds
    }
    clean = study.by_seed(scheme)
    first = _finished(out / "stages", results.formula.key) if results.formula else None
    bench = _Bench(
        profile, results, out, scheme, run, prepared, stages, clean, device, progress, trace, first
    )
    images = bench.target.pack.table.loc[bench.target.rows("test"), "image_id"].tolist()
    if any(part.image_ids.tolist() != images for part in clean.values()):
        raise CxrbenchError(f"the study at {out} predicted other test images than it has now; run it again")
    return bench


def _finished(store: Path, key: str) -> TrainedStage:
    found = StageFolder(store / key[:20], key).finished()
    if found is None:
        raise TrainingError(f"the study's stage {key[:20]} is missing from {store}; run the study again")
    return found


@dataclass(frozen=True)
class _Faulty:
    """What one seed gave with a fault. ``stage``: None where the study's own was tested."""

    file: PredictionFile
    predictions: Predictions
    stage: TrainedStage | None
    seconds: float


def _row(bench: _Bench | None, fault: Fault) -> FaultRow:
    if bench is None:
        reason = f"the study did not run the scheme {fault.scheme}"
        return FaultRow(fault.name, fault.what, fault.control, "", None, reason, "", ())
    reason = _not_applicable(bench, fault)
    if reason:
        return FaultRow(fault.name, fault.what, fault.control, "", None, reason, "", ())
    honest = _target_data(bench.target)
    data = fault.data(honest, _random(bench.profile, fault))
    faulty = {seed: _faulty(bench, fault, data, seed) for seed in bench.results.seeds}
    same_images = np.array_equal(data.ids["test"], honest.ids["test"])
    measured = (
        _measured(bench, {seed: each.predictions for seed, each in faulty.items()}) if same_images else None
    )
    found, audited = _audit(bench, data.leaked)
    trace = _trace(bench, fault, data, faulty)
    here = compare_traces(trace, bench.trace)
    elsewhere = compare_traces(
        replace(trace, environment={**trace.environment, "name": "another machine"}), bench.trace
    )
    seen = {
        TRACE: bool(here.partings),
        ELSEWHERE: bool(elsewhere.partings),
        "gate": measured is not None and measured.gate.outcome == "fail",
        # A target that the study misses without any fault shows nothing of the fault.
        "target": measured is not None
        and measured.target is not None
        and measured.target.outcome == "fail"
        and bench.results.scheme(bench.scheme).verdict.outcome != "fail",
        AUDIT: found,
    }
    return FaultRow(
        fault=fault.name,
        what=fault.what,
        control=fault.control,
        applied=data.applied,
        measured=measured,
        not_applicable="" if same_images else "other images are tested, so that no AUC can be compared",
        audit=audited,
        seen_by=tuple(name for name, sees in seen.items() if sees),
        named=here.partings[0].sentence if here.partings else "",
        seconds=sum(one.seconds for one in faulty.values()),
    )


def _trace(bench: _Bench, fault: Fault, data: TargetData, faulty: Mapping[int, _Faulty]) -> Trace:
    """Return the study's trace as it were with the fault."""
    target, clean = bench.profile.target, bench.trace
    names = tuple(bench.target.pack.labels)
    parts = tuple(
        images_trace(
            (target, part.part, part.fold),
            data.ids[part.part].astype(str).tolist(),
            data.patients[part.part].astype(str).tolist(),
            names,
            data.parts[part.part].labels,
            [data.parts[part.part].pixels],
        )
        if part.role == target
        else part
        for part in clean.parts
    )
    stages = []
    for entry in clean.stages:
        stage = faulty[entry.seed].stage if entry.run == str(bench.run) else None
        if stage is not None:
            entry = replace(
                entry,
                seed=entry.seed + fault.seed_shift,
                epoch_images=tuple(epoch.images for epoch in stage.history),
                epoch_losses=tuple(epoch.loss for epoch in stage.history),
                trace=stage.trace,
            )
        stages.append(entry)
    predictions = []
    trained = {str(bench.run)} if any(each.stage for each in faulty.values()) else set()
    for prediction in clean.predictions:
        if prediction.run in trained and prediction.part != "test":
            # Only test images are predicted with a fault, and these are of the network without it.
            continue
        if (prediction.scheme, prediction.part) == (bench.scheme, "test"):
            file = faulty[prediction.seed].file
            assert file.trace is not None
            prediction = replace(
                prediction,
                seed=prediction.seed + fault.seed_shift,
                images=file.images,
                path=file.trace,
                scores=_scores_digest(bench, prediction, faulty[prediction.seed]),
            )
        predictions.append(prediction)
    return replace(clean, parts=parts, stages=tuple(stages), predictions=tuple(predictions))


def _scores_digest(bench: _Bench, clean: PredictionEntry, faulty: _Faulty) -> str:
    """Return the digest of the study's own file where the scores are the same, else that of the fault's."""
    same = np.array_equal(_scores(faulty.predictions), _scores(bench.clean[clean.seed]))
    return clean.scores if same else faulty.file.sha256


def _not_applicable(bench: _Bench, fault: Fault) -> str:
    """Return why ``fault`` cannot be planted into the scheme; empty where it can."""
    run = bench.run
    if fault.other_epoch and bench.profile.stage_config(run.stage).epochs < 2:
        return "the target stage has one epoch"
    if fault.start == "initial" and run.parent is None:
        return "the scheme's one stage starts from the initial parameters anyway"
    if fault.start == "grandparent" and (run.parent is None or run.parent.parent is None):
        return "no stage comes before the target stage's parent"
    return ""


def _random(profile: Profile, fault: Fault) -> np.random.Generator:
    # Seeded by the data: what is wrong with a data set is the same for every training seed.
    return np.random.default_rng(derive_seed("fault", fault.name, profile.data_seed))


def _target_data(target: RoleData) -> TargetData:
    parts = (*TRAINED, "test")
    return TargetData(
        parts={part: target.images(part) for part in parts},
        patients={
            part: target.pack.table.loc[target.rows(part), "patient_id"].astype(object).to_numpy()
            for part in parts
        },
        ids={
            part: target.pack.table.loc[target.rows(part), "image_id"].astype(object).to_numpy()
            for part in parts
        },
    )


def _faulty(bench: _Bench, fault: Fault, data: TargetData, seed: int) -> _Faulty:
    """Return what the target stage with the fault gives, trained and predicted where needed."""
    clean = bench.stages[bench.run, seed]
    parent = _parent(bench, fault, seed)
    patients = bench.clean[seed].patients
    folder = StageFolder.of(
        bench.out / "faults",
        {
            "format": FORMAT,
            "fault": fault.name,
            "seed": seed,
            # The clean run's key holds data, settings, the training's sources, versions and the device.
            "clean": clean.key,
            "parent": parent.key if parent else initial(bench.profile).identity(bench.profile.network),
            "test": bench.target.identity("test"),
            # Their hashes change with the key in the environment.
            "patients": digest(None if patients is None else patients.tolist()),
            "data_seed": bench.profile.data_seed,
            "code": source_digest(
                *(f"cxrbench.faults.{module}" for module in ("catalogue", "planting", "run"))
            ),
        },
    )
    path = folder.path / TEST
    name = path.relative_to(bench.out).as_posix()
    file = kept_file(bench.out, name, folder.key, bench.progress.say)
    done = "done" if file is None else "kept from an earlier run"
    trained = _trained(bench, fault, data, parent, folder, seed) if fault.trains else clean
    if file is None:
        file = _predict(bench, fault, data, trained, folder, seed)
    bench.progress.say(f"seed {seed}  fault: {fault.name}  ({done})")
    # With another epoch the stage is still the study's: only the network that predicts is another.
    stage = trained if fault.trains and not fault.other_epoch else None
    seconds = file.seconds + (trained.seconds if fault.trains else 0.0)
    return _Faulty(file, read_predictions(path), stage, seconds)


def _parent(bench: _Bench, fault: Fault, seed: int) -> TrainedStage | None:
    """Return the stage that the target stage starts from; None for parameters that no stage made."""
    run = bench.run.parent
    if fault.start == "grandparent" and run is not None:
        run = run.parent
    if fault.start == "initial" or run is None:
        return bench.first
    return bench.stages[run, seed]


def _trained(
    bench: _Bench,
    fault: Fault,
    data: TargetData,
    parent: TrainedStage | None,
    folder: StageFolder,
    seed: int,
) -> TrainedStage:
    role, shifted = bench.profile.target, seed + fault.seed_shift
    start = parent.folder if parent else None
    stage = make_stage(bench.profile, bench.run, bench.prepared, shifted, folder, start)
    honest = stage.job()
    job = replace(
        honest,
        train={**honest.train, role: data.parts["train"]},
        validation={**honest.validation, role: data.parts["validation"]},
        steps=fault.steps,
    )
    if fault.other_epoch:
        role = bench.profile.target
        first = bench.stages[bench.run, seed].best_epoch > 0
        rule = FirstEpoch(role) if first else LastEpoch(role)
        job = replace(job, selection=rule, config=replace(job.config, keep="best"))

    def network() -> Network:
        made = stage.start()
        fault.network(made)
        return made

    return train_stage(job, network, folder, bench.device, bench.progress)


def _predict(
    bench: _Bench, fault: Fault, data: TargetData, trained: TrainedStage, folder: StageFolder, seed: int
) -> PredictionFile:
    outputs = heads(bench.run, bench.prepared)
    network = load_network(trained.folder, bench.profile.network, outputs, bench.device)
    precision = bench.profile.stage_config(bench.run.stage).precision
    test = data.parts["test"]
    with bench.progress.task(f"predicting with fault: {fault.name}"):
        role = bench.profile.target
        (scores, seconds), trace = predict_and_trace(
            role, network, norms(network, network.heads), test, precision, fault.path
        )
    clean = bench.clean[seed]
    assert clean.patients is not None
    # Where other images are tested, the study's keyed hashes of their patients are not at hand.
    same = np.array_equal(data.ids["test"], clean.image_ids)
    patients = clean.patients.tolist() if same else data.patients["test"].astype(str).tolist()
    path = folder.path / TEST
    write_predictions(path, data.ids["test"].tolist(), patients, test.labels[:, 0], scores)
    return record_file(path, bench.out, folder.key, len(scores), seconds, 1, trace)


def _measured(bench: _Bench, faulty: dict[int, Predictions]) -> Measured:
    now = {f"fault, seed {seed}": part for seed, part in faulty.items()}
    before = {f"clean, seed {seed}": part for seed, part in bench.clean.items()}
    joined = join_predictions(
        {name: replace(part, scores={name: _scores(part)}) for name, part in {**now, **before}.items()}
    )
    difference = compare_means(joined.labels, joined.scores, list(now), list(before), joined.patients)
    # As the gate would have it: Holm over the study's schemes, where all others are unchanged.
    others = [1.0] * (len(bench.results.names) - 1)
    p_worse = adjust_p_values([difference.p_below(0.0), *others], "holm")[0]
    return Measured(
        clean=difference.mean_b,
        faulty=difference.mean_a,
        difference=difference.difference,
        se=difference.se,
        ci_low=difference.ci_low,
        ci_high=difference.ci_high,
        p_worse=p_worse,
        gate=scheme_verdict(bench.scheme, difference, p_worse, bench.profile.gate_margin),
        target=_target_verdict(bench, joined, list(now)),
        same_scores=all(
            np.array_equal(_scores(part), _scores(bench.clean[seed])) for seed, part in faulty.items()
        ),
    )


def _target_verdict(bench: _Bench, joined: Predictions, curves: Sequence[str]) -> Verdict | None:
    """Return what the scheme's target says of the AUC with the fault, by the study's own intervals."""
    settings = bench.profile.targets.get(bench.scheme)
    if settings is None:
        return None
    target = settings.for_sample(bench.results.sample)
    if len(curves) == 1:
        curve = auc(joined.labels, joined.scores[curves[0]], joined.patients)
        return verdict(target, curve.auc, curve.ci_low, curve.ci_high)
    spread = across_seeds(joined.labels, {name: joined.scores[name] for name in curves}, joined.patients)
    return verdict(target, spread.mean, spread.ci_low, spread.ci_high, len(curves))


def _scores(part: Predictions) -> npt.NDArray[np.float64]:
    (scores,) = part.scores.values()
    return scores


def _audit(bench: _Bench, leaked: npt.NDArray[np.int64]) -> tuple[bool, str]:
    """Return whether the leak audit finds the leaked images, and what it does about them.

    They are put in as another data set's training images, under other names and as other patients', so that
    nothing but what they show can give them away.
    """
    if len(leaked) == 0:
        return False, ""
    target, role = bench.target, bench.profile.target
    test = target.rows("test")
    names = [f"copy-{number}" for number in range(len(leaked))]
    copies = replace(
        target.pack,
        dataset="copies",
        table=target.pack.table.iloc[test[leaked]]
        .reset_index(drop=True)
        .assign(image_id=names, patient_id=names),
        pixels=target.pack.pixels[test[leaked]],
        key="copies",
        content="copies",
    )
    rows = np.arange(len(leaked), dtype=np.int64)
    report = audit([(role, copies, rows)], (role, target.pack, test))
    found = len({pair.train_image_id for pair in report.pairs})
    does = "stops the study" if bench.profile.on_leak == "stop" else "leaves them out of training"
    said = f"put in as training images under other names, the leak audit names {found} of {len(leaked)}"
    return found > 0, f"{said} and {does}" if found else said
