"""What a stage run writes down on the way, which shows at which step two runs part."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from cxrbench.errors import TrainingError
from cxrbench.trace import fingerprints
from cxrbench.trace.records import STEPS, LoadedTrace, Moments, Norms, StageTrace, StepTrace
from cxrbench.training.config import PrecisionChoice
from cxrbench.training.data import DeviceImages, LabelledImages
from cxrbench.training.network import Network
from cxrbench.training.predict import predict_logits

IMAGES = 2
"""How many validation images the network is tried on before its first step: two have a spread."""


class Tracer:
    """Keeps the trace of a run: begun before the first step, or taken up from the trace so far.

    roles: the stage's, whose heads count.
    """

    def __init__(self, roles: Sequence[str], trace: StageTrace) -> None:
        self.roles = roles
        self.trace = trace
        self._parameters: list[Tensor] = []

    @classmethod
    def begin(
        cls,
        network: Network,
        loaded: Mapping[str, Mapping[str, LabelledImages]],
        validation: Mapping[str, DeviceImages],
        precision: PrecisionChoice,
    ) -> Tracer:
        """Return the trace of a network that has taken no step.

        loaded: part -> role -> what is trained and validated on.

        Raises
        ------
        TrainingError: the network's outputs are not finite, or it does not take the images.
        """
        untrained = dict(_untrained(network, validation, precision))
        of_images = {
            role: {part: _loaded(images[role]) for part, images in loaded.items()} for role in untrained
        }
        return cls(list(untrained), StageTrace(of_images, untrained, norms(network, untrained)))

    def step(self, network: Network, loss: Tensor, learning_rate: float) -> None:
        """Write down a step that was just taken, as long as it is one of the first.

        One that is not finite is left out: the loop stops for it.
        """
        if len(self.trace.steps) < STEPS:
            # Walking through the modules takes as long as the norm itself.
            self._parameters = self._parameters or list(network.parameters())
            gradient = norm(p.grad for p in self._parameters if p.grad is not None)
            if math.isfinite(float(loss)) and math.isfinite(gradient):
                taken = StepTrace(float(loss), gradient, learning_rate)
                self.trace = replace(self.trace, steps=(*self.trace.steps, taken))

    def epoch(self, network: Network, kept: bool) -> None:
        """Write down the end of an epoch, and whether it is the one to keep so far."""
        now = norms(network, self.roles)
        self.trace = replace(self.trace, after=now, kept=now if kept else self.trace.kept)


def _untrained(
    network: Network, validation: Mapping[str, DeviceImages], precision: PrecisionChoice
) -> Iterator[tuple[str, Moments]]:
    """Yield each role with the logits that its head gives the first validation images.

    All heads are given the same: every image more through the trunk costs as much as a third of the pass.
    """
    roles = sorted(validation)
    images = validation[roles[0]].pixels[:IMAGES]
    logits = predict_logits(network, images, roles, precision).astype(np.float64)
    if not np.isfinite(logits).all():
        raise TrainingError("the network's outputs are not finite; check what it starts from")
    ends = np.cumsum([validation[role].labels.shape[1] for role in roles])
    for role, own in zip(roles, np.split(logits, ends[:-1], axis=1), strict=True):
        yield role, Moments(float(own.mean()), float(own.std()))


def _loaded(images: LabelledImages) -> LoadedTrace:
    return LoadedTrace(
        len(images),
        fingerprints.digest(fingerprints.of_labels(images.labels)),
        fingerprints.digest(fingerprints.of_pixels(images.pixels)),
    )


class Inputs:
    """What entered a trunk: sums over all values, in float64."""

    def __init__(self) -> None:
        self._count = 0
        self._sum = 0.0
        self._lengths = 0.0

    def see(self, values: Tensor) -> None:
        """Add ``values``, of any shape."""
        exact = values.detach().double()
        self._count += exact.numel()
        self._sum += float(exact.sum())
        self._lengths += float(exact.square().sum())

    def moments(self) -> Moments:
        """Return mean and SD of all that was seen."""
        mean = self._sum / max(self._count, 1)
        return Moments(mean, math.sqrt(max(self._lengths / max(self._count, 1) - mean**2, 0.0)))


@contextmanager
def watched_inputs(network: Network) -> Iterator[Inputs]:
    """Yield the sums of what enters the first layer of ``network`` while the context is open."""
    inputs = Inputs()
    hook = network.trunk.register_forward_pre_hook(lambda _, arguments: inputs.see(arguments[0]))
    try:
        yield inputs
    finally:
        hook.remove()


def norms(network: Network, roles: Iterable[str]) -> Norms:
    """Return the norms of the trunk's parameters and of those of the heads of ``roles``."""
    heads = (parameter for role in roles for parameter in network.heads[role].parameters())
    return Norms(norm(network.trunk.parameters()), norm(heads))


@torch.no_grad()
def norm(tensors: Iterable[Tensor]) -> float:
    """Return the Euclidean norm of all values of ``tensors`` together.

    Each output's values are summed in the tensor's own precision, which takes a quarter of the time that
    float64 takes and rounds by 1e-8; the outputs are summed in float64.
    """
    lengths: list[Tensor] = []
    vectors: list[Tensor] = []
    for tensor in tensors:
        if tensor.ndim > 1:
            lengths.append(torch.linalg.vector_norm(tensor, dim=tuple(range(1, tensor.ndim))))
        else:
            vectors.append(tensor if tensor.ndim else tensor[None])
    if vectors:
        # Two thirds of a network's tensors are short vectors, each of which would cost as much as a long one.
        lengths.append(torch.linalg.vector_norm(torch.cat(vectors))[None])
    return float(torch.linalg.vector_norm(torch.cat(lengths), dtype=torch.float64)) if lengths else 0.0
