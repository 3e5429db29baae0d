"""Triton kernels of a dense block (:class:`~cxrbench.training.block.Operations`).

Maps are (pixels, channels), bfloat16 or float32; sums and statistics are float32. Sums over pixels are taken
tile by tile and then over the tiles, always in the same order: the same bits every time.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
from torch import Tensor
from triton import language as tl

from cxrbench.training.block import NARROW, Norm, Size

_ROWS, _TALL = 64, 128
"""Pixels of a tile of what is read and written: of all of a layer's channels, and of a part of them."""
_CHANNELS = 64
"""Channels of such a part."""
_PROGRAMS = 264
"""So many programs should work at a time: two for each multiprocessor of an H100."""


class Tiling(NamedTuple):
    """How a product of maps is cut up.

    pixels, channels: of a tile. warps: that work on it. stages: tiles that are on their way meanwhile.
    """

    pixels: int
    channels: int
    warps: int
    stages: int

    def of(self, maps: Tensor) -> Tiling:
        """Return it for ``maps``: smaller tiles of float32, and where few pixels are to keep a GPU busy."""
        rows, pixels = len(maps), self.pixels // (maps.element_size() // 2)
        while pixels > 16 and triton.cdiv(rows, pixels) < _PROGRAMS // 2:
            pixels //= 2
        return self._replace(pixels=pixels)


FORTH, BACK = Tiling(64, 64, 4, 3), Tiling(32, 64, 4, 4)
"""Of the 1x1 convolution and of its way back; of those tried on an H100 the fastest."""


@triton.jit
def _scale_shift(mean, variance, weight, bias, eps, channels, known):  # type: ignore[no-untyped-def]
    scale = tl.load(weight + channels, mask=known, other=0.0)
    scale = scale / tl.sqrt(tl.load(variance + channels, mask=known, other=1.0) + eps)
    shift = tl.load(bias + channels, mask=known, other=0.0)
    return scale, shift - tl.load(mean + channels, mask=known, other=0.0) * scale


@triton.jit
def _write_moments(values, inside, rows_here, means, squares, place):  # type: ignore[no-untyped-def]
    mean = tl.sum(tl.where(inside, values, 0.0), 0) / rows_here
    apart = tl.where(inside, values - mean[None, :], 0.0)
    tl.store(means + place, mean)
    tl.store(squares + place, tl.sum(apart * apart, 0))


@triton.jit
def _finish_moments(  # type: ignore[no-untyped-def]
    means,
    squares,
    mean,
    variance,
    rows,
    tiles,
    channels,
    TILE: tl.constexpr,
    AT_ONCE: tl.constexpr,
):
    """Join the moments of tiles (Chan et al. 1983)."""
    channel = tl.program_id(0) * 8 + tl.arange(0, 8)
    total = tl.zeros((8,), tl.float32)
    for start in range(0, tiles, AT_ONCE):
        tile = start + tl.arange(0, AT_ONCE)
        known = (tile < tiles)[:, None]
        held = tl.maximum(tl.minimum(rows - tile * TILE, TILE), 0).to(tl.float32)[:, None]
        here = tl.load(means + tile[:, None] * channels + channel[None, :], mask=known, other=0.0)
        total += tl.sum(here * held, 0)
    average = total / rows
    spread = tl.zeros((8,), tl.float32)
    for start in range(0, tiles, AT_ONCE):
        tile = start + tl.arange(0, AT_ONCE)
        known = (tile < tiles)[:, None]
        held = tl.maximum(tl.minimum(rows - tile * TILE, TILE), 0).to(tl.float32)[:, None]
        place = tile[:, None] * channels + channel[None, :]
        apart = tl.load(means + place, mask=known, other=0.0) - average[None, :]
        own = tl.load(squares + place, mask=known, other=0.0)
        spread += tl.sum(tl.where(known, own + held * apart * apart, 0.0), 0)
    tl.store(mean + channel, average)
    tl.store(variance + channel, spread / rows)


@triton.jit
def _copy(  # type: ignore[no-untyped-def]
    source, target, target_stride, means, squares, rows, channels, TILE: tl.constexpr
):
    tile = tl.program_id(0)
    row = tile.to(tl.int64) * TILE + tl.arange(0, TILE)
    channel = tl.program_id(1) * 32 + tl.arange(0, 32)
    inside = (row < rows)[:, None]
    values = tl.load(source + row[:, None] * channels + channel[None, :], mask=inside, other=0.0)
    tl.store(target + row[:, None] * target_stride + channel[None, :], values, mask=inside)
    held = tl.minimum(rows - tile * TILE, TILE).to(tl.float32)
    _write_moments(values.to(tl.float32), inside, held, means, squares, tile * channels + channel)


