"""The training loop: schedule, loss, one step, one stage."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cxrbench.errors import TrainingError
from cxrbench.trace.records import Moments
from cxrbench.training import loop
from cxrbench.training.augment import draw
from cxrbench.training.checkpoints import StageFolder, TrainedStage, load_tensors
from cxrbench.training.config import StageConfig
from cxrbench.training.data import DeviceImages, LabelledImages, pool
from cxrbench.training.loop import (
    Job,
    hand_on_trunk,
    learning_rate,
    load_network,
    validation_aucs,
)
from cxrbench.training.network import Network
from cxrbench.training.predict import predict_logits
from cxrbench.training.seeds import derive_seed, generator
from cxrbench.training.selection import BestValidationAuc, macro_auc
from cxrbench.training.stepper import Stepper
from cxrbench.training.steps import Steps, masked_loss
from cxrbench.training.tracer import IMAGES

CPU = torch.device("cpu")
NAN = float("nan")
Unbroken = Callable[[str], TrainedStage]
StepsTaken = Callable[[Job], list[tuple[list[int], float, float]]]


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# -- the learning rate


def test_the_schedule_by_hand() -> None:
    config = StageConfig(learning_rate=0.8, warmup=0.2)
    rates = [learning_rate(step, 10, config) for step in range(10)]
    warm = [0.8 / 3, 1.6 / 3]
    cosine = [0.4 * (1 + math.cos(math.pi * i / 8)) for i in range(8)]
    assert rates == pytest.approx(warm + cosine, rel=1e-12)
    assert rates[2] == 0.8


steps = st.integers(1, 3000)
shares = st.floats(0, 0.999)


@given(steps, shares, st.floats(1e-6, 1))
def test_the_rate_rises_in_warm_up_and_falls_after_it_and_never_leaves_its_range(
    total: int, warmup: float, peak: float
) -> None:
    config = StageConfig(learning_rate=peak, warmup=warmup)
    rates = np.array([learning_rate(step, total, config) for step in range(total)])
    assert (rates > 0).all()
    assert (rates <= peak).all()
    warm = math.ceil(warmup * total)
    assert (np.diff(rates[:warm]) > 0).all()
    assert (np.diff(rates[warm:]) < 0).all()


@given(steps, shares)
def test_the_rate_ends_near_zero(total: int, warmup: float) -> None:
    # Half a cosine over n steps ends at (1 - cos(pi/n)) / 2 <= (pi / 2n)^2 of the peak.
    config = StageConfig(learning_rate=1, warmup=warmup)
    falling = total - warmup * total
    if falling >= 1:
        assert learning_rate(total - 1, total, config) <= (math.pi / (2 * falling)) ** 2 + 1e-12


def test_a_single_step_is_taken_at_the_peak() -> None:
    assert learning_rate(0, 1, StageConfig(learning_rate=0.5, warmup=0)) == 0.5


# -- the loss


def test_the_masked_loss_by_hand() -> None:
    logits = torch.tensor([[0.0, 2.0], [1.0, -1.0]])
    labels = torch.tensor([[1, NAN], [0, 1]])
    # Image 1: log 2. Image 2: both labels log(1 + e).
    assert float(masked_loss(logits, labels)) == pytest.approx((math.log(2) + math.log(1 + math.e)) / 2)


def test_every_image_weighs_the_same_however_many_labels_its_source_knows() -> None:
    logits = torch.zeros(2, 15)
    logits[0, 0] = 3.0  # the one known label of image 1, wrong by 3
    labels = torch.zeros(2, 15)
    labels[0, 1:] = NAN
    labels[1, 0] = NAN
    assert float(masked_loss(logits, labels)) == pytest.approx((math.log(1 + math.exp(3)) + math.log(2)) / 2)


def test_an_image_of_which_nothing_is_known_does_not_count() -> None:
    logits = torch.tensor([[0.0], [5.0]])
    assert float(masked_loss(logits, torch.tensor([[1.0], [NAN]]))) == pytest.approx(math.log(2))


def test_a_batch_of_which_nothing_is_known_gives_no_loss_and_no_gradient() -> None:
    logits = torch.ones(2, 2, requires_grad=True)
    loss = masked_loss(logits, torch.full((2, 2), NAN))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert torch.equal(logits.grad, torch.zeros(2, 2))


def test_a_huge_logit_gives_a_finite_loss() -> None:
    assert float(masked_loss(torch.tensor([[1000.0]]), torch.tensor([[0.0]]))) == pytest.approx(1000)


batches = st.integers(0, 10**6).flatmap(
    lambda seed: st.tuples(st.just(seed), st.integers(1, 6), st.integers(1, 5), st.floats(0, 1))
)


def drawn(batch: tuple[int, int, int, float]) -> tuple[Tensor, Tensor]:
    seed, count, columns, unknown = batch
    randomness = generator(seed, "batch")
    logits = torch.randn(count, columns, generator=randomness) * 3
    labels = torch.randint(0, 2, (count, columns), generator=randomness).float()
    labels[torch.rand(count, columns, generator=randomness) < unknown] = NAN
    return logits, labels


@given(batches)
def test_unknown_labels_have_no_part_in_the_loss_or_its_gradient(batch: tuple[int, int, int, float]) -> None:
    logits, labels = drawn(batch)
    unknown = labels.isnan()
    other = torch.where(unknown, torch.full_like(logits, 50.0), logits).requires_grad_()
    logits.requires_grad_()
    loss, changed = masked_loss(logits, labels), masked_loss(other, labels)
    assert torch.equal(loss, changed)
    loss.backward()
    changed.backward()
    assert logits.grad is not None
    assert other.grad is not None
    assert torch.equal(logits.grad, other.grad)
    assert (logits.grad[unknown] == 0).all()
    assert (logits.grad[~unknown] != 0).all()


@given(batches)
def test_where_all_is_known_it_is_the_plain_mean(batch: tuple[int, int, int, float]) -> None:
    logits, labels = drawn((*batch[:3], 0.0))
    plain = F.binary_cross_entropy_with_logits(logits, labels)
    assert float(masked_loss(logits, labels)) == pytest.approx(float(plain), rel=1e-5)


# -- what a job must have


def test_training_and_validation_must_be_of_the_same_roles(easy: ModuleType) -> None:
    job = easy.job(easy.config())
    with pytest.raises(
        TrainingError, match=r"stage 'init > covid' trains the roles covid and validates none"
    ):
        replace(job, validation={})
    with pytest.raises(TrainingError, match=r"trains the roles none and validates covid"):
        replace(job, train={})
    more = {**job.validation, "findings": easy.images(8, 0)}
    with pytest.raises(TrainingError, match=r"trains the roles covid and validates covid, findings"):
        replace(job, validation=more)


def test_one_training_image_is_refused_before_training(easy: ModuleType) -> None:
    with pytest.raises(TrainingError, match="has a single training image"):
        replace(easy.job(easy.config()), train={"covid": easy.images(1, 0)})


@pytest.mark.parametrize("known", [0.0, 1.0, NAN])
def test_validation_that_cannot_rank_epochs_is_refused_before_training(
    easy: ModuleType, known: float
) -> None:
    one_class = LabelledImages(np.zeros((3, 32, 32), np.uint8), np.full((3, 2), known, np.float32))
    with pytest.raises(TrainingError) as caught:
        replace(easy.job(easy.config()), validation={"covid": one_class})
    assert str(caught.value) == (
        "stage 'init > covid': no label of role 'covid' has both classes among its 3 validation images, so "
        "that no epoch can be preferred; give it more"
    )


def test_the_roles_of_a_job_are_in_alphabetical_order(easy: ModuleType) -> None:
    assert easy.job(easy.config(), roles={"b": 1, "a": 2}).roles == ("a", "b")


# -- a stage, trained


def test_images_are_copied_to_the_device_once_and_not_every_epoch(
    easy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = []

    def noted(images: dict[str, LabelledImages], *arguments: Any) -> DeviceImages:
        copied.append(images)
        return pool(images, *arguments)

    monkeypatch.setattr(loop, "pool", noted)
    job = easy.job(easy.config(epochs=3))
    easy.train(tmp_path, job)
    assert sorted(map(id, copied)) == sorted([id(job.train), id(job.validation)])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_easy_task_is_learnt(unbroken: Unbroken, precision: str) -> None:
    trained = unbroken(precision)
    losses = [record.loss for record in trained.history]
    assert losses[0] > 0.4
    assert losses[-1] < 0.6 * losses[0]
    assert trained.validation_auc > 0.95
    assert [(r.epoch, r.images) for r in trained.history] == [(epoch, 32) for epoch in range(len(losses))]
    assert all(record.train_seconds > 0 and record.validation_seconds > 0 for record in trained.history)


def test_a_finished_run_leaves_its_checkpoint_and_its_record(unbroken: Unbroken) -> None:
    trained = unbroken("float32")
    assert {file.name for file in trained.path.parent.iterdir()} == {
        "stage.json",
        "best.safetensors",
        "done.json",
        "kept.safetensors",  # by the test's folder
    }
    assert load_tensors(trained.path)[1] == {"stage": "init > covid", "epoch": trained.best_epoch}


def test_a_finished_run_is_not_trained_again(easy: ModuleType, unbroken: Unbroken) -> None:
    trained = unbroken("float32")
    progress = easy.Recorded()
    store = trained.path.parent.parent
    again = easy.train(store, easy.job(easy.config()), progress, lambda: pytest.fail("start was called"))
    assert again == trained
    assert progress.events == []


def test_the_checkpoint_gives_the_validation_auc_that_it_was_selected_for(
    easy: ModuleType, unbroken: Unbroken
) -> None:
    trained = unbroken("float32")
    network = load_network(trained.folder, "densenet121", {"covid": 1}, CPU)
    validation = easy.job(easy.config()).validation
    images = pool(validation, ["covid"], CPU)
    logits = predict_logits(network, images.pixels, ["covid"], "float32")
    assert macro_auc(validation["covid"].labels, logits) == trained.validation_auc
    assert validation_aucs(network, {"covid": images}, easy.config()) == {"covid": trained.validation_auc}


def test_the_same_seed_gives_the_same_bits_and_no_global_state_is_touched(
    easy: ModuleType, unbroken: Unbroken, tmp_path: Path
) -> None:
    trained = unbroken("float32")
    before = torch.get_rng_state()
    again = easy.train(tmp_path, easy.job(easy.config()), network="densenet121")
    assert torch.equal(torch.get_rng_state(), before)
    assert same(load_tensors(again.path)[0], load_tensors(trained.path)[0])
    kept = (load_tensors(stage.path.with_name("kept.safetensors"))[0] for stage in (again, trained))
    assert same(*kept)
    assert [record.loss for record in again.history] == [record.loss for record in trained.history]


@pytest.fixture
def steps_taken(easy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StepsTaken:
    """Return a function that trains a job without computing, and gives each step's rows, draw and rate."""

    def taken(job: Job) -> list[tuple[list[int], float, float]]:
        steps = []

        class Noted:
            device = CPU

            def __init__(self, network: Network, train: DeviceImages, *_: object, **__: object):
                self.network, self.train = network, train
                self.total = self.loss = torch.tensor(0.5)
                self.parts, self.compile_seconds, self.refused = 1, 0.0, ""
                self.optimiser = SimpleNamespace(state={})

            def begin(self, order: Tensor, draws: Tensor, rates: list[float]) -> None:
                steps.extend(zip(order.tolist(), draws[:, 0, 0].tolist(), rates, strict=True))

            def take(self) -> None:
                pass

        with monkeypatch.context() as patch:
            patch.setattr(loop, "Stepper", Noted)
            patch.setattr(loop, "writing_tensors", lambda *_: nullcontext("0" * 64))
            patch.setattr(loop, "write_tensors", lambda *_: None)
            patch.setattr(easy.KeepingFolder, "finish", lambda *_: None)
            easy.train(tmp_path, job)
        return steps

    return taken


