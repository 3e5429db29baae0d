"""Where a scheme starts: published ImageNet parameters, parameters from a file, or random ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import Literal
from urllib.error import URLError

import torch
from safetensors import SafetensorError
from torch import Tensor

from cxrbench.errors import TrainingError
from cxrbench.files import file_sha256
from cxrbench.text import complaint
from cxrbench.training.checkpoints import read_safetensors
from cxrbench.training.chest import as_published
from cxrbench.training.network import Network
from cxrbench.training.networks import Architecture, Published, architecture


@dataclass(frozen=True)
class Initial:
    """The initial parameters of a study.

    ``kind`` is ``"random"`` (with ``seed`` one trunk for every stage, else each stage's own), ``"imagenet"``
    (published, downloaded once into the publisher's cache) or ``"file"`` (``path``: a safetensors file, or
    the published file itself).
    """

    kind: Literal["random", "imagenet", "file"]
    path: Path | None = None
    seed: int | None = None

    def identity(self, network: str) -> str:
        """Return what identifies these parameters of ``network``: a hash, or the published name.

        Raises
        ------
        TrainingError: the file is missing, or the network has no published parameters.
        """
        if self.kind == "random":
            return self.kind if self.seed is None else f"random:{self.seed}"
        if self.kind == "file":
            assert self.path is not None
            return f"file:{_sha256(self.path)}"
        published = _published(architecture(network))
        # A name with a hash in it says what is in the file.
        return f"imagenet:{published.name if published.sha256 else _sha256(_fetched(published))}"

    def load(self, network: Network) -> None:
        """Put the parameters into ``network``'s trunk; random ones without a seed are there already.

        Raises
        ------
        TrainingError: the parameters cannot be downloaded, or the file is missing or not this network's.
        """
        if self.kind == "random":
            if self.seed is not None:
                drawn = Network(network.architecture, {}, self.seed)
                network.trunk.load_state_dict(drawn.trunk.state_dict())
            return
        if self.kind == "imagenet":
            published = _published(network.architecture)
            load_trunk(network, _read(_fetched(published), published), published.name)
        else:
            assert self.path is not None
            state = _read(self.path, network.architecture.published)
            load_trunk(network, as_published(state, network, str(self.path)), str(self.path))


def load_trunk(network: Network, state: Mapping[str, Tensor], source: str) -> None:
    """Load parameters under their published names, or the trunk's own, into ``network``'s trunk.

    What else is in ``state`` is left out: the classifier is ImageNet's.

    Raises
    ------
    TrainingError: parameters are missing or have another shape, so that no trunk is left partly random.
    """
    kind = network.architecture
    renamed = {kind.renamed(name): tensor for name, tensor in state.items()}
    wanted = network.trunk.state_dict()
    # Some published files are older than this counter; it plays no part in what the network computes.
    needed = [name for name in wanted if not name.endswith("num_batches_tracked")]
    missing = [name for name in needed if name not in renamed]
    shapes = [name for name in needed if name in renamed and renamed[name].shape != wanted[name].shape]
    if missing or shapes:
        what = f"{len(missing)} parameters are missing" if missing else f"{len(shapes)} have another shape"
        raise TrainingError(
            f"{source} does not hold {kind.title}: {what}, first {(missing or shapes)[0]!r}; "
            f"give a state dict of {kind.name}"
        )
    network.trunk.load_state_dict({name: renamed[name] for name in needed}, strict=False)


def _published(kind: Architecture) -> Published:
    if kind.published is None:
        raise TrainingError(
            f"no ImageNet parameters are published for network {kind.name!r}; set "
            'init = { kind = "random" }, or name a file: init = { kind = "file", path = "…" }'
        )
    return kind.published


def _fetched(published: Published) -> Path:
    try:
        return published.fetch()
    except (URLError, OSError, HTTPException, RuntimeError) as error:
        raise TrainingError(
            f"the ImageNet parameters {published.name} could not be downloaded ({complaint(error)}). "
            "Offline, fetch that file on another machine and name it in the profile: "
            'init = { kind = "file", path = "…" }; or set init = { kind = "random" }'
        ) from None


def _read(path: Path, published: Published | None) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise TrainingError(f"initial parameters {path} are missing; check [study] init in the profile")
    if path.suffix == ".safetensors":
        try:
            return read_safetensors(path.read_bytes())[0]
        except (SafetensorError, OSError) as error:
            raise TrainingError(
                f"initial parameters {path} cannot be read as safetensors ({complaint(error)}); check "
                "[study] init in the profile"
            ) from None
    # A .pth file is a pickle. Only the file that the network's publisher gives is read; its hash shows it.
    trusted = published is not None and published.sha256 and _sha256(path).startswith(published.sha256)
    if published is None or not trusted:
        or_published = f" nor the published {published.name}" if published and published.sha256 else ""
        raise TrainingError(
            f"{path} is {'neither' if or_published else 'not'} safetensors{or_published}; cxrbench unpickles "
            "nobody's files: save the state dict with safetensors.torch.save_file and name that"
        )
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise TrainingError(f"{path} cannot be read as {published.name}: {complaint(error)}") from None


def _sha256(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise TrainingError(f"initial parameters {path} are not a file; check [study] init in the profile")
    try:
        return file_sha256(path)
    except OSError as error:
        raise TrainingError(f"initial parameters {path} cannot be read: {error.strerror}") from None
