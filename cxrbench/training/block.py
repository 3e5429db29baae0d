"""A dense block that moves few bytes: torchvision's function and state dict, for a GPU, where bytes are time.

In torchvision's block every layer joins, normalises and rectifies all earlier maps anew: eight or nine passes
over them, where one is needed. Here

* the maps of a block lie in one buffer, and each layer writes its own behind those that are there;
* mean and variance of a map are computed once, where it is made, and serve every later layer;
* normalisation and ReLU are the beginning of the 1x1 convolution, which is a product of matrices;
* on the way back, what the statistics pass to a map is added up over its later layers, as two numbers per
  channel, and applied once.

The mathematics is that of Huang et al. 2017 (DenseNet) and Ioffe & Szegedy 2015 (the backward pass of batch
normalisation), exact; only the order of sums differs. What touches the maps is :class:`Operations`, on a GPU
the kernels of :mod:`~cxrbench.training.kernels`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cxrbench.training.vision import DenseBlock

NARROW, GROWTH = 128, 32
"""Channels between a layer's two convolutions, and of its own map: those of densenet121, 169 and 201."""


Size = tuple[int, int, int]
"""Images, and their height and width in pixels."""


class Norm(NamedTuple):
    """A normalisation: (channels,) float32 each. It multiplies by ``weight`` over the standard deviation."""

    mean: Tensor
    variance: Tensor
    weight: Tensor
    bias: Tensor
    eps: float