def test_every_epoch_takes_every_image_once_in_an_order_and_with_draws_of_its_own(
    easy: ModuleType, steps_taken: StepsTaken
) -> None:
    steps = steps_taken(easy.job(easy.config(epochs=2)))
    first, second = ([row for rows, _, _ in part for row in rows] for part in (steps[:4], steps[4:]))
    assert sorted(first) == sorted(second) == list(range(32))
    assert first != second
    assert first != sorted(first)
    assert len({draw for _, draw, _ in steps}) == 8


def test_another_seed_or_stage_draws_other_numbers(easy: ModuleType, steps_taken: StepsTaken) -> None:
    base = easy.job(easy.config(epochs=1))
    jobs = (base, replace(base, seed=1), replace(base, name="init > pneumonia > covid"), replace(base))
    rows, draws = zip(*[next((tuple(r), d) for r, d, _ in steps_taken(job)) for job in jobs], strict=True)
    assert len(set(rows)) == len(set(draws)) == 3
    assert rows[0] == rows[3]


def test_the_schedule_runs_over_all_epochs_of_the_stage(easy: ModuleType, steps_taken: StepsTaken) -> None:
    settings = easy.config(epochs=3)
    rates = [rate for _, _, rate in steps_taken(easy.job(settings))]
    assert rates == [learning_rate(step, 12, settings) for step in range(12)]


