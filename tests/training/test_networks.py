"""Networks by name: torchvision's, timm's, a user's own; and one added as the docs say."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
import torchvision

from cxrbench.errors import TrainingError
from cxrbench.training.network import Network, check_network
from cxrbench.training.networks import DEFAULT, architecture
from cxrbench.training.seeds import generator

DOCS = Path(__file__).parents[2] / "docs" / "networks.md"


def images(count: int, size: int = 64) -> torch.Tensor:
    return torch.rand(count, 1, size, size, generator=generator(0, "images"))


# -- torchvision's


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "resnet50",
        "efficientnet_b0",
        "mobilenet_v3_small",
        "convnext_tiny",
        "regnet_y_400mf",
        "shufflenet_v2_x0_5",
    ],
)
def test_a_classifier_s_head_is_taken_off_and_nothing_else(name: str) -> None:
    network = Network(name, {"covid": 1}, seed=0).eval()
    reference = torchvision.models.get_model(name, weights=None).eval()
    # The last layer's weight and bias are the classifier's.
    names = list(reference.state_dict())[:-2]
    assert list(network.trunk.state_dict()) == names
    reference.load_state_dict(network.trunk.state_dict(), strict=False)
    last = [module for module in reference.modules() if isinstance(module, torch.nn.Linear)][-1]
    seen = []
    last.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    size = architecture(name).smallest
    with torch.no_grad():
        features = network.features(images(2, size))
        reference((images(2, size) - network.mean) / network.std)
    assert features.shape == (2, last.in_features)
    # The same numbers in another memory layout: the rest is float32's rounding.
    assert float((features - seen[0]).abs().max()) < 1e-3 * float(seen[0].std())


def test_mean_sd_smallest_image_and_published_file_are_torchvision_s() -> None:
    resnet, swin = architecture("resnet18"), architecture("swin_v2_t")
    assert (resnet.title, resnet.smallest, swin.smallest) == ("ResNet18", 32, 256)
    assert resnet.mean == (0.485, 0.456, 0.406)
    assert resnet.std == (0.229, 0.224, 0.225)
    assert resnet.published is not None
    assert (resnet.published.name, resnet.published.sha256) == ("resnet18-f37072fd.pth", "f37072fd")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("resnet19", r"no network 'resnet19'; did you mean 'resnet18'\?"),
        ("", "no network ''"),
        ("squeezenet1_0", r"'squeezenet1_0' does not end in a linear layer .* classifier.1 \(Conv2d\)"),
        ("vit_b_32", "ViT_B_32 needs images of 224 px or more, not 64"),
        ("timm:resnt18", r"timm .* has no model 'resnt18'; did you mean 'resnet18'\?"),
        ("no.such.module:trunk", r"cannot be made \(No module named 'no'\)"),
        ("math:trunk", r"cannot be made \(module 'math' has no attribute 'trunk'\)"),
        ("math:pi", "cannot be made"),
    ],
)
def test_a_name_that_is_no_network_for_these_images_is_refused_in_one_line(name: str, what: str) -> None:
    with pytest.raises(TrainingError, match=what) as caught:
        check_network(name, 64)
    assert "\n" not in str(caught.value)


def test_a_size_that_only_the_trunk_itself_refuses_is_refused_before_anything_else() -> None:
    with pytest.raises(TrainingError, match=r"'vit_b_32' does not take images of 256 px \(Wrong image"):
        check_network("vit_b_32", 256)


def test_a_check_leaves_the_global_random_state(easy: object) -> None:  # noqa: ARG001
    before = torch.get_rng_state()
    check_network("easy_stage:dropping", 64)
    assert torch.equal(torch.get_rng_state(), before)


# -- timm's


def test_a_timm_network_has_timm_s_constants_and_its_version_in_the_key() -> None:
    timm = pytest.importorskip("timm")
    kind = architecture("timm:test_resnet")
    assert kind.mean == timm.get_pretrained_cfg("test_resnet").mean == (0.5, 0.5, 0.5)
    assert kind.std == timm.get_pretrained_cfg("test_resnet").std == (0.5, 0.5, 0.5)
    assert kind.identity == f"timm:test_resnet timm {timm.__version__}"
    network = Network("timm:test_resnet", {"covid": 2}, seed=0)
    assert network(images(3), ["covid"]).shape == (3, 2)


def test_a_layer_of_timm_s_between_pooling_and_classifier_stays() -> None:
    pytest.importorskip("timm")
    network = Network("timm:mobilenetv3_small_100", {"covid": 1}, seed=0)
    assert network.width == network.trunk.head_hidden_size != network.trunk.num_features
    assert network(images(2), ["covid"]).shape == (2, 1)


def test_without_timm_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(TrainingError, match=r"needs timm, .*pip install 'cxrbench\[timm\]'"):
        architecture.__wrapped__("timm:resnet18")


# -- a user's own


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder whose modules can be imported, and are forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    known = set(sys.modules)
    architecture.cache_clear()
    yield tmp_path
    architecture.cache_clear()
    for name in set(sys.modules) - known:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in sys.modules[name].__file__:
            del sys.modules[name]


def test_the_network_of_the_docs_is_added_as_the_docs_say(own: Path) -> None:
    """The page's module is written to a file, and its profile's line names it."""
    module, profile = re.findall(r"```(?:python|toml)\n(.*?)```", DOCS.read_text(), re.DOTALL)[:2]
    name = re.search(r'network = "(\w+):(\w+)"', profile)
    assert name is not None
    (own / f"{name[1]}.py").write_text(module)
    check_network(f"{name[1]}:{name[2]}", 64)
    network = Network(f"{name[1]}:{name[2]}", {"covid": 1, "findings": 3}, seed=0)
    assert network(images(2), ["findings", "covid"]).shape == (2, 4)
    assert len(module.strip().splitlines()) <= 15


TRUNK = """
import torch
from torch import nn

