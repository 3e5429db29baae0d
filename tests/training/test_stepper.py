"""The steps of a stage: recorded once and replayed, in parts where memory is short, compiled."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cxrbench.errors import TrainingError
from cxrbench.training import densenet, loop
from cxrbench.training.augment import DRAWS, augment, draw
from cxrbench.training.checkpoints import load_tensors
from cxrbench.training.compiling import pays_back
from cxrbench.training.config import Augmentation, StageConfig
from cxrbench.training.data import DeviceImages, pool
from cxrbench.training.graphed import WARM_UP, Step
from cxrbench.training.loop import learning_rate
from cxrbench.training.network import Network
from cxrbench.training.networks import Architecture
from cxrbench.training.predict import to_float
from cxrbench.training.seeds import generator
from cxrbench.training.stepper import Stepper, make_optimiser
from cxrbench.training.steps import Steps, masked_loss

CPU = torch.device("cpu")
ROLES = ["covid", "findings"]


@pytest.fixture
def make(easy: ModuleType) -> Callable[..., Stepper]:
    """Return a function that makes the stepper of a pooled stage, 32 images in batches of 8."""

    def made(kind: str | Architecture = easy.TINY, **options: Any) -> Stepper:
        settings = options.pop("config", easy.config())
        network = Network(kind, {"covid": 1, "findings": 2}, seed=0).to(memory_format=torch.channels_last)
        network.train()
        train = pool({"covid": easy.images(16, 1), "findings": easy.images(16, 2, labels=2)}, ROLES, CPU)
        parts = options.pop("parts", 1)
        stepper = Stepper(network, train, settings, **options)
        stepper.parts = parts
        return stepper

    return made


def plan(epoch: int = 0, steps: int = 4) -> tuple[Tensor, Tensor, list[float]]:
    randomness = generator("plan", epoch)
    order = torch.stack([torch.randperm(32, generator=randomness)[:8] for _ in range(steps)])
    draws = draw(steps * 8, randomness).view(steps, 8, DRAWS)
    return order, draws, [1e-3 / (1 + epoch * steps + i) for i in range(steps)]


def losses(stepper: Stepper, epochs: Sequence[tuple[Tensor, Tensor, list[float]]]) -> list[float]:
    found = []
    for epoch in epochs:
        stepper.begin(*epoch)
        for _ in epoch[2]:
            stepper.take()
            found.append(float(stepper.loss))
    return found


def state(stepper: Stepper) -> dict[str, Tensor]:
    moments = {
        f"{place} {name}": value
        for place, kept in enumerate(stepper.optimiser.state.values())
        for name, value in kept.items()
    }
    return {**stepper.network.state_dict(), **moments}


def assert_same(one: Stepper, other: Stepper) -> None:
    first, second = state(one), state(other)
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def test_each_step_has_the_images_draws_and_rate_at_its_place(make: Callable[..., Stepper]) -> None:
    order, draws, rates = plan()
    seen: list[tuple[Tensor, Tensor]] = []

    def noted(images: Tensor, settings: Augmentation, given: Tensor) -> Tensor:
        seen.append((images, given))
        return augment(images, settings, given)

    stepper = make(steps=Steps(augment=noted))
    used = []
    stepper.begin(order, draws, rates)
    for _ in rates:
        stepper.take()
        used.append({float(group["lr"]) for group in stepper.optimiser.param_groups})
    assert used == [{rate} for rate in rates]
    for step, (images, given) in enumerate(seen):
        assert torch.equal(images, to_float(stepper.train.pixels[order[step]]))
        assert torch.equal(given, draws[step])


def test_the_total_is_that_of_the_epoch(make: Callable[..., Stepper]) -> None:
    stepper = make()
    for epoch in range(2):
        taken = losses(stepper, [plan(epoch)])
        assert float(stepper.total) == pytest.approx(sum(taken), rel=1e-6)


# -- recorded and replayed


def test_steps_that_are_replayed_are_those_that_are_taken_plainly(
    tape: Any, make: Callable[..., Stepper]
) -> None:
    epochs = [plan(epoch, steps=6) for epoch in range(3)]
    plain, replayed = make(), make(by=tape)
    assert losses(plain, epochs) == losses(replayed, epochs)
    assert_same(plain, replayed)
    assert (tape.plain, tape.recorded) == (WARM_UP, 1)
    assert replayed.refused == ""


def test_in_parts_as_well(tape: Any, make: Callable[..., Stepper]) -> None:
    epochs = [plan(epoch, steps=6) for epoch in range(2)]
    plain, replayed = make(parts=2), make(by=tape, parts=2)
    assert losses(plain, epochs) == losses(replayed, epochs)
    assert_same(plain, replayed)


def test_another_length_of_epoch_and_a_trunk_that_is_no_longer_frozen_are_recorded_anew(
    tape: Any, make: Callable[..., Stepper]
) -> None:
    plain, replayed = make(), make(by=tape)
    found: list[list[float]] = []
    for stepper in (plain, replayed):
        loop._set_mode(stepper.network, frozen=True)
        taken = losses(stepper, [plan(0, 6), plan(1, 5)])
        loop._set_mode(stepper.network, frozen=False)
        found.append(taken + losses(stepper, [plan(2, 5)]))
    assert found[0] == found[1]
    assert_same(plain, replayed)
    assert tape.recorded == 3


def test_what_cannot_be_recorded_is_taken_plainly_and_the_reason_is_kept(
    tape: Any, make: Callable[..., Stepper], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Step) -> Step:
        raise RuntimeError(
            "operation not permitted when stream is capturing\nCompile with TORCH_USE_CUDA_DSA"
        )

    monkeypatch.setattr(tape, "record", refuse)
    epochs = [plan(epoch, steps=6) for epoch in range(2)]
    plain, refused = make(), make(by=tape)
    assert losses(plain, epochs) == losses(refused, epochs)
    assert_same(plain, refused)
    assert refused.refused.startswith("operation not permitted when stream is capturing")


def test_a_stage_that_is_replayed_ends_like_one_that_is_not_also_after_a_break(
    tape: Any, easy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = easy.job(easy.config(epochs=3), count=48)
    whole = easy.train(tmp_path / "plain", job)
    monkeypatch.setattr(loop, "recorder", lambda _: tape)
    with pytest.raises(KeyboardInterrupt):
        easy.train(tmp_path / "replayed", job, easy.Interrupted(epoch=3))
    resumed = easy.train(tmp_path / "replayed", job)
    assert tape.recorded == 2
    assert resumed.trace == whole.trace
    assert [epoch.loss for epoch in resumed.history] == [epoch.loss for epoch in whole.history]
    for name in ("best.safetensors", "kept.safetensors"):
        one, other = (load_tensors(stage.path.with_name(name))[0] for stage in (whole, resumed))
        assert all(torch.equal(one[key], other[key]) for key in one)


class Host(TorchDispatchMode):
    """Notes which operations of a step have anything on the host."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, Tensor)]
        if any(tensor.device.type == "cpu" for tensor in tensors):
            self.operations.append(str(func))
        return out