def test_a_pooled_stage_is_the_same_in_whatever_order_its_roles_stand(
    easy: ModuleType, tmp_path: Path
) -> None:
    name = "init > covid + findings"
    states = []
    for roles in ({"covid": 1, "findings": 2}, {"findings": 2, "covid": 1}):
        job = easy.job(easy.config(epochs=1), name, roles, count=24)
        assert list(job.train) == list(roles)
        trained = easy.train(tmp_path / "-".join(roles), job)
        assert trained.history[0].images == 48
        states.append(load_tensors(trained.path)[0])
    assert same(*states)


def test_a_stage_starts_with_new_heads_of_its_own_roles_and_leaves_the_others_alone(
    easy: ModuleType, tmp_path: Path
) -> None:
    def started(weight: float) -> Network:
        network = Network(easy.TINY, {"covid": 1, "findings": 3}, seed=0)
        with torch.no_grad():
            network.heads["covid"].weight.fill_(weight)
        return network

    job = easy.job(easy.config(epochs=1), count=8)
    one, other = (
        load_tensors(easy.train(tmp_path / str(w), job, start=lambda w=w: started(w)).path)[0]
        for w in (0.0, 9.0)
    )
    assert same(one, other), "the head of an earlier stage lived on"
    before = started(0.0).state_dict()
    assert torch.equal(one["heads.findings.weight"], before["heads.findings.weight"])
    assert torch.equal(one["heads.findings.bias"], before["heads.findings.bias"])
    assert not torch.equal(one["trunk.conv0.weight"], before["trunk.conv0.weight"])


