"""Initial parameters: torchvision's names old and new, and nobody's pickles."""

from __future__ import annotations

import hashlib
import io
import pickle
import re
from email.message import Message
from http.client import IncompleteRead
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

from cxrbench.errors import TrainingError
from cxrbench.training import initial
from cxrbench.training.initial import Initial, load_trunk
from cxrbench.training.network import Network
from cxrbench.training.seeds import generator

State = dict[str, Tensor]
PUBLISHED = "densenet121-a639ec97.pth"


@pytest.fixture(scope="module")
def state() -> State:
    """Return a DenseNet121's state under today's names, running statistics drawn too."""
    found: State = torchvision.models.densenet121(weights=None).state_dict()
    randomness = generator(0, "running statistics")
    for name, tensor in found.items():
        if name.endswith(("running_mean", "running_var")):
            tensor.copy_(torch.rand(tensor.shape, generator=randomness))
    return found


@pytest.fixture(scope="module")
def old(state: State) -> State:
    """Return the same state as torchvision's published file names it: dots, and no batch counters."""
    return {
        re.sub(r"(denselayer\d+\.)(norm|conv)([12])\.", r"\1\2.\3.", name): tensor
        for name, tensor in state.items()
        if not name.endswith("num_batches_tracked")
    }


@pytest.fixture
def network() -> Network:
    return Network("densenet121", {"covid": 1}, seed=7)


def holds(network: Network, state: State) -> bool:
    trunk = network.trunk.state_dict()
    wanted = {
        name.removeprefix("features."): tensor
        for name, tensor in state.items()
        if name.startswith("features.") and not name.endswith("num_batches_tracked")
    }
    assert len(wanted) == 604
    return all(torch.equal(trunk[name], tensor) for name, tensor in wanted.items())


def test_the_published_names_of_old_are_read_from_a_safetensors_file(
    tmp_path: Path, network: Network, state: State, old: State
) -> None:
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    assert "features.denseblock4.denselayer16.conv.2.weight" in old
    save_file({name: tensor.contiguous() for name, tensor in old.items()}, tmp_path / "old.safetensors")
    head = network.heads["covid"].weight.clone()
    assert not holds(network, state)
    Initial("file", tmp_path / "old.safetensors").load(network)
    assert holds(network, state)
    assert torch.equal(network.heads["covid"].weight, head)


def test_today_s_names_are_read_with_and_without_their_prefix(state: State) -> None:
    bare = {name.removeprefix("features."): tensor for name, tensor in state.items()}
    for given in (state, bare):
        network = Network("densenet121", {"covid": 1}, seed=7)
        load_trunk(network, given, "here")
        assert holds(network, state)


def test_a_missing_parameter_is_named_and_nothing_is_loaded(network: Network, state: State) -> None:
    short = {name: tensor for name, tensor in state.items() if "denselayer3.conv2" not in name}
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(TrainingError) as caught:
        load_trunk(network, short, "short.safetensors")
    assert str(caught.value) == (
        "short.safetensors does not hold DenseNet121: 4 parameters are missing, first "
        "'denseblock1.denselayer3.conv2.weight'; give a state dict of torchvision's densenet121"
    )
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_parameter_of_another_shape_is_named_and_nothing_is_loaded(network: Network, state: State) -> None:
    grey = {**state, "features.conv0.weight": state["features.conv0.weight"][:, :1]}
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(TrainingError, match=r"1 have another shape, first 'conv0.weight'"):
        load_trunk(network, grey, "grey.safetensors")
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_file_of_another_network_is_refused(tmp_path: Path, network: Network) -> None:
    save_file({"layer1.weight": torch.zeros(2)}, tmp_path / "resnet.safetensors")
    with pytest.raises(TrainingError, match=r"resnet.safetensors does not hold DenseNet121: 604 parameters"):
        Initial("file", tmp_path / "resnet.safetensors").load(network)


def test_a_missing_file_says_where_to_look(tmp_path: Path, network: Network) -> None:
    missing = Initial("file", tmp_path / "none.safetensors")
    with pytest.raises(TrainingError, match=r"none.safetensors are missing; check \[study\] init"):
        missing.load(network)
    with pytest.raises(TrainingError, match=r"none.safetensors cannot be read: No such file"):
        missing.identity()


def test_a_broken_safetensors_file_is_refused(tmp_path: Path, network: Network) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(TrainingError, match="cannot be read as safetensors"):
        Initial("file", tmp_path / "x.safetensors").load(network)


# -- pickles