def imitated_gpu() -> bool:
    """Whether this torch computes with tensors on a GPU that is not there; 2.9 asks for the driver."""
    with FakeTensorMode():
        try:
            torch.zeros(1, device="cuda").uniform_()
        except RuntimeError:
            return False
    return True


@pytest.mark.filterwarnings("ignore:CUDA is not available")
@pytest.mark.skipif(not imitated_gpu(), reason="this torch cannot imitate a GPU")
def test_a_step_on_a_gpu_asks_nothing_of_the_host(easy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the loss, on tensors that have a device and no content: a number asked for is an error there."""
    cuda, host = torch.device("cuda", 0), Host()
    with FakeTensorMode(allow_non_fake_inputs=True):
        with cuda:
            network = Network(easy.TINY, {"covid": 1}, seed=0).train()
            train = DeviceImages(
                torch.zeros(32, 1, 32, 32, dtype=torch.uint8), torch.zeros(32, 1), ("covid",)
            )
        stepper = Stepper(network, train, easy.config(precision="bfloat16"))
        stepper.begin(*plan())
        # Neither has a stand-in for a GPU.
        monkeypatch.setattr(Tensor, "backward", lambda _: None)
        monkeypatch.setattr(stepper.optimiser, "step", lambda: None)
        with host:
            stepper.take()
            stepper.parts = 2
            stepper.take()
        assert stepper.total.device == cuda
    assert host.operations == []


# -- memory that is too small


def full(network: Network, largest: int, error: type[Exception] = torch.OutOfMemoryError) -> None:
    """Let ``network`` raise where more than ``largest`` images enter its last layer."""

    def look(_: nn.Module, given: tuple[Tensor, ...], __: Tensor) -> None:
        if len(given[0]) > largest:
            raise error("CUDA out of memory. Tried to allocate 2.00 GiB.")

    network.trunk.register_forward_hook(look)


def test_a_batch_that_is_too_large_is_taken_in_parts(make: Callable[..., Stepper]) -> None:
    short, whole = make(), make(parts=4)
    full(short.network, 2)
    epochs = [plan(epoch) for epoch in range(2)]
    assert losses(short, epochs) == losses(whole, epochs)
    assert short.parts == 4
    # As if nothing had been tried: the batch that failed has left no statistics.
    assert_same(short, whole)
    assert int(short.network.trunk.norm5.num_batches_tracked) == 8 * 4


def test_parts_are_the_whole_batch_but_for_batch_normalisation(make: Callable[..., Stepper]) -> None:
    def trunk() -> tuple[nn.Module, int]:
        return nn.Sequential(nn.Conv2d(3, 4, 5, stride=4), nn.ReLU()), 4

    kind = Architecture("plain", "Plain", trunk)
    one, parts = make(kind), make(kind, parts=2)
    # An image of which nothing is known weighs nothing, and the parts have different numbers of them.
    for stepper in (one, parts):
        stepper.train.labels[:7] = float("nan")
    epochs = [plan(0)]
    assert losses(one, epochs) == pytest.approx(losses(parts, epochs), rel=1e-5)
    for name, value in one.network.state_dict().items():
        torch.testing.assert_close(parts.network.state_dict()[name], value, rtol=1e-4, atol=1e-5)


def test_not_even_two_images_fit(make: Callable[..., Stepper]) -> None:
    stepper = make()
    full(stepper.network, 1)
    stepper.begin(*plan())
    with pytest.raises(torch.OutOfMemoryError):
        stepper.take()


def test_memory_that_becomes_short_later_on_is_an_error(make: Callable[..., Stepper]) -> None:
    stepper = make()
    stepper.begin(*plan(steps=8))
    for _ in range(6):
        stepper.take()
    full(stepper.network, 4)
    with pytest.raises(torch.OutOfMemoryError):
        stepper.take()


def test_the_parts_are_in_the_stage_s_record_and_a_break_keeps_them(easy: ModuleType, tmp_path: Path) -> None:
    def start(largest: int) -> Callable[[], Network]:
        def network() -> Network:
            made = Network(easy.TINY, {"covid": 1}, seed=0)
            full_in_training(made, largest)
            return made

        return network

    def full_in_training(network: Network, largest: int) -> None:
        def look(trunk: nn.Module, given: tuple[Tensor, ...]) -> None:
            if trunk.training and len(given[0]) > largest:
                raise torch.OutOfMemoryError("CUDA out of memory.")

        network.trunk.register_forward_pre_hook(look)

    job = easy.job(easy.config(epochs=2))
    whole = easy.train(tmp_path / "whole", job, start=start(4))
    assert whole.record.parts == 2
    assert whole.record.remarks == ("each batch in 2 parts, for want of memory",)
    with pytest.raises(KeyboardInterrupt):
        easy.train(tmp_path / "broken", job, easy.Interrupted(epoch=2), start(4))
    # There is room again, and the run ends as it began.
    resumed = easy.train(tmp_path / "broken", job, start=start(32))
    assert resumed.record.parts == 2
    assert resumed.trace == whole.trace
    with pytest.raises(TrainingError, match="batches of 8 images of 32 px on cpu: out of memory"):
        easy.train(tmp_path / "none", job, start=start(1))


# -- compiled


def test_a_trunk_is_compiled_once_and_the_seconds_are_kept(
    easy: ModuleType, make: Callable[..., Stepper], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def compiler(function: Callable[[Tensor], Tensor], **options: Any) -> Callable[[Tensor], Tensor]:
        asked.append(options)
        return function

    monkeypatch.setattr(torch, "compile", compiler)
    plain, compiled = make(), make(config=replace(easy.config(), compile="on"))
    epochs = [plan(epoch) for epoch in range(2)]
    assert losses(plain, epochs) == losses(compiled, epochs)
    assert asked == [{"dynamic": False}]
    assert compiled.compile_seconds > 0 == plain.compile_seconds


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling on a CPU needs a C++ compiler")
def test_compiled_it_computes_the_same(easy: ModuleType, make: Callable[..., Stepper]) -> None:
    plain, compiled = make(), make(config=replace(easy.config(), compile="on"))
    epochs = [plan(0)]
    assert losses(compiled, epochs) == pytest.approx(losses(plain, epochs), rel=1e-4)


def test_auto_compiles_on_a_gpu_from_a_number_of_pixels_on() -> None:
    cuda, auto, other = torch.device("cuda"), StageConfig(epochs=2), torch.nn.Identity()
    assert pays_back(auto, 375_000, 224, cuda, other)
    assert not pays_back(auto, 374_999, 224, cuda, other)
    assert not pays_back(auto, 10**9, 224, CPU, other)
    assert pays_back(replace(auto, compile="on"), 2, 32, CPU, other)
    assert not pays_back(replace(auto, compile="off"), 10**9, 224, cuda, other)


@pytest.mark.parametrize("installed", [True, False])
def test_auto_compiles_no_trunk_that_has_kernels(
    network: Network, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    monkeypatch.setattr(densenet, "find_spec", lambda _: object() if installed else None)
    cuda = torch.device("cuda")
    assert pays_back(StageConfig(), 10**9, 224, cuda, network.trunk) is not installed
    assert pays_back(StageConfig(compile="on"), 2, 224, cuda, network.trunk)


# -- one step


@pytest.fixture
def network() -> Network:
    return Network("densenet121", {"a": 1, "b": 2, "c": 1}, seed=0)


def test_the_optimiser_holds_the_trunk_and_the_named_heads_and_decays_only_weights(network: Network) -> None:
    optimiser = make_optimiser(network, ["a", "b"], StageConfig(weight_decay=0.3))
    names = {parameter: name for name, parameter in network.named_parameters()}
    decayed, plain = ({names[p] for p in group["params"]} for group in optimiser.param_groups)
    assert [group["weight_decay"] for group in optimiser.param_groups] == [0.3, 0.0]
    assert decayed | plain == {name for name in names.values() if not name.startswith("heads.c.")}
    assert {"trunk.conv0.weight", "heads.a.weight", "heads.b.weight"} <= decayed
    assert {"trunk.norm0.weight", "trunk.norm0.bias", "heads.a.bias", "heads.b.bias"} <= plain
    assert all(name.endswith("weight") and "norm" not in name for name in decayed)


def test_steps_lower_the_loss_of_their_images_and_leave_other_heads(
    easy: ModuleType, network: Network
) -> None:
    settings = easy.config(epochs=1)
    train = pool({"a": easy.images(8, 0), "b": easy.images(8, 1, labels=2)}, ["a", "b"], CPU)
    stepper = Stepper(network, train, settings)
    before = network.heads["c"].weight.clone()
    network.train()
    order = torch.arange(16).expand(4, 16)
    draws = draw(64, generator(0)).view(4, 16, DRAWS)
    taken = losses(stepper, [(order, draws, [1e-3] * 4)])
    assert taken[-1] < taken[0]
    assert not stepper.loss.requires_grad
    assert torch.equal(network.heads["c"].weight, before)


def test_a_step_by_hand_with_another_optimiser_of_torch_s(make: Callable[..., Stepper]) -> None:
    """The rate that is a tensor, the fused kernel and the sum over roles against the plain loop."""
    stepper, reference = make(), make()
    order, draws, rates = plan()
    found = losses(stepper, [(order, draws, rates)])
    network = reference.network
    groups = [
        {"params": group["params"], "weight_decay": group["weight_decay"]}
        for group in reference.optimiser.param_groups
    ]
    optimiser = torch.optim.AdamW(groups, fused=True)
    for step, rate in enumerate(rates):
        for group in optimiser.param_groups:
            group["lr"] = rate
        pixels, labels = (whole[order[step]] for whole in (stepper.train.pixels, stepper.train.labels))
        images = augment(pixels.float() / 255, stepper.config.augmentation, draws[step])
        loss = masked_loss(network(images, ROLES), labels)
        assert float(loss.detach()) == found[step]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert all(
        torch.equal(p, q) for p, q in zip(network.parameters(), stepper.network.parameters(), strict=True)
    )
    assert rates[0] != learning_rate(0, 4, stepper.config)
