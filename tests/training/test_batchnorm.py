"""Batch statistics that are measured over the training images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from cxrbench.training.batchnorm import measure_statistics
from cxrbench.training.checkpoints import load_tensors
from cxrbench.training.data import DeviceImages
from cxrbench.training.loop import load_network
from cxrbench.training.network import Network
from cxrbench.training.predict import to_float
from cxrbench.training.seeds import generator
from cxrbench.training.stepper import Stepper

CPU = torch.device("cpu")


def images(count: int) -> DeviceImages:
    pixels = torch.randint(0, 256, (count, 1, 32, 32), dtype=torch.uint8, generator=generator(7, "pixels"))
    return DeviceImages(pixels, torch.zeros(count, 1), ("covid",))


def norms(network: Network) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def measure(network: Network, train: DeviceImages, batch: int, seed: int = 1) -> list[Tensor]:
    measure_statistics(network, train, batch, "float32", generator(seed, "order"))
    return [value for norm in norms(network) for value in (norm.running_mean, norm.running_var)]


@pytest.fixture
def network(easy: ModuleType) -> Network:
    return Network(easy.TINY, {"covid": 1}, seed=3)


def test_they_are_the_mean_over_whole_batches(network: Network) -> None:
    train, first = images(11), norms(network)[0]
    seen: list[Tensor] = []
    first.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().clone()))
    measure(network, train, batch=4)
    # Eleven images are two batches of four; three are left over.
    assert [len(maps) for maps in seen] == [4, 4]
    means = torch.stack([maps.mean(dim=(0, 2, 3)) for maps in seen]).mean(dim=0)
    variances = torch.stack([maps.var(dim=(0, 2, 3)) for maps in seen]).mean(dim=0)
    torch.testing.assert_close(first.running_mean, means)
    torch.testing.assert_close(first.running_var, variances)


def test_of_one_batch_a_prediction_is_what_training_sees(network: Network) -> None:
    train = images(8)
    measure(network, train, batch=8)
    with torch.no_grad():
        trained = network.train()(to_float(train.pixels), ["covid"])
        # What the moving average has since become is of no matter here: it was moved by the same batch.
        predicted = network.eval()(to_float(train.pixels), ["covid"])
    # A running variance has n - 1 below it, where a batch's has n.
    torch.testing.assert_close(predicted, trained, rtol=2e-2, atol=2e-3)


def test_fewer_images_than_a_batch_are_one(network: Network) -> None:
    whole = [value.clone() for value in measure(network, images(5), batch=5)]
    again = measure(network, images(5), batch=16)
    assert all(map(torch.equal, whole, again))


def test_no_parameter_changes_and_training_goes_on_as_before(network: Network) -> None:
    before = {name: value.clone() for name, value in network.named_parameters()}
    measure(network, images(8), batch=4)
    assert all(torch.equal(value, before[name]) for name, value in network.named_parameters())
    assert {norm.momentum for norm in norms(network)} == {0.1}
    assert all(norm.training for norm in norms(network))
    assert not any(value.requires_grad for value in network.buffers())


def test_what_was_remembered_leaves_no_mark_and_the_order_does(network: Network) -> None:
    train = images(12)
    one = [value.clone() for value in measure(network, train, batch=4)]
    for norm in norms(network):
        assert norm.running_mean is not None
        norm.running_mean.fill_(1e3)
    again = [value.clone() for value in measure(network, train, batch=4)]
    assert all(map(torch.equal, one, again))
    other = measure(network, train, batch=4, seed=2)
    assert not all(map(torch.equal, one, other))


def test_a_network_without_them_is_left_as_it_is(network: Network) -> None:
    for norm in norms(network):
        norm.track_running_stats = False
    state = {name: value.clone() for name, value in network.state_dict().items()}
    network.eval()
    measure(network, images(8), batch=4)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert not network.training


# -- in a stage


@pytest.mark.parametrize(("keep", "times"), [("last", 1), ("best", 3)])
def test_a_stage_measures_them_where_an_epoch_may_be_kept(
    easy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: str, times: int
) -> None:
    measured: list[int] = []

    def counting(*args: object) -> None:
        measured.append(1)
        measure_statistics(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("cxrbench.training.loop.measure_statistics", counting)
    config = replace(easy.config(epochs=3), keep=keep, batch_statistics="precise")
    precise = easy.train(tmp_path / "precise", easy.job(config, count=8))
    moving = easy.train(tmp_path / "moving", easy.job(replace(config, batch_statistics="moving"), count=8))
    assert len(measured) == times
    # The same steps: what a prediction is normalised by is of no matter to training.
    assert [e.loss for e in precise.history] == [e.loss for e in moving.history]
    tensors, other = (load_tensors(trained.path)[0] for trained in (precise, moving))
    if keep == "last":
        differ = {name.rpartition(".")[2] for name in tensors if not torch.equal(tensors[name], other[name])}
        assert differ == {"running_mean", "running_var", "num_batches_tracked"}


def test_a_trunk_that_is_left_as_it_is_keeps_its_statistics(easy: ModuleType, tmp_path: Path) -> None:
    config = replace(easy.config(epochs=2), freeze="always", keep="last", batch_statistics="precise")
    job = easy.job(config, count=8)
    trained = easy.train(tmp_path, job)
    kept = load_network(trained.folder, easy.TINY, {"covid": 1}, CPU)
    fresh = Network(easy.TINY, {"covid": 1}, seed=job.seed)
    assert all(
        torch.equal(one.running_mean, other.running_mean)  # type: ignore[arg-type]
        for one, other in zip(norms(kept), norms(fresh), strict=True)
    )


@pytest.mark.parametrize("kind", ["tiny", "dropping"])
def test_a_stage_that_was_stopped_has_the_same(easy: ModuleType, tmp_path: Path, kind: str) -> None:
    config = replace(easy.config(epochs=3), keep="best", batch_statistics="precise")
    network = f"easy_stage:{kind}"
    unbroken = easy.train(tmp_path / "a", easy.job(config, count=8), network=network)
    with pytest.raises(KeyboardInterrupt):
        easy.train(tmp_path / "b", easy.job(config, count=8), easy.Interrupted(epoch=2), network=network)
    resumed = easy.train(tmp_path / "b", easy.job(config, count=8), network=network)
    one, other = load_tensors(unbroken.path)[0], load_tensors(resumed.path)[0]
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_as_many_are_measured_at_a_time_as_are_normalised_together(
    easy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    monkeypatch.setattr(
        "cxrbench.training.loop.measure_statistics", lambda _, __, batch, *___: batches.append(batch)
    )
    parts = Stepper._fits

    def short_of_memory(stepper: Stepper) -> bool:
        return stepper.parts >= 2 and parts(stepper)

    monkeypatch.setattr(Stepper, "_fits", short_of_memory)
    config = replace(easy.config(epochs=1), keep="last", batch_statistics="precise")
    easy.train(tmp_path, easy.job(config, count=16))
    assert batches == [config.batch_size // 2]