@triton.jit
def _narrow(  # type: ignore[no-untyped-def]
    maps, stride, mean, variance, weight, bias, eps, product,
    out, means, squares, mean2, variance2, weight2, bias2, eps2, rows, inputs,
    OUT: tl.constexpr, TRAINED: tl.constexpr, TILE: tl.constexpr, DEEP: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    tile = tl.program_id(0)
    row = tile.to(tl.int64) * TILE + tl.arange(0, TILE)
    narrow = tl.arange(0, OUT)
    inside = (row < rows)[:, None]
    total = tl.zeros((TILE, OUT), tl.float32)
    for start in range(0, inputs, DEEP):
        channel = start + tl.arange(0, DEEP)
        known = channel < inputs
        scale, shift = _scale_shift(mean, variance, weight, bias, eps, channel, known)
        place = row[:, None] * stride + channel[None, :]
        values = tl.load(maps + place, mask=inside & known[None, :], other=0.0).to(tl.float32)
        values = tl.maximum(values * scale[None, :] + shift[None, :], 0.0)
        by = tl.load(product + narrow[None, :] * inputs + channel[:, None], mask=known[:, None], other=0.0)
        total = tl.dot(values.to(by.dtype), by, total, input_precision=PRECISION)
    place = row[:, None] * OUT + narrow[None, :]
    if TRAINED:
        rounded = total.to(out.dtype.element_ty)
        tl.store(out + place, rounded, mask=inside)
        held = tl.minimum(rows - tile * TILE, TILE).to(tl.float32)
        _write_moments(rounded.to(tl.float32), inside, held, means, squares, tile * OUT + narrow)
    else:
        scale, shift = _scale_shift(mean2, variance2, weight2, bias2, eps2, narrow, narrow < OUT)
        total = tl.maximum(total * scale[None, :] + shift[None, :], 0.0)
        tl.store(out + place, total.to(out.dtype.element_ty), mask=inside)


@triton.jit
def _tile_of(  # type: ignore[no-untyped-def]
    maps, mean, variance, weight, bias, eps, rows, CHANNELS: tl.constexpr, TILE: tl.constexpr
):
    """Return this program's tile of all channels, its normalisation, and where in memory it is."""
    row = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    channel = tl.arange(0, CHANNELS)
    inside = (row < rows)[:, None]
    scale, shift = _scale_shift(mean, variance, weight, bias, eps, channel, channel < CHANNELS)
    place = row[:, None] * CHANNELS + channel[None, :]
    values = tl.load(maps + place, mask=inside, other=0.0).to(tl.float32)
    return values, scale, shift, place, inside


@triton.jit
def _normal(  # type: ignore[no-untyped-def]
    maps, mean, variance, weight, bias, eps, out, rows, CHANNELS: tl.constexpr, TILE: tl.constexpr
):
    values, scale, shift, place, inside = _tile_of(
        maps, mean, variance, weight, bias, eps, rows, CHANNELS, TILE
    )
    values = tl.maximum(values * scale[None, :] + shift[None, :], 0.0)
    tl.store(out + place, values.to(out.dtype.element_ty), mask=inside)


@triton.jit
def _before_normal(  # type: ignore[no-untyped-def]
    gradient, maps, mean, variance, weight, bias, eps, rows, CHANNELS: tl.constexpr, TILE: tl.constexpr
):
    """Return the gradient before the ReLU, the standardised maps, the scale, and where in memory they are."""
    values, scale, shift, place, inside = _tile_of(
        maps, mean, variance, weight, bias, eps, rows, CHANNELS, TILE
    )
    channel = tl.arange(0, CHANNELS)
    back = tl.load(gradient + place, mask=inside, other=0.0).to(tl.float32)
    back = tl.where(values * scale[None, :] + shift[None, :] > 0, back, 0.0)
    standard = values - tl.load(mean + channel)[None, :]
    standard = standard / tl.sqrt(tl.load(variance + channel) + eps)[None, :]
    return back, standard, scale, place, inside


@triton.jit
def _normal_sums(  # type: ignore[no-untyped-def]
    gradient, maps, mean, variance, weight, bias, eps, sums, rows, CHANNELS: tl.constexpr, TILE: tl.constexpr
):
    back, standard, _, _, _ = _before_normal(
        gradient, maps, mean, variance, weight, bias, eps, rows, CHANNELS, TILE
    )
    place = tl.program_id(0) * 2 * CHANNELS + tl.arange(0, CHANNELS)
    tl.store(sums + place, tl.sum(back, 0))
    tl.store(sums + place + CHANNELS, tl.sum(back * standard, 0))


@triton.jit
def _normal_back(  # type: ignore[no-untyped-def]
    gradient, maps, mean, variance, weight, bias, eps, sums, out, rows,
    CHANNELS: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    back, standard, scale, place, inside = _before_normal(
        gradient, maps, mean, variance, weight, bias, eps, rows, CHANNELS, TILE
    )
    channel = tl.arange(0, CHANNELS)
    one = tl.load(sums + channel) / rows
    two = tl.load(sums + CHANNELS + channel) / rows
    back = scale[None, :] * (back - one[None, :] - standard * two[None, :])
    tl.store(out + place, back.to(out.dtype.element_ty), mask=inside)


@triton.jit
def _narrow_back(  # type: ignore[no-untyped-def]
    gradient, maps, stride, total, total_stride, mean, variance, weight, bias, eps, product,
    products, sums, rows, inputs, tiles,
    OUT: tl.constexpr, TILE: tl.constexpr, DEEP: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    channel = tl.program_id(0) * DEEP + tl.arange(0, DEEP)
    known = channel < inputs
    split = tl.program_id(1)
    narrow = tl.arange(0, OUT)
    scale, shift = _scale_shift(mean, variance, weight, bias, eps, channel, known)
    centre = tl.load(mean + channel, mask=known, other=0.0)
    over = 1.0 / tl.sqrt(tl.load(variance + channel, mask=known, other=1.0) + eps)
    by = tl.load(product + narrow[:, None] * inputs + channel[None, :], mask=known[None, :], other=0.0)
    products_here = tl.zeros((OUT, DEEP), tl.float32)
    one = tl.zeros((DEEP,), tl.float32)
    two = tl.zeros((DEEP,), tl.float32)
    for tile in range(0, tiles):
        row = (split * tiles + tile).to(tl.int64) * TILE + tl.arange(0, TILE)
        inside = (row < rows)[:, None]
        both = inside & known[None, :]
        back = tl.load(gradient + row[:, None] * OUT + narrow[None, :], mask=inside, other=0.0)
        values = tl.load(maps + row[:, None] * stride + channel[None, :], mask=both, other=0.0).to(tl.float32)
        normal = values * scale[None, :] + shift[None, :]
        active = (normal > 0) & both
        rectified = tl.where(active, normal, 0.0).to(back.dtype)
        products_here = tl.dot(tl.trans(back), rectified, products_here, input_precision=PRECISION)
        before = tl.where(active, tl.dot(back, by, input_precision=PRECISION), 0.0)
        one += tl.sum(before, 0)
        two += tl.sum(before * (values - centre[None, :]) * over[None, :], 0)
        place = total + row[:, None] * total_stride + channel[None, :]
        added = tl.load(place, mask=both, other=0.0).to(tl.float32) + scale[None, :] * before
        tl.store(place, added.to(total.dtype.element_ty), mask=both)
    place = split * OUT * inputs + narrow[:, None] * inputs + channel[None, :]
    tl.store(products + place, products_here, mask=known[None, :])
    place = split * 2 * inputs + channel
    tl.store(sums + place, one, mask=known)
    tl.store(sums + place + inputs, two, mask=known)


@triton.jit
def _settle(  # type: ignore[no-untyped-def]
    total, total_stride, maps, stride, mean, variance, eps, passed, passed_stride, out, rows,
    channels, TILE: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    channel = tl.program_id(1) * 32 + tl.arange(0, 32)
    inside = (row < rows)[:, None]
    over = 1.0 / tl.sqrt(tl.load(variance + channel) + eps)
    values = tl.load(maps + row[:, None] * stride + channel[None, :], mask=inside, other=0.0).to(tl.float32)
    standard = (values - tl.load(mean + channel)[None, :]) * over[None, :]
    one, two = tl.load(passed + channel), tl.load(passed + passed_stride + channel)
    here = tl.load(total + row[:, None] * total_stride + channel[None, :], mask=inside, other=0.0)
    settled = here.to(tl.float32) - over[None, :] * (one[None, :] + standard * two[None, :])
    place = row[:, None] * channels + channel[None, :]
    tl.store(out + place, settled.to(out.dtype.element_ty), mask=inside)


@triton.jit
def _pool(  # type: ignore[no-untyped-def]
    maps, mean, variance, weight, bias, eps, out, rows, height, width,
    channels, WIDE: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    channel = tl.program_id(1) * WIDE + tl.arange(0, WIDE)
    known = channel < channels
    inside = (row < rows)[:, None] & known[None, :]
    scale, shift = _scale_shift(mean, variance, weight, bias, eps, channel, known)
    halved = width // 2
    line, across = row // halved, row % halved
    image, down = line // (height // 2), line % (height // 2)
    first = (image * height + 2 * down) * width + 2 * across
    total = tl.zeros((TILE, WIDE), tl.float32)
    for corner in range(0, 4):
        pixel = first + (corner // 2) * width + corner % 2
        values = tl.load(maps + pixel[:, None] * channels + channel[None, :], mask=inside, other=0.0)
        total += tl.maximum(values.to(tl.float32) * scale[None, :] + shift[None, :], 0.0)
    place = row[:, None] * channels + channel[None, :]
    tl.store(out + place, (total * 0.25).to(out.dtype.element_ty), mask=inside)


@triton.jit
def _pool_back(  # type: ignore[no-untyped-def]
    gradient, maps, mean, variance, weight, bias, eps, total, sums, rows, height, width,
    channels, WIDE: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    tile = tl.program_id(0)
    row = tile.to(tl.int64) * TILE + tl.arange(0, TILE)
    channel = tl.program_id(1) * WIDE + tl.arange(0, WIDE)
    known = channel < channels
    inside = (row < rows)[:, None] & known[None, :]
    scale, shift = _scale_shift(mean, variance, weight, bias, eps, channel, known)
    line, across = row // width, row % width // 2
    image, down = line // height, line % height // 2
    pooled = ((down < height // 2) & (across < width // 2))[:, None] & inside
    source = (image * (height // 2) + down) * (width // 2) + across
    back = tl.load(gradient + source[:, None] * channels + channel[None, :], mask=pooled, other=0.0)
    place = row[:, None] * channels + channel[None, :]
    values = tl.load(maps + place, mask=inside, other=0.0).to(tl.float32)
    before = tl.where(values * scale[None, :] + shift[None, :] > 0, back.to(tl.float32) * 0.25, 0.0)
    tl.store(total + place, (scale[None, :] * before).to(total.dtype.element_ty), mask=inside)
    standard = values - tl.load(mean + channel, mask=known, other=0.0)[None, :]
    standard = standard / tl.sqrt(tl.load(variance + channel, mask=known, other=1.0) + eps)[None, :]
    place = tile * 2 * channels + channel
    tl.store(sums + place, tl.sum(before, 0), mask=known)
    tl.store(sums + place + channels, tl.sum(before * standard, 0), mask=known)


class Kernels:
    """:class:`~cxrbench.training.block.Operations` on a GPU."""

    def copy(self, source: Tensor, target: Tensor, mean: Tensor, variance: Tensor) -> None:
        rows, channels = source.shape
        tiles = triton.cdiv(rows, _TALL)
        means, squares = _floats(source, tiles, channels), _floats(source, tiles, channels)
        _copy[tiles, channels // 32](
            source, target, target.stride(0), means, squares, rows, channels, TILE=_TALL
        )
        _finish(means, squares, mean, variance, rows, _TALL)

    def narrow(self, maps: Tensor, norm: Norm, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows = len(maps)
        tile = FORTH.of(maps).pixels
        tiles = triton.cdiv(rows, tile)
        means, squares = _floats(maps, tiles, NARROW), _floats(maps, tiles, NARROW)
        mean, variance = _floats(maps, NARROW), _floats(maps, NARROW)
        out = _narrowed(maps, norm, weight, norm, means, squares, trained=True)
        _finish(means, squares, mean, variance, rows, tile)
        return out, mean, variance

    def narrow_normal(self, maps: Tensor, norm: Norm, weight: Tensor, after: Norm) -> Tensor:
        return _narrowed(maps, norm, weight, after, norm.mean, norm.mean, trained=False)

    def normal(self, maps: Tensor, norm: Norm) -> Tensor:
        out = torch.empty_like(maps)
        _normal[(triton.cdiv(len(maps), _ROWS),)](
            maps, *norm, out, len(maps), CHANNELS=maps.shape[1], TILE=_ROWS
        )
        return out

    def normal_back(self, gradient: Tensor, maps: Tensor, norm: Norm) -> tuple[Tensor, Tensor]:
        rows, channels = maps.shape
        tiles = triton.cdiv(rows, _ROWS)
        parted = _floats(maps, tiles, 2, channels)
        _normal_sums[(tiles,)](gradient, maps, *norm, parted, rows, CHANNELS=channels, TILE=_ROWS)
        sums = parted.sum(0)
        out = torch.empty_like(maps)
        _normal_back[(tiles,)](gradient, maps, *norm, sums, out, rows, CHANNELS=channels, TILE=_ROWS)
        return out, sums

    def narrow_back(
        self, gradient: Tensor, maps: Tensor, norm: Norm, weight: Tensor, total: Tensor
    ) -> tuple[Tensor, Tensor]:
        rows, inputs = maps.shape
        tiling = BACK.of(maps)
        across, down = triton.cdiv(inputs, tiling.channels), triton.cdiv(rows, tiling.pixels)
        each = triton.cdiv(down, min(down, max(1, _PROGRAMS // across)))
        splits = triton.cdiv(down, each)
        products, sums = _floats(maps, splits, NARROW, inputs), _floats(maps, splits, 2, inputs)
        _narrow_back[across, splits](
            gradient, maps, maps.stride(0), total, total.stride(0), *norm, weight, products, sums,
            rows, inputs, each,
            OUT=NARROW, TILE=tiling.pixels, DEEP=tiling.channels, PRECISION=_precision(),
            num_warps=tiling.warps, num_stages=tiling.stages,
        )  # fmt: skip
        return products.sum(0), sums.sum(0)

    def pool(self, maps: Tensor, norm: Norm, size: Size) -> Tensor:
        images, height, width = size
        rows, channels = images * (height // 2) * (width // 2), maps.shape[1]
        out = maps.new_empty(rows, channels)
        _pool[triton.cdiv(rows, _ROWS), triton.cdiv(channels, _CHANNELS)](
            maps, *norm, out, rows, height, width, channels, WIDE=_CHANNELS, TILE=_ROWS
        )
        return out

    def pool_back(self, gradient: Tensor, maps: Tensor, norm: Norm, size: Size, total: Tensor) -> Tensor:
        rows, channels = maps.shape
        tiles = triton.cdiv(rows, _TALL)
        parted = _floats(maps, tiles, 2, channels)
        _pool_back[tiles, triton.cdiv(channels, _CHANNELS)](
            gradient, maps, *norm, total, parted, rows, *size[1:],
            channels, WIDE=_CHANNELS, TILE=_TALL,
        )  # fmt: skip
        return parted.sum(0)

    def settle(
        self, total: Tensor, maps: Tensor, mean: Tensor, variance: Tensor, eps: float, passed: Tensor
    ) -> Tensor:
        rows, channels = maps.shape
        out = maps.new_empty(rows, channels)
        _settle[triton.cdiv(rows, _TALL), channels // 32](
            total, total.stride(0), maps, maps.stride(0), mean, variance, eps, passed, passed.stride(0), out,
            rows, channels, TILE=_TALL,
        )  # fmt: skip
        return out


KERNELS = Kernels()


def _narrowed(
    maps: Tensor, norm: Norm, weight: Tensor, after: Norm, means: Tensor, squares: Tensor, *, trained: bool
) -> Tensor:
    rows, inputs = maps.shape
    tiling = FORTH.of(maps)
    out = maps.new_empty(rows, NARROW)
    _narrow[(triton.cdiv(rows, tiling.pixels),)](
        maps, maps.stride(0), *norm, weight, out, means, squares, *after, rows, inputs,
        OUT=NARROW, TRAINED=trained, TILE=tiling.pixels, DEEP=tiling.channels, PRECISION=_precision(),
        num_warps=tiling.warps, num_stages=tiling.stages,
    )  # fmt: skip
    return out


def _finish(means: Tensor, squares: Tensor, mean: Tensor, variance: Tensor, rows: int, tile: int) -> None:
    tiles, channels = means.shape
    _finish_moments[(channels // 8,)](
        means, squares, mean, variance, rows, tiles, channels, TILE=tile, AT_ONCE=512
    )


def _floats(like: Tensor, *shape: int) -> Tensor:
    return torch.empty(shape, dtype=torch.float32, device=like.device)


def _precision() -> str:
    """Return in what float32 maps are multiplied: as convolutions are."""
    return "tf32" if torch.backends.cudnn.allow_tf32 else "ieee"
