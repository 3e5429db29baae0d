"""Networks by name: what makes a trunk, what its inputs are normalised by, which parameters are published.

    densenet121         a classifier of torchvision's, by its name there
    timm:resnet18       one of timm's, where timm is installed
    package.module:f    a user's own: what the function f returns

A trunk is a module that takes (n, 3, height, width) float images, normalised, and returns (n, features) or
maps (n, features, height, width), which are then averaged in float32.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cxrbench.errors import TrainingError
from cxrbench.files import source_digest
from cxrbench.text import complaint, did_you_mean
from cxrbench.training.densenet import densenet_trunk
from cxrbench.training.vision import torchvision

DEFAULT = "densenet121"

_TIMM = "timm:"
_CLASSES = 1000
# Names in torchvision's published DenseNet files have a dot ("norm.1") where today's modules have none.
_DENSENET_NAME = re.compile(
    r"^(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\.(?:weight|bias|running_mean|running_var))$"
)


@dataclass(frozen=True)
class Published:
    """Parameters that were trained on ImageNet and published in a file.

    name: of the file, for messages and keys.
    fetch: returns the file's path; downloads it where it is not in the publisher's cache.
    sha256: the first digits of its hash, where the publisher gives them; a .pth file is read only with them.
    """

    name: str
    fetch: Callable[[], Path]
    sha256: str = ""


@dataclass(frozen=True)
class Architecture:
    """A network without its heads.

    name: as a profile has it. title: as a message has it.
    make: returns a new trunk with random parameters from torch's global generator, and its features' number.
    smallest: the smallest side of an image, px.
    mean, std: of the three channels, that a grey image in [0, 1] is normalised by.
    renamed: turns the name of a published parameter into the trunk's.
    version: what a result depends on besides the name: the library's version, or a digest of the source.
    """

    name: str
    title: str
    make: Callable[[], tuple[nn.Module, int]]
    smallest: int = 32
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    published: Published | None = None
    renamed: Callable[[str], str] = lambda name: name
    version: str = ""

    @property
    def identity(self) -> str:
        """What identifies this network in a stage's key."""
        return f"{self.name} {self.version}".strip()


@cache
def architecture(name: str) -> Architecture:
    """Return the network called ``name``.

    Raises
    ------
    TrainingError: there is none, timm is not installed, or a user's function cannot be had or breaks its
        contract.
    """
    if name.startswith(_TIMM):
        return _timm(name)
    if ":" in name:
        return _own(name)
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise TrainingError(
            f"no network {name!r}{did_you_mean(name, known)} (give a classifier of torchvision's by its name "
            "there, timm:NAME, or your own module:function)"
        )
    return _torchvision(name)


def _torchvision(name: str) -> Architecture:
    builder = torchvision.models.get_model_builder(name)
    weights = torchvision.models.get_model_weights(name).DEFAULT
    preset = weights.transforms()
    file = weights.url.rsplit("/", 1)[-1]
    # torchvision's published file names carry the first digits of the file's own SHA-256.
    sha256 = file.removesuffix(".pth").rsplit("-", 1)[-1]

    def make() -> tuple[nn.Module, int]:
        model = builder(weights=None)
        if isinstance(model, torchvision.models.DenseNet):
            return densenet_trunk(model), model.classifier.in_features
        return _without_last_layer(model, name)

    def fetch() -> Path:
        path: Path = Path(torch.hub.get_dir()) / "checkpoints" / file
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(weights.url, str(path), hash_prefix=sha256, progress=False)
        return path

    densenet = name.startswith("densenet")
    return Architecture(
        name=name,
        title=type(weights).__name__.removesuffix("_Weights"),
        make=make,
        smallest=max(32, *weights.meta["min_size"]),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        published=Published(file, fetch, sha256),
        renamed=_densenet_name if densenet else lambda published: published,
    )


def _densenet_name(published: str) -> str:
    return _DENSENET_NAME.sub(r"\1\2", published.removeprefix("features."))


class _MeanFloat32(nn.Module):
    """Averages maps in float32: half precision would round what the heads rank by."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.float().mean(dim=(2, 3), keepdim=True)


def _without_last_layer(model: nn.Module, name: str) -> tuple[nn.Module, int]:
    """Return ``model`` without its last layer, and that one's inputs; raises as :func:`last_linear`."""
    place, last = last_linear(model, name)
    model.set_submodule(place, nn.Identity())
    pooling = getattr(model, "avgpool", None)
    if isinstance(pooling, nn.AdaptiveAvgPool2d) and pooling.output_size in (1, (1, 1)):
        model.set_submodule("avgpool", _MeanFloat32())
    return model, last.in_features


def last_linear(model: nn.Module, name: str) -> tuple[str, nn.Linear]:
    """Return the name and the last layer of torchvision's ``model``, linear on ImageNet's classes.

    Raises
    ------
    TrainingError: the last layer is another.
    """
    layers = {place: m for place, m in model.named_modules() if list(m.parameters(recurse=False))}
    place, last = list(layers.items())[-1]
    if not isinstance(last, nn.Linear) or last.out_features != _CLASSES:
        raise TrainingError(
            f"network {name!r} does not end in a linear layer on {_CLASSES} classes but in {place} "
            f"({type(last).__name__}), so that its head cannot be taken off; choose another, or give "
            "a trunk of your own as module:function"
        )
    return place, last


def _timm(name: str) -> Architecture:
    try:
        import timm
    except ImportError:
        raise TrainingError(
            f"network {name!r} needs timm, which is not installed: pip install 'cxrbench[timm]'"
        ) from None
    bare = name.removeprefix(_TIMM)
    config = timm.get_pretrained_cfg(bare) if timm.is_model(bare) else None
    if config is None:
        known = timm.list_models()
        raise TrainingError(f"timm {timm.__version__} has no model {bare!r}{did_you_mean(bare, known)}")

    def make() -> tuple[nn.Module, int]:
        model = timm.create_model(bare, pretrained=False, num_classes=0)
        # Some have a layer between the pooled maps and the classifier; it stays.
        features: Any = getattr(model, "head_hidden_size", None) or model.num_features
        return model, int(features)

    published = None
    if config.hf_hub_id:
        place = config.hf_hub_id, config.hf_hub_filename or "model.safetensors"
        published = Published("/".join(place), lambda: _from_hub(*place))
    sizes = (config.input_size if config.fixed_input_size else config.min_input_size) or (32,)
    return Architecture(
        name=name,
        title=name,
        make=make,
        smallest=max(32, sizes[-1]),
        mean=tuple(config.mean),
        std=tuple(config.std),
        published=published,
        version=f"timm {version('timm')}",
    )


def _from_hub(repository: str, file: str) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(repository, file))


def _own(name: str) -> Architecture:
    module, _, function = name.partition(":")
    try:
        make = getattr(importlib.import_module(module), function)
        # Everything below its package counts, since a trunk is seldom made of one module alone.
        source = source_digest(module.partition(".")[0])
        with torch.random.fork_rng(devices=[]):
            made = make()
    except Exception as error:
        raise TrainingError(
            f"network {name!r} cannot be made ({complaint(error)}); give the function of a module "
            "that Python can import"
        ) from None
    if isinstance(made, nn.Module):

        def trunk() -> tuple[nn.Module, int]:
            new = make()
            return new, new.num_features

        made = (
            Architecture(name, name, trunk) if isinstance(getattr(made, "num_features", None), int) else None
        )
    if not isinstance(made, Architecture):
        raise TrainingError(
            f"network {name!r}: {function} must return an Architecture, or a trunk that says the number of "
            "its features as num_features"
        )
    return replace(made, name=name, version=f"source {source}")
