"""Where a scheme starts: ImageNet parameters from torchvision, parameters from a file, or random ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import Literal
from urllib.error import URLError

import torch
from torch import Tensor
from torchvision.models import DenseNet121_Weights

from cxrbench.errors import TrainingError
from cxrbench.files import file_sha256
from cxrbench.text import complaint
from cxrbench.training.checkpoints import load_tensors
from cxrbench.training.network import Network

_WEIGHTS = DenseNet121_Weights.IMAGENET1K_V1
_PUBLISHED_NAME = _WEIGHTS.url.rsplit("/", 1)[-1]
# torchvision's published file names carry the first digits of the file's own SHA-256.
_PUBLISHED_HASH = _PUBLISHED_NAME.removesuffix(".pth").rsplit("-", 1)[-1]
# Names in torchvision's published DenseNet files have a dot ("norm.1") where today's modules have none.
_OLD_NAME = re.compile(
    r"^(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\.(?:weight|bias|running_mean|running_var))$"
)


@dataclass(frozen=True)
class Initial:
    """The initial parameters of a study.

    ``kind`` is ``"random"``, ``"imagenet"`` (torchvision's weights, downloaded once into torch's cache) or
    ``"file"`` (``path``: a safetensors file, or torchvision's own published .pth file).
    """

    kind: Literal["random", "imagenet", "file"]
    path: Path | None = None

    def identity(self) -> str:
        """Return what tells these parameters from others: a hash of the file, or the published name."""
        if self.kind == "file":
            assert self.path is not None
            return f"file:{_sha256(self.path)}"
        return self.kind if self.kind == "random" else f"imagenet:{_PUBLISHED_NAME}"

    def load(self, network: Network) -> None:
        """Put the parameters into ``network``'s trunk; random ones are there already.

        Raises
        ------
        TrainingError: the weights cannot be downloaded, or the file is missing or not DenseNet121's.
        """
        if self.kind == "random":
            return
        if self.kind == "imagenet":
            load_trunk(network, _published(), _PUBLISHED_NAME)
        else:
            assert self.path is not None
            load_trunk(network, _from_file(self.path), str(self.path))


def load_trunk(network: Network, state: dict[str, Tensor], source: str) -> None:
    """Load DenseNet121 parameters under torchvision's names, old or new, into ``network``'s trunk.

    The classifier is left out: it is ImageNet's. ``features.`` in front of the names may be there or not.

    Raises
    ------
    TrainingError: parameters are missing or have another shape, so that no trunk is left partly random.
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        bare = name.removeprefix("features.")
        if not bare.startswith("classifier."):
            renamed[_OLD_NAME.sub(r"\1\2", bare)] = tensor
    wanted = network.trunk.state_dict()
    # torchvision's published file is older than this counter; it plays no part in what the network computes.
    needed = [name for name in wanted if not name.endswith("num_batches_tracked")]
    missing = [name for name in needed if name not in renamed]
    shapes = [name for name in needed if name in renamed and renamed[name].shape != wanted[name].shape]
    if missing or shapes:
        what = f"{len(missing)} parameters are missing" if missing else f"{len(shapes)} have another shape"
        raise TrainingError(
            f"{source} does not hold DenseNet121: {what}, first {(missing or shapes)[0]!r}; "
            "give a state dict of torchvision's densenet121"
        )
    network.trunk.load_state_dict({name: renamed[name] for name in needed}, strict=False)


def _published() -> dict[str, Tensor]:
    try:
        # check_hash and weights_only: what is downloaded is what was published, and holds only tensors.
        state = _WEIGHTS.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (URLError, OSError, HTTPException, RuntimeError, UnpicklingError, EOFError) as error:
        # The last two come from a file in torch's cache that is not what was published.
        raise TrainingError(
            f"torchvision's ImageNet weights could not be had ({complaint(error)}). Offline, fetch "
            f"{_PUBLISHED_NAME} on another machine and name it in the profile: "
            'init = { kind = "file", path = "…" }; or set init = { kind = "random" }'
        ) from None
    return dict(state)


def _from_file(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise TrainingError(f"initial parameters {path} are missing; check [study] init in the profile")
    if path.suffix == ".safetensors":
        return load_tensors(path)[0]
    # A .pth file is a pickle. Only the file that torchvision publishes is read, told by its hash.
    if not _sha256(path).startswith(_PUBLISHED_HASH):
        raise TrainingError(
            f"{path} is neither safetensors nor torchvision's published {_PUBLISHED_NAME}; cxrbench "
            "unpickles nobody's files: save the state dict with safetensors.torch.save_file and name that"
        )
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise TrainingError(f"{path} cannot be read as {_PUBLISHED_NAME}: {complaint(error)}") from None


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise TrainingError(f"initial parameters {path} cannot be read: {error.strerror}") from None