def test_progress_is_reported_every_ten_batches_and_at_the_end(easy: ModuleType, tmp_path: Path) -> None:
    progress = easy.Recorded()
    settings = replace(easy.config(epochs=1), batch_size=2)
    trained = easy.train(tmp_path, easy.job(settings, count=25), progress)
    assert [event[:2] for event in progress.events] == [
        ("start", "init > covid  epoch 1/1"),
        ("step", 20),
        ("step", 4),
        ("stop",),
    ]
    assert progress.events[0][2] == 24, "the 25th image makes no batch of two"
    assert progress.events[2][2] == trained.history[0].loss
    assert trained.history[0].images == 24


def test_fewer_images_than_a_batch_are_one_batch(easy: ModuleType, tmp_path: Path) -> None:
    progress = easy.Recorded()
    settings = replace(easy.config(epochs=1), batch_size=32)
    assert easy.train(tmp_path, easy.job(settings, count=6), progress).history[0].images == 6
    assert [event[1] for event in progress.events if event[0] == "step"] == [6]


def test_a_loss_that_is_not_finite_stops_the_stage_and_names_it(easy: ModuleType, tmp_path: Path) -> None:
    steps = Steps(loss=lambda logits, labels: masked_loss(logits, labels) * math.nan)
    job = replace(easy.job(easy.config(), name="init > findings > covid"), steps=steps)
    progress = easy.Recorded()
    with pytest.raises(TrainingError) as caught:
        easy.train(tmp_path, job, progress)
    assert str(caught.value) == (
        "stage 'init > findings > covid', epoch 1: the loss became nan; lower learning_rate"
    )
    assert [event[0] for event in progress.events] == ["start", "stop"], "a bar was left standing"
    assert not easy.folder(tmp_path).last.exists(), "parameters of no use were kept"