class Operations(Protocol):
    """What is done with maps, each (pixels, channels): the pixels of all images one after another.

    Of a map in the buffer the rows lie further apart than its channels.
    """

    def copy(self, source: Tensor, target: Tensor, mean: Tensor, variance: Tensor) -> None:
        """Copy maps, and write down each channel's mean and variance (with n below it)."""

    def narrow(self, maps: Tensor, norm: Norm, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Normalise, rectify, multiply by ``weight`` (outputs, channels); also return mean and variance."""

    def narrow_normal(self, maps: Tensor, norm: Norm, weight: Tensor, after: Norm) -> Tensor:
        """Do the same, and normalise by ``after`` and rectify what comes out."""

    def normal(self, maps: Tensor, norm: Norm) -> Tensor:
        """Normalise and rectify."""

    def normal_back(self, gradient: Tensor, maps: Tensor, norm: Norm) -> tuple[Tensor, Tensor]:
        """Return the gradient before :meth:`normal`, and the gradients (2, channels) of bias and weight."""

    def narrow_back(
        self, gradient: Tensor, maps: Tensor, norm: Norm, weight: Tensor, total: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Go back through :meth:`narrow` but for the statistics, and add the maps' gradient to ``total``.

        Return the gradients of ``weight``, float32, and (2, channels) of the norm's bias and weight.
        """

    def pool(self, maps: Tensor, norm: Norm, size: Size) -> Tensor:
        """Normalise, rectify, and average two by two pixels of images of ``size``; odd ones are left out."""

    def pool_back(self, gradient: Tensor, maps: Tensor, norm: Norm, size: Size, total: Tensor) -> Tensor:
        """Go back through :meth:`pool` but for the statistics, and write the maps' gradient into ``total``.

        Return the gradients (2, channels) of bias and weight.
        """

    def settle(
        self, total: Tensor, maps: Tensor, mean: Tensor, variance: Tensor, eps: float, passed: Tensor
    ) -> Tensor:
        """Return ``total`` less what the statistics pass on.

        passed: (2, channels), the mean gradients of the later norms' biases and weights, each times its
        norm's weight, added up.
        """


def lean(block: nn.Module) -> bool:
    """Return whether ``block`` is a dense block of the kind that :class:`Operations` is made for."""
    layers: list[Any] = list(block.children()) if isinstance(block, DenseBlock) else []
    return bool(layers) and all(
        layer.conv1.weight.shape[0] == NARROW
        and layer.conv2.weight.shape[0] == GROWTH
        and not layer.drop_rate
        and layer.norm1.eps == layer.norm2.eps == layers[0].norm1.eps
        for layer in layers
    )


def through(block: DenseBlock, norm: nn.BatchNorm2d | None, first: Tensor, by: Operations) -> Tensor:
    """Return what ``block`` makes of ``first``, and move its running statistics in training.

    norm: of the transition behind it; with one, the maps come back normalised, rectified and averaged over
    two by two pixels.
    """
    layers: list[Any] = list(block.children())
    kind = first.device.type
    precise = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else first.dtype
    first = first.to(precise).contiguous(memory_format=torch.channels_last)
    with torch.autocast(kind, enabled=False):
        if not block.training:
            return _predicted(layers, norm, first, by)
        parameters = [
            p
            for layer in layers
            for normal, conv in ((layer.norm1, layer.conv1), (layer.norm2, layer.conv2))
            for p in (normal.weight, normal.bias, conv.weight)
        ]
        behind = (None, None) if norm is None else (norm.weight, norm.bias)
        eps = layers[0].norm1.eps
        out, mean, variance, means, variances = _Trained.apply(by, eps, first, *behind, *parameters)
        with torch.no_grad():
            count = first.numel() // first.shape[1]
            wide = [layer.norm1 for layer in layers] + ([] if norm is None else [norm])
            sizes = [len(one.bias) for one in wide]
            _move(wide, [mean[:size] for size in sizes], [variance[:size] for size in sizes], count)
            _move([layer.norm2 for layer in layers], list(means), list(variances), count)
        return cast(Tensor, out)


def _move(norms: Sequence[nn.BatchNorm2d], means: list[Tensor], variances: list[Tensor], count: int) -> None:
    """Move running statistics as torch's do, whose variance has n - 1 below it."""
    momentum = norms[0].momentum or 0.0
    unbiased = torch._foreach_mul(variances, count / max(1, count - 1))
    torch._foreach_lerp_([_known(norm.running_mean) for norm in norms], means, momentum)
    torch._foreach_lerp_([_known(norm.running_var) for norm in norms], list(unbiased), momentum)
    torch._foreach_add_([_known(norm.num_batches_tracked) for norm in norms], 1)


def _known(value: Tensor | None) -> Tensor:
    assert value is not None
    return value


def _rows(maps: Tensor) -> Tensor:
    """Return channels-last ``maps`` as (pixels, channels), the same memory."""
    return maps.permute(0, 2, 3, 1).flatten(0, 2)


def _images(rows: Tensor, size: Size) -> Tensor:
    """Return (pixels, channels) as maps of images of ``size``, the same memory."""
    return rows.view(*size, -1).permute(0, 3, 1, 2)


def _size(maps: Tensor) -> Size:
    n, _, height, width = maps.shape
    return n, height, width


def _halved(size: Size) -> Size:
    n, height, width = size
    return n, height // 2, width // 2


def _running(norm: nn.BatchNorm2d) -> Norm:
    return Norm(_known(norm.running_mean), _known(norm.running_var), norm.weight, norm.bias, norm.eps)


def _predicted(layers: Sequence[Any], norm: nn.BatchNorm2d | None, first: Tensor, by: Operations) -> Tensor:
    channels, size = first.shape[1], _size(first)
    buffer = first.new_empty(math.prod(size), channels + GROWTH * len(layers))
    buffer[:, :channels] = _rows(first)
    for layer in layers:
        one, two = _running(layer.norm1), _running(layer.norm2)
        weight, filters = (conv.weight.to(first.dtype) for conv in (layer.conv1, layer.conv2))
        active = by.narrow_normal(buffer[:, :channels], one, weight.flatten(1), two)
        own = F.conv2d(_images(active, size), filters, padding=1)
        buffer[:, channels : channels + GROWTH] = _rows(own)
        channels += GROWTH
    if norm is None:
        return _images(buffer, size)
    return _images(by.pool(buffer, _running(norm), size), _halved(size))


class _Trained(torch.autograd.Function):
    """What :func:`through` gives in training, and the statistics of the block's norms."""

    @staticmethod
    def forward(
        ctx: Any,
        by: Operations,
        eps: float,
        first: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        *parameters: Tensor,
    ) -> tuple[Tensor, ...]:
        start, count, size = first.shape[1], len(parameters) // 6, _size(first)
        rows, channels = math.prod(size), start + GROWTH * count
        buffer = first.new_empty(rows, channels)
        exact = torch.promote_types(first.dtype, torch.float32)
        mean, variance = (torch.empty(channels, dtype=exact, device=first.device) for _ in range(2))
        by.copy(_rows(first), buffer[:, :start], mean[:start], variance[:start])
        kept: list[Tensor] = []
        means, variances = [], []
        for place in range(count):
            weight1, bias1, conv1, weight2, bias2, conv2 = parameters[6 * place : 6 * place + 6]
            here = start + GROWTH * place
            product, filters = conv1.flatten(1).to(first.dtype), conv2.to(first.dtype)
            one = Norm(mean[:here], variance[:here], weight1, bias1, eps)
            narrow, mean2, variance2 = by.narrow(buffer[:, :here], one, product)
            active = by.normal(narrow, Norm(mean2, variance2, weight2, bias2, eps))
            own = _rows(F.conv2d(_images(active, size), filters, padding=1))
            end = here + GROWTH
            by.copy(own, buffer[:, here:end], mean[here:end], variance[here:end])
            kept += [narrow, active, mean2, variance2, product, filters]
            means.append(mean2)
            variances.append(variance2)
        stacked = torch.stack(means), torch.stack(variances)
        if weight is None or bias is None:
            out, behind = _images(buffer, size), []
        else:
            pooled = by.pool(buffer, Norm(mean, variance, weight, bias, eps), size)
            out, behind = _images(pooled, _halved(size)), [weight, bias]
        ctx.by, ctx.eps, ctx.start, ctx.size = by, eps, start, size
        ctx.save_for_backward(buffer, mean, variance, *kept, *parameters, *behind)
        ctx.mark_non_differentiable(mean, variance, *stacked)
        return out, mean, variance, *stacked

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        by, eps, start, size = cast(Operations, ctx.by), ctx.eps, ctx.start, ctx.size
        buffer, mean, variance, *rest = ctx.saved_tensors
        count, pooled = divmod(len(rest), 12)
        kept, parameters, behind = rest[: 6 * count], rest[6 * count : 12 * count], rest[12 * count :]
        gradient = _rows(gradients[0].to(buffer.dtype).contiguous(memory_format=torch.channels_last))
        passed = torch.zeros(2, buffer.shape[1], dtype=mean.dtype, device=mean.device)
        found: list[Tensor | None] = []
        with torch.autocast(buffer.device.type, enabled=False):
            ends: list[Tensor | None] = [None, None]
            if pooled:
                total = torch.empty_like(buffer)
                last = Norm(mean, variance, behind[0], behind[1], eps)
                sums = by.pool_back(gradient, buffer, last, size, total)
                passed.addcmul_(sums, last.weight, value=1 / len(buffer))
                ends = [sums[1], sums[0]]
            else:
                total = gradient.clone()
            for place in reversed(range(count)):
                narrow, active, mean2, variance2, product, filters = kept[6 * place : 6 * place + 6]
                weight1, bias1, conv1, weight2, bias2, _ = parameters[6 * place : 6 * place + 6]
                here = start + GROWTH * place
                own = slice(here, here + GROWTH)
                settled = by.settle(
                    total[:, own], buffer[:, own], mean[own], variance[own], eps, passed[:, own]
                )
                back, filters_gradient, _ = torch.ops.aten.convolution_backward(
                    _images(settled, size), _images(active, size), filters, None,
                    [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [True, True, False],
                )  # fmt: skip
                back = _rows(back.contiguous(memory_format=torch.channels_last))
                two = Norm(mean2, variance2, weight2, bias2, eps)
                back, sums2 = by.normal_back(back, narrow, two)
                one = Norm(mean[:here], variance[:here], weight1, bias1, eps)
                product_gradient, sums1 = by.narrow_back(
                    back, buffer[:, :here], one, product, total[:, :here]
                )
                passed[:, :here].addcmul_(sums1, weight1, value=1 / len(buffer))
                found = [
                    sums1[1], sums1[0], product_gradient.view_as(conv1),
                    sums2[1], sums2[0], filters_gradient.to(conv1.dtype),
                    *found,
                ]  # fmt: skip
            own = slice(0, start)
            first = by.settle(total[:, own], buffer[:, own], mean[own], variance[own], eps, passed[:, own])
        return None, None, _images(first, size), *ends, *found