class Trap:
    """An object whose pickle makes a file when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.marker,))


def trap(folder: Path) -> tuple[Path, Path]:
    path, marker = folder / "weights.pth", folder / "ran"
    path.write_bytes(pickle.dumps(Trap(marker), protocol=2))
    pickle.loads(path.read_bytes())
    assert marker.exists(), "the trap does not work, so the test would show nothing"
    marker.unlink()
    return path, marker


def test_a_pickle_that_is_not_the_published_file_is_refused_without_being_opened(
    tmp_path: Path, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, marker = trap(tmp_path)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("the file was given to torch.load"))
    with pytest.raises(TrainingError) as caught:
        Initial("file", path).load(network)
    assert "is neither safetensors nor torchvision's published densenet121-a639ec97.pth" in str(caught.value)
    assert "save_file" in str(caught.value)
    assert not marker.exists()


def test_even_under_the_published_hash_a_pickle_runs_nothing(
    tmp_path: Path, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Eight hexadecimal digits can be met by trying.
    path, marker = trap(tmp_path)
    monkeypatch.setattr(initial, "_PUBLISHED_HASH", hashlib.sha256(path.read_bytes()).hexdigest()[:8])
    with pytest.raises(
        TrainingError, match=r"weights.pth cannot be read as densenet121-a639ec97.pth"
    ) as caught:
        Initial("file", path).load(network)
    assert "\n" not in str(caught.value)
    assert not marker.exists()


def test_the_published_file_is_read_from_a_path(
    tmp_path: Path, network: Network, state: State, old: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "renamed.pth"
    torch.save(old, path)
    monkeypatch.setattr(initial, "_PUBLISHED_HASH", hashlib.sha256(path.read_bytes()).hexdigest()[:8])
    Initial("file", path).load(network)
    assert holds(network, state)


# -- torchvision's own


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that torch takes for its cache of downloaded weights."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    "fault",
    [
        URLError("Name or service not known"),
        TimeoutError("timed out"),
        IncompleteRead(b"half"),
        ConnectionResetError(),
    ],
    ids=lambda fault: type(fault).__name__,
)
@pytest.mark.usefixtures("cache")
def test_offline_the_error_says_what_to_do(
    network: Network, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise fault

    monkeypatch.setattr(torch.hub, "urlopen", unreachable)
    with pytest.raises(TrainingError) as caught:
        Initial("imagenet").load(network)
    message = str(caught.value)
    assert message.startswith("torchvision's ImageNet weights could not be had (")
    assert f"fetch {PUBLISHED} on another machine" in message
    assert 'init = { kind = "file", path = "…" }' in message
    assert 'kind = "random"' in message
    assert "\n" not in message


def test_what_is_downloaded_must_have_the_published_hash(
    cache: Path, network: Network, old: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = io.BytesIO()
    torch.save(old, content)

    class Response(io.BytesIO):
        def info(self) -> Message:
            return Message()

    monkeypatch.setattr(torch.hub, "urlopen", lambda *_, **__: Response(content.getvalue()))
    with pytest.raises(TrainingError, match="invalid hash value"):
        Initial("imagenet").load(network)
    assert list(cache.iterdir()) == []


def test_torch_s_cache_is_used(cache: Path, network: Network, state: State, old: State) -> None:
    torch.save(old, cache / PUBLISHED)
    Initial("imagenet").load(network)
    assert holds(network, state)


def test_a_cached_file_that_is_not_what_was_published_is_an_error_and_runs_nothing(
    tmp_path: Path, cache: Path, network: Network
) -> None:
    path, marker = trap(tmp_path)
    path.rename(cache / PUBLISHED)
    with pytest.raises(TrainingError, match="could not be had"):
        Initial("imagenet").load(network)
    assert not marker.exists()


def test_random_parameters_are_those_of_the_network(network: Network) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    Initial("random").load(network)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


# -- identity


def test_the_identity_is_the_content_s_not_the_name_s(tmp_path: Path) -> None:
    one, other = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    one.write_bytes(b"x")
    other.write_bytes(b"x")
    first = Initial("file", one).identity()
    assert first == "file:" + hashlib.sha256(b"x").hexdigest()
    assert Initial("file", other).identity() == first
    other.write_bytes(b"y")
    assert Initial("file", other).identity() != first


def test_random_and_imagenet_are_told_apart() -> None:
    assert Initial("random").identity() == "random"
    assert Initial("imagenet").identity() == f"imagenet:{PUBLISHED}"