def test_outputs_that_are_not_finite_stop_the_stage_and_name_it(
    easy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Network(easy.TINY, {"covid": 1}, seed=0)
    progress = easy.Recorded()
    # Used in validation only.
    monkeypatch.setattr(progress, "step", lambda *_: network.trunk.norm5.running_var.fill_(NAN))
    with pytest.raises(TrainingError, match=r"stage 'init > covid', epoch 1: .*outputs are not finite"):
        easy.train(tmp_path, easy.job(easy.config(), count=8), progress, lambda: network)


class Scripted(BestValidationAuc):
    """A rule that gives the scores it was made with, one per epoch."""

    def __init__(self, *scores: float) -> None:
        super().__init__("covid")
        object.__setattr__(self, "scores", list(scores))

    def score(self, aucs: object) -> float:  # noqa: ARG002
        return self.scores.pop(0)


def test_the_first_epoch_with_the_highest_score_is_kept(easy: ModuleType, tmp_path: Path) -> None:
    job = easy.job(easy.config(epochs=3), selection=Scripted(0.5, 0.9, 0.9), count=8)
    with pytest.raises(KeyboardInterrupt):
        easy.train(tmp_path, job, easy.Interrupted(epoch=3))
    second, note = load_tensors(easy.folder(tmp_path).last)
    assert note["best_epoch"] == 1
    trained = easy.train(tmp_path, replace(job, selection=Scripted(0.9)))
    assert trained.best_epoch == 1
    assert trained.validation_auc == 0.9
    assert [record.validation_auc for record in trained.history] == [0.5, 0.9, 0.9]
    best = {f"network.{name}": tensor for name, tensor in load_tensors(trained.path)[0].items()}
    assert same(best, {name: tensor for name, tensor in second.items() if name.startswith("network.")})


def test_the_last_epoch_is_kept_where_that_is_asked_for(easy: ModuleType, tmp_path: Path) -> None:
    config = replace(easy.config(epochs=3), keep="last")
    unbroken = easy.train(tmp_path / "a", easy.job(config, selection=Scripted(0.9, 0.5, 0.7), count=8))
    assert (unbroken.best_epoch, unbroken.validation_auc) == (2, 0.7)
    job = easy.job(config, selection=Scripted(0.9, 0.5, 0.7), count=8)
    with pytest.raises(KeyboardInterrupt):
        easy.train(tmp_path / "b", job, easy.Interrupted(epoch=2))
    # What is kept in the end is not written before.
    assert not easy.folder(tmp_path / "b").best.exists()
    resumed = easy.train(tmp_path / "b", easy.job(config, selection=Scripted(0.5, 0.7), count=8))
    assert resumed.best_epoch == 2
    assert same(load_tensors(resumed.path)[0], load_tensors(unbroken.path)[0])
    assert resumed.record.best_sha256 == unbroken.record.best_sha256


def test_a_run_that_keeps_its_last_epoch_and_is_killed_at_its_end_takes_that_epoch_again(
    easy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(easy.config(epochs=2), keep="last")
    unbroken = easy.train(tmp_path / "a", easy.job(config, count=8))

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(easy.KeepingFolder, "finish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            easy.train(tmp_path / "b", easy.job(config, count=8))
    progress = easy.Recorded()
    resumed = easy.train(tmp_path / "b", easy.job(config, count=8), progress)
    assert [event[1] for event in progress.events if event[0] == "start"] == ["init > covid  epoch 2/2"]
    assert resumed.record.restarted == ""
    assert same(load_tensors(resumed.path)[0], load_tensors(unbroken.path)[0])
    assert resumed.trace == unbroken.trace


@pytest.mark.parametrize(("keep", "kept"), [("best", 1), ("last", 3)])
def test_epochs_shorter_than_the_pause_between_checkpoints_are_kept_all_the_same(
    easy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: str, kept: int
) -> None:
    settings = replace(easy.config(epochs=4), keep=keep)

    def job() -> Job:
        return easy.job(settings, selection=Scripted(0.5, 0.9, 0.7, 0.6), count=8)

    every = easy.train(tmp_path / "every", job())
    monkeypatch.setitem(loop.PAUSES, "cpu", math.inf)
    with pytest.raises(KeyboardInterrupt):
        easy.train(tmp_path / "seldom", job(), easy.Interrupted(epoch=3))
    assert not easy.folder(tmp_path / "seldom").last.exists()
    seldom = easy.train(tmp_path / "seldom", job())
    assert seldom.best_epoch == every.best_epoch == kept
    assert same(load_tensors(seldom.path)[0], load_tensors(every.path)[0])
    assert [epoch.loss for epoch in seldom.history] == [epoch.loss for epoch in every.history]


def test_the_target_s_auc_selects_in_a_pooled_stage(easy: ModuleType, tmp_path: Path) -> None:
    job = easy.job(easy.config(epochs=1), roles={"covid": 1, "findings": 2}, count=8)
    hidden = job.validation["findings"]
    # The other role's labels are shuffled: its AUC is no more than chance and must not count.
    validation = {**job.validation, "findings": replace(hidden, labels=np.roll(hidden.labels, 1, axis=0))}
    trained = easy.train(tmp_path, replace(job, validation=validation))
    network = load_network(trained.folder, easy.TINY, {"covid": 1, "findings": 2}, CPU)
    images = {role: pool(validation, [role], CPU) for role in validation}
    aucs = validation_aucs(network, images, job.config)
    assert trained.validation_auc == aucs["covid"]
    assert aucs["findings"] != aucs["covid"]


# -- loading


def test_a_missing_checkpoint_is_never_replaced_by_random_parameters(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"done.json does not exist; run the study again"):
        load_network(StageFolder(tmp_path, "0" * 64), "densenet121", {"covid": 1}, CPU)


@pytest.mark.parametrize(
    ("heads", "what"),
    [
        ({"findings": 1}, r"Missing key\(s\).*heads.findings.weight"),
        ({"covid": 1, "findings": 2}, r"Missing key\(s\).*heads.findings.weight"),
        ({"covid": 2}, "size mismatch for heads.covid.weight"),
        ({}, r"Unexpected key\(s\).*heads.covid.weight"),
    ],
    ids=str,
)
def test_a_checkpoint_of_other_heads_is_refused(unbroken: Unbroken, heads: dict[str, int], what: str) -> None:
    with pytest.raises(TrainingError, match=rf"best.safetensors is of another network: {what}") as caught:
        load_network(unbroken("float32").folder, "densenet121", heads, CPU)
    assert "\n" not in str(caught.value)


def test_a_broken_checkpoint_is_refused(tmp_path: Path, unbroken: Unbroken) -> None:
    folder = StageFolder(tmp_path / "copy", unbroken("float32").key)
    shutil.copytree(unbroken("float32").path.parent, folder.path)
    content = bytearray(folder.best.read_bytes())
    content[-1000] ^= 1
    folder.best.write_bytes(content)
    for read in (lambda: load_network(folder, "densenet121", {"covid": 1}, CPU), folder.parameters):
        with pytest.raises(TrainingError, match=r"best.safetensors is damaged: its SHA-256 .* run the study"):
            read()
    with pytest.raises(TrainingError, match=r"best.safetensors is damaged: its SHA-256"):
        hand_on_trunk(folder, Network("densenet121", {"covid": 1}, seed=0))


def test_the_trunk_is_handed_on_and_the_heads_stay_behind(unbroken: Unbroken) -> None:
    network = Network("densenet121", {"covid": 1, "findings": 3}, seed=5)
    heads = {
        name: tensor.clone() for name, tensor in network.state_dict().items() if name.startswith("heads.")
    }
    hand_on_trunk(unbroken("float32").folder, network)
    state = network.state_dict()
    stored = load_tensors(unbroken("float32").path)[0]
    assert {name for name in state if name.startswith("heads.")} == set(heads)
    assert all(torch.equal(state[name], tensor) for name, tensor in heads.items())
    assert all(torch.equal(state[name], stored[name]) for name in state if name.startswith("trunk."))
    assert not torch.equal(state["heads.covid.weight"], stored["heads.covid.weight"])


def test_a_trunk_that_is_not_there_is_not_handed_on(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="does not exist"):
        hand_on_trunk(StageFolder(tmp_path, "0" * 64), Network("densenet121", {"covid": 1}, seed=5))


def test_a_trunk_of_another_network_is_not_handed_on(unbroken: Unbroken) -> None:
    with pytest.raises(TrainingError, match=r"best.safetensors is of another network: Missing key"):
        hand_on_trunk(unbroken("float32").folder, Network("resnet18", {"covid": 1}, seed=5))


def test_the_record_of_a_run_can_be_read_by_a_person(unbroken: Unbroken) -> None:
    trained = unbroken("float32")
    written = json.loads(trained.path.with_name("done.json").read_text())
    assert written["best_epoch"] == trained.best_epoch
    assert [epoch["loss"] for epoch in written["history"]] == [epoch.loss for epoch in trained.history]
    assert written["best_sha256"] == hashlib.sha256(trained.path.read_bytes()).hexdigest()


# -- a frozen trunk


def last_state(stage: TrainedStage) -> dict[str, Tensor]:
    tensors = load_tensors(stage.path.with_name("kept.safetensors"))[0]
    return {k.removeprefix("network."): t for k, t in tensors.items() if k.startswith("network.")}


def changed(one: dict[str, Tensor], other: dict[str, Tensor]) -> set[str]:
    return {name for name in one if not torch.equal(one[name], other[name])}


@pytest.mark.parametrize("freeze", [2, "always"])
def test_a_linear_probe_changes_the_heads_and_nothing_of_the_trunk(
    easy: ModuleType, tmp_path: Path, freeze: int | str
) -> None:
    network = Network(easy.TINY, {"covid": 1}, seed=0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    job = easy.job(replace(easy.config(epochs=2), freeze=freeze), count=16)
    after = last_state(easy.train(tmp_path, job, start=lambda: network))
    # Batch statistics are tensors of the trunk, too.
    assert "trunk.norm5.running_mean" in after
    assert changed(before, after) == {"heads.covid.weight", "heads.covid.bias"}


def test_a_trunk_is_trained_after_the_epochs_that_it_is_frozen_for(easy: ModuleType, tmp_path: Path) -> None:
    def state(epochs: int) -> dict[str, Tensor]:
        job = easy.job(replace(easy.config(epochs=epochs), freeze=1), count=16)
        return last_state(easy.train(tmp_path / str(epochs), job))

    frozen, thawed = state(1), state(2)
    assert {name for name in frozen if name.startswith("trunk.")} <= changed(frozen, thawed)


def test_weights_of_a_frozen_trunk_do_not_decay(easy: ModuleType, tmp_path: Path) -> None:
    settings = replace(easy.config(epochs=1), freeze=1, weight_decay=0.5, learning_rate=0.5)
    network = Network(easy.TINY, {"covid": 1}, seed=0)
    before = network.trunk.conv0.weight.clone()
    after = last_state(easy.train(tmp_path, easy.job(settings, count=16), start=lambda: network))
    assert torch.equal(after["trunk.conv0.weight"], before)


# -- training gone wrong


@pytest.mark.parametrize("known", [0.0, 1.0, NAN])
def test_training_images_of_one_class_are_refused_before_training(easy: ModuleType, known: float) -> None:
    one_class = LabelledImages(np.zeros((5, 32, 32), np.uint8), np.full((5, 2), known, np.float32))
    with pytest.raises(TrainingError) as caught:
        replace(easy.job(easy.config()), train={"covid": one_class})
    assert str(caught.value) == (
        "stage 'init > covid': no label of role 'covid' has both classes among its 5 training images, so "
        "that nothing can be learned; give it more"
    )


@pytest.mark.parametrize(
    "fault",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        MemoryError("Unable to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 2"),
    ],
    ids=lambda fault: type(fault).__name__,
)
@pytest.mark.parametrize(
    "where", ["loop.pool", "loop.Stepper", "stepper.make_optimiser", "loop.predict_logits"]
)
def test_too_little_memory_is_one_line_that_says_what_to_make_smaller(
    easy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, where: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(f"cxrbench.training.{where}", full)
    with pytest.raises(TrainingError) as caught:
        easy.train(tmp_path, easy.job(easy.config()))
    message = str(caught.value)
    assert message.startswith("stage 'init > covid' in batches of 8 images of 32 px on cpu: out of memory (")
    assert "allocate" in message
    assert "set a smaller batch_size or image_size" in message
    assert "\n" not in message


def test_another_runtime_error_is_not_taken_for_too_little_memory(
    easy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object, **__: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(loop, "Stepper", wrong)
    with pytest.raises(RuntimeError, match="mat1"):
        easy.train(tmp_path, easy.job(easy.config()))


def test_a_start_that_is_not_finite_is_refused_before_the_first_step(
    easy: ModuleType, tmp_path: Path
) -> None:
    def spoilt() -> Network:
        network = Network(easy.TINY, {"covid": 1}, seed=0)
        network.trunk.conv0.weight.data.fill_(NAN)
        return network

    progress = easy.Recorded()
    with pytest.raises(TrainingError, match=r"stage 'init > covid', before its first step: .* not finite"):
        easy.train(tmp_path, easy.job(easy.config()), progress, spoilt)
    assert progress.events == []


# -- the trace


def test_the_trace_by_hand(easy: ModuleType, tmp_path: Path) -> None:
    """A stage's first epoch, taken step by step, and everything computed again."""
    settings = easy.config(epochs=2)
    job = easy.job(settings, roles={"covid": 1, "findings": 2}, count=16)
    trace = easy.train(tmp_path, job).trace
    network = Network(easy.TINY, {"covid": 1, "findings": 2}, seed=0)
    for role in job.roles:
        network.reset_head(role, job.train[role].prevalence(), derive_seed(job.seed, job.name))
    network.to(memory_format=torch.channels_last)
    images = pool(job.validation, ["covid"], CPU).pixels[:IMAGES]
    for role in ("covid", "findings"):
        logits = predict_logits(network, images, [role], "float32").astype(np.float64)
        assert trace.untrained[role] == Moments(logits.mean(), logits.std())

    def norm(parameters: Iterable[Tensor]) -> float:
        return math.sqrt(sum(float(p.detach().double().square().sum()) for p in parameters))

    assert trace.before.trunk == pytest.approx(norm(network.trunk.parameters()), rel=1e-7)
    assert trace.before.heads == pytest.approx(norm(network.heads.parameters()), rel=1e-7)
    train = pool(job.train, job.roles, CPU)
    randomness = generator(job.seed, job.name, "epoch", 0)
    order = torch.randperm(32, generator=randomness).view(4, 8)
    draws = torch.stack([draw(8, randomness) for _ in range(4)])
    network.train()
    stepper = Stepper(network, train, settings)
    rates = [learning_rate(step, 8, settings) for step in range(4)]
    stepper.begin(order, draws, rates)
    for taken, rate in zip(trace.steps, rates, strict=False):
        stepper.take()
        assert (taken.loss, taken.learning_rate) == (float(stepper.loss), rate)
        assert taken.gradient_norm == pytest.approx(norm(p.grad for p in network.parameters()), rel=1e-6)
        assert taken.gradient_norm > 0


def test_the_trace_holds_the_first_sixteen_steps_over_all_epochs_and_the_ends_of_all(
    easy: ModuleType, tmp_path: Path
) -> None:
    settings = replace(easy.config(epochs=5), learning_rate=0.05)
    job = easy.job(settings, selection=Scripted(0.5, 0.9, 0.8, 0.7, 0.6))
    stage = easy.train(tmp_path, job)
    trace = stage.trace
    assert [step.learning_rate for step in trace.steps] == [learning_rate(i, 20, settings) for i in range(16)]
    assert np.mean([step.loss for step in trace.steps[:4]]) == pytest.approx(stage.history[0].loss)
    kept, last = stage.folder.parameters(), last_state(stage)
    for state, norms in ((kept, trace.kept), (last, trace.after)):
        for prefix, norm in (("trunk.", norms.trunk), ("heads.", norms.heads)):
            values = [
                tensor.double().ravel()
                for name, tensor in state.items()
                if name.startswith(prefix) and name.endswith(("weight", "bias"))
            ]
            assert norm == pytest.approx(float(torch.cat(values).norm()), rel=1e-7)
    assert len({trace.before.trunk, trace.kept.trunk, trace.after.trunk}) == 3


def test_a_frozen_trunk_has_no_part_in_the_gradient_norm(easy: ModuleType, tmp_path: Path) -> None:
    base = easy.job(easy.config(epochs=1))
    frozen = replace(base, config=replace(base.config, freeze="always"))
    free, probe = (easy.train(tmp_path / str(i), job).trace.steps[0] for i, job in enumerate((base, frozen)))
    assert 0 < probe.gradient_norm < free.gradient_norm
    assert probe.learning_rate == free.learning_rate
