"""Initial parameters: torchvision's names old and new, and nobody's pickles."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import re
from dataclasses import replace
from email.message import Message
from http.client import IncompleteRead
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

from cxrbench.errors import TrainingError
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


def trusting(network: Network, path: Path) -> Network:
    """Return ``network`` as if what lies at ``path`` had been published."""
    published = network.architecture.published
    assert published is not None
    known = replace(published, sha256=hashlib.sha256(path.read_bytes()).hexdigest()[:8])
    network.architecture = replace(network.architecture, published=known)
    return network


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
        "'denseblock1.denselayer3.conv2.weight'; give a state dict of densenet121"
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
        missing.identity("densenet121")


def test_what_is_no_file_is_never_read(tmp_path: Path, network: Network) -> None:
    pipe = tmp_path / "pipe.safetensors"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(TrainingError, match=r"are not a file; check \[study\] init"):
            Initial("file", path).identity("densenet121")
        with pytest.raises(TrainingError, match=r"are missing; check \[study\] init"):
            Initial("file", path).load(network)


def test_a_broken_safetensors_file_is_refused(tmp_path: Path, network: Network) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(
        TrainingError, match=r"cannot be read as safetensors .*; check \[study\] init"
    ) as caught:
        Initial("file", tmp_path / "x.safetensors").load(network)
    assert "train the stage again" not in str(caught.value), "it is the user's own file"


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
    assert "is neither safetensors nor the published densenet121-a639ec97.pth" in str(caught.value)
    assert "save_file" in str(caught.value)
    assert not marker.exists()


def test_even_under_the_published_hash_a_pickle_runs_nothing(tmp_path: Path, network: Network) -> None:
    # Eight hexadecimal digits can be met by trying.
    path, marker = trap(tmp_path)
    with pytest.raises(
        TrainingError, match=r"weights.pth cannot be read as densenet121-a639ec97.pth"
    ) as caught:
        Initial("file", path).load(trusting(network, path))
    assert "\n" not in str(caught.value)
    assert not marker.exists()


def test_the_published_file_is_read_from_a_path(
    tmp_path: Path, network: Network, state: State, old: State
) -> None:
    path = tmp_path / "renamed.pth"
    torch.save(old, path)
    Initial("file", path).load(trusting(network, path))
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
    assert message.startswith(f"the ImageNet parameters {PUBLISHED} could not be downloaded (")
    assert "fetch that file on another machine" in message
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
    Initial("imagenet").load(trusting(network, cache / PUBLISHED))
    assert holds(network, state)


def test_a_file_in_torch_s_cache_is_read_only_with_its_hash(
    cache: Path, network: Network, old: State
) -> None:
    torch.save(old, cache / PUBLISHED)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(TrainingError, match="unpickles nobody's files"):
        Initial("imagenet").load(network)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_cached_file_that_is_not_what_was_published_is_an_error_and_runs_nothing(
    tmp_path: Path, cache: Path, network: Network
) -> None:
    path, marker = trap(tmp_path)
    path.rename(cache / PUBLISHED)
    for trusted in (network, trusting(network, cache / PUBLISHED)):
        with pytest.raises(TrainingError):
            Initial("imagenet").load(trusted)
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
    first = Initial("file", one).identity("densenet121")
    assert first == "file:" + hashlib.sha256(b"x").hexdigest()
    assert Initial("file", other).identity("densenet121") == first
    other.write_bytes(b"y")
    assert Initial("file", other).identity("densenet121") != first


def test_random_and_imagenet_are_distinguished() -> None:
    assert Initial("random").identity("densenet121") == "random"
    assert Initial("imagenet").identity("densenet121") == f"imagenet:{PUBLISHED}"


# -- other networks


def test_a_network_of_another_name_has_its_own_published_file() -> None:
    assert Initial("imagenet").identity("resnet18") == "imagenet:resnet18-f37072fd.pth"
    assert Initial("imagenet").identity("resnet50") != Initial("imagenet").identity("resnet18")


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_a_torchvision_network_takes_torchvision_s_state_without_its_head(tmp_path: Path, name: str) -> None:
    published: State = torchvision.models.get_model(name, weights=None).state_dict()
    save_file(published, tmp_path / "published.safetensors")
    network = Network(name, {"covid": 1}, seed=7)
    Initial("file", tmp_path / "published.safetensors").load(network)
    trunk = network.trunk.state_dict()
    assert set(published) - set(trunk) == {list(published)[-2], list(published)[-1]}, "more than the head"
    assert all(torch.equal(tensor, published[key]) for key, tensor in trunk.items())


def test_a_densenet_s_file_does_not_fit_a_resnet(tmp_path: Path, state: State) -> None:
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, tmp_path / "x.safetensors")
    with pytest.raises(
        TrainingError, match=r"x.safetensors does not hold ResNet18: .* state dict of resnet18"
    ):
        Initial("file", tmp_path / "x.safetensors").load(Network("resnet18", {"covid": 1}, seed=7))


def test_a_network_without_published_parameters_says_so(easy: ModuleType) -> None:
    network = Network(easy.TINY, {"covid": 1}, seed=0)
    for ask in (lambda: Initial("imagenet").load(network), lambda: Initial("imagenet").identity(easy.TINY)):
        with pytest.raises(
            TrainingError, match=r"no ImageNet parameters are published for network 'easy_stage"
        ):
            ask()


def test_timm_s_parameters_are_identified_by_their_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timm, hub = pytest.importorskip("timm"), pytest.importorskip("huggingface_hub")
    published = timm.create_model("test_resnet").state_dict()
    path = tmp_path / "model.safetensors"
    save_file(published, path)
    asked = []
    monkeypatch.setattr(hub, "hf_hub_download", lambda *place: asked.append(place) or str(path))
    network = Network("timm:test_resnet", {"covid": 1}, seed=7)
    Initial("imagenet").load(network)
    assert all(torch.equal(t, published[key]) for key, t in network.trunk.state_dict().items())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert Initial("imagenet").identity("timm:test_resnet") == f"imagenet:{digest}"
    assert {len(place) for place in asked} == {2}
    assert asked[0][0].startswith("timm/test_resnet")


def test_a_random_trunk_with_a_seed_of_its_own_is_the_same_whatever_the_networks() -> None:
    trunks = []
    for seed in (1, 2):
        network = Network("resnet18", {"covid": 1}, seed)
        before = network.trunk.state_dict()["conv1.weight"].clone()
        Initial("random", seed=9).load(network)
        trunks.append(network.trunk.state_dict())
        assert not torch.equal(trunks[-1]["conv1.weight"], before)
    assert all(torch.equal(trunks[0][name], trunks[1][name]) for name in trunks[0])
    assert Initial("random", seed=9).identity("resnet18") == "random:9"