def trunk():
    made = nn.Sequential(nn.Conv2d(3, {features}, 3, stride=8), nn.ReLU())
    made.num_features = 4
    return made

def nameless():
    return nn.Conv2d(3, 4, 3)

def number():
    return 7

def broken():
    raise RuntimeError("not today\\nnor tomorrow")
"""


def test_a_user_s_source_is_in_the_key(own: Path) -> None:
    (own / "mine").mkdir()
    (own / "mine" / "__init__.py").write_text("")
    (own / "mine" / "net.py").write_text(TRUNK.format(features=4))
    first = architecture("mine.net:trunk").identity
    assert first.startswith("mine.net:trunk source ")
    assert architecture("mine.net:trunk").identity == first
    # Another module of the package may hold the layers.
    (own / "mine" / "layers.py").write_text("depth = 3\n")
    architecture.cache_clear()
    assert architecture("mine.net:trunk").identity != first


@pytest.mark.parametrize(
    ("features", "function", "what"),
    [
        (4, "nameless", "nameless must return an Architecture, or a trunk that says .* num_features"),
        (4, "number", "number must return an Architecture"),
        (4, "broken", r"cannot be made \(not today nor tomorrow\)"),
        (5, "trunk", r"must return \(n, 4\) or maps \(n, 4, height, width\), not \(2, 5, 8, 8\)"),
    ],
)
def test_a_function_that_breaks_its_contract_is_refused_in_one_line(
    own: Path, features: int, function: str, what: str
) -> None:
    (own / "wrong.py").write_text(TRUNK.format(features=features))
    with pytest.raises(TrainingError, match=what) as caught:
        check_network(f"wrong:{function}", 64)
    assert "\n" not in str(caught.value)


def test_a_user_s_trunk_is_drawn_from_the_seed(own: Path) -> None:
    (own / "drawn.py").write_text(TRUNK.format(features=4))
    before = torch.get_rng_state()
    weights = [Network("drawn:trunk", {"a": 1}, seed=seed).trunk[0].weight for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_the_default_is_densenet121() -> None:
    assert DEFAULT == "densenet121"
    assert architecture(DEFAULT).identity == "densenet121"
