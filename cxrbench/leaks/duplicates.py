"""Finding images that show one film, whatever they are called and however they were written.

Three steps, each for the pairs that the step before let through:

1. every pair: the product of coarse fingerprints, one of them also mirrored, and cropped and zoomed a little;
2. the product of :func:`~cxrbench.leaks.fingerprint.fingerprints`, which settles copies; for others the same
   after undoing crop and size, by :class:`~cxrbench.leaks.registration.Placer`;
3. the correlation of twice as fine detail after :func:`~cxrbench.leaks.registration.polish`.

Copies keep a product of 0.9 and more: written again as JPEG, in another size, with another window, mirrored
or as a negative. The rest finds a film cropped again or with text and arrows drawn on it, as publications
have it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from cxrbench.cores import usable_cores
from cxrbench.leaks.fingerprint import SIDE, Float, detail, fingerprints, normalised
from cxrbench.leaks.registration import Placement, Placer, inverse, polish, warp

THRESHOLD = 0.75
"""Similarity from which two images count as one film.

On real films, packed at 64 to 224 px: copies in another format 0.995 and more; films cropped again, drawn on
or printed differently 0.81 and more (12 pairs, looked at); films of different patients 0.55 and less; two
films of one patient up to 0.76, and such a pair in training and test is a leak as well. Phantom images of
different patients: 0.66 and less.
"""

_SURE = 0.9
"""Product of fingerprints that needs no further step."""
_TINY = 0.98
"""The same for images smaller than a fingerprint, which show too little for further steps."""
_FIRST, _PLACED, _POLISHED = 0.4, 0.65, 0.8
"""What goes on: from the first step; once placed; once that placement is polished."""
_NEAREST = 2
"""Candidates that an image keeps after the first step, besides those that are sure to be let through."""
_COARSE_SIDE, _FINE_SIDE = 24, 64
_ZOOMS, _SHIFT = (0.93, 1.07), 0.7
"""How an image is zoomed and shifted (in coarse pixels) for the first step, besides as it is."""
_HEAD = 128
"""Of each half of a coarse fingerprint, so many components bound the product for nearly all pairs."""
_WORTH, _FEW = 0.2, 0.02
"""Where the heads must reach so much, the bound is tried; where so few of the pairs do, it is used."""
_ROUNDING, _UNDER_ROOT = 1e-4, np.float32(2e-6)
"""More than float32 rounds off a product, and off the square of a tail's length."""
_FIRST_BLOCK, _BLOCK, _AT_ONCE = 64, 1024, 512
"""How many images of a source are compared at a time, at first and at most, and with how many."""

Pixels = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Match:
    """Two images that show one film.

    Attributes
    ----------
    a: row of the one image.
    source: which of the collections that were searched holds the other.
    b: row of the other image in it.
    similarity: correlation of their detail, up to 1.
    mirrored, negative: whether one is the other mirrored left to right, or with black and white exchanged.
    """

    a: int
    source: int
    b: int
    similarity: float
    mirrored: bool = False
    negative: bool = False


@dataclass(frozen=True, eq=False)
class Images:
    """Some rows of an array of images.

    Parameters
    ----------
    pixels: (n, size, size) uint8, may be a memory map.
    rows: (m,) int64.
    """

    pixels: Pixels
    rows: Rows

    def __len__(self) -> int:
        return len(self.rows)

    def fingerprints(self, side: int) -> Float:
        """Return all fingerprints, (m, side * side)."""
        blocks = [slice(start, start + _BLOCK) for start in range(0, len(self), _BLOCK)]
        with ThreadPoolExecutor(usable_cores()) as pool:
            prints = pool.map(lambda block: self.of(block, side), blocks)
            return np.concatenate([*prints, np.zeros((0, side * side), dtype=np.float32)])

    def of(self, some: slice, side: int) -> Float:
        """Return the fingerprints of some rows."""
        return fingerprints(self.pixels[self.rows[some]], side)


def search(images: Images, sources: Sequence[Images], threshold: float = THRESHOLD) -> tuple[Match, ...]:
    """Return which of ``images`` (as ``a``) show a film that one of ``sources`` (as ``b``) holds too.

    Of an image, every copy is found; as films cropped again or drawn on, the two images that look most like
    it are considered. Of images under 32 px only outright copies are found; 64 px and more are best.

    Parameters
    ----------
    sources: collections of images, such as long memory maps, each with the rows that count.
    threshold: similarity from which two images count as one film.

    Returns
    -------
    tuple[Match, ...]: in ascending order.
    """
    if len(images) == 0 or not any(len(source) for source in sources):
        return ()
    candidates = _nearest(images.fingerprints(_COARSE_SIDE), sources)
    if min(part.pixels.shape[1] for part in (images, *sources)) < SIDE:
        threshold = max(threshold, _TINY)
    similarity = _similarities(candidates, images, sources)
    found = []
    for k in np.flatnonzero(np.abs(similarity) >= threshold):
        source = int(candidates.source[k])
        found.append(
            Match(
                a=int(images.rows[candidates.image[k]]),
                source=source,
                b=int(sources[source].rows[candidates.other[k]]),
                similarity=min(1.0, float(abs(similarity[k]))),
                mirrored=bool(candidates.mirrored[k]),
                negative=bool(similarity[k] < 0),
            )
        )
    return tuple(sorted(found, key=lambda match: (match.a, match.source, match.b)))


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Pairs that the first step let through, one per element.

    ``image`` and ``other`` are positions among the rows of the images and of their ``source``; ``product`` is
    that of the coarse fingerprints, below 0 for a negative; ``mirrored`` says that the image was mirrored.
    """

    image: Rows
    source: Rows
    other: Rows
    product: Float
    mirrored: npt.NDArray[np.bool_]

    def __getitem__(self, chosen: npt.NDArray[np.bool_] | Rows | slice) -> _Candidates:
        return _Candidates(
            self.image[chosen],
            self.source[chosen],
            self.other[chosen],
            self.product[chosen],
            self.mirrored[chosen],
        )

    def joined(self, more: _Candidates) -> _Candidates:
        """Add candidates; of each image the sure ones stay, and the nearest others."""
        both = _Candidates(
            np.concatenate([self.image, more.image]),
            np.concatenate([self.source, more.source]),
            np.concatenate([self.other, more.other]),
            np.concatenate([self.product, more.product]),
            np.concatenate([self.mirrored, more.mirrored]),
        )
        # A pair that came in several views stays in the best of them.
        both = both[np.lexsort((-np.abs(both.product), both.other, both.source, both.image))]
        pair = np.stack([both.image, both.source, both.other])
        both = both[np.r_[True, (np.diff(pair) != 0).any(axis=0)][: len(both.image)]]
        both = both[np.lexsort((both.other, both.source, -np.abs(both.product), both._group))]
        rank = np.arange(len(both.image)) - np.searchsorted(both._group, both._group)
        return both[(rank < _NEAREST) | (both._group % 2 == 0)]

    def floor(self, images: int) -> Float:
        """Return the product that a further candidate of each image has to reach, (images,)."""
        result = np.full(images, _FIRST, dtype=np.float32)
        group, first, count = np.unique(self._group, return_index=True, return_counts=True)
        full = (count >= _NEAREST) & (group % 2 == 1)
        result[group[full] // 2] = np.abs(self.product[first[full] + _NEAREST - 1])
        return result

    @property
    def _group(self) -> Rows:
        """Twice the image, and one more where the pair is not sure."""
        return self.image * 2 + (np.abs(self.product) < _SURE)


def _nearest(coarse: Float, sources: Sequence[Images]) -> _Candidates:
    """Take the first step: compare every pair in every view, a block of the sources at a time per core."""
    empty = np.zeros(0, dtype=np.int64)
    found = _Candidates(empty, empty, empty, np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.bool_))
    views = [_parity(view) for view in _views(coarse)]
    axes = [_axes(half) for half in views[0]]
    views_in_short = [_shortened(view, axes) for view in views]
    blocks = []
    for number, source in enumerate(sources):
        edges = [0]
        # Small ones first: the more is found, the less is let through.
        while edges[-1] < len(source):
            edges.append(min(len(source), edges[-1] + min(_BLOCK, _FIRST_BLOCK + edges[-1])))
        blocks += [(number, start, end) for start, end in pairwise(edges)]

    def compare(block: tuple[int, int, int]) -> _Candidates:
        number, start, end = block
        other = _shortened(_parity(sources[number].of(slice(start, end), _COARSE_SIDE)), axes)
        # What others find meanwhile only raises it: no pair is lost by an older one.
        floor, mine = found.floor(len(coarse)), found[:0]
        for view in views_in_short:
            near = [
                _near(view[first : first + _AT_ONCE], other, floor, first)
                for first in range(0, len(coarse), _AT_ONCE)
            ]
            image, column, product, mirrored = (np.concatenate(parts) for parts in zip(*near, strict=True))
            source = np.full(len(image), number)
            mine = mine.joined(_Candidates(image, source, column + start, product, mirrored))
            floor = np.maximum(floor, mine.floor(len(coarse)))
        return mine

    with threadpool_limits(1, "blas"), ThreadPoolExecutor(usable_cores()) as pool:
        for more in pool.map(compare, blocks):
            found = found.joined(more)
    return found


@dataclass(frozen=True, eq=False)
class _Short:
    """Fingerprints by what mirroring keeps and negates of them, each whole and in short.

    Attributes
    ----------
    halves: (n, d) each.
    heads: (n, :data:`_HEAD`) each, the components along the axes on which films differ most.
    tails: (n, 2), the length of what each head lacks.
    """

    halves: tuple[Float, Float]
    heads: tuple[Float, Float]
    tails: Float

    def __getitem__(self, some: slice) -> _Short:
        even, odd = self.halves
        even_head, odd_head = self.heads
        return _Short((even[some], odd[some]), (even_head[some], odd_head[some]), self.tails[some])

    def __len__(self) -> int:
        return len(self.tails)


def _axes(half: Float) -> Float:
    """Return the axes, (d, at most :data:`_HEAD`), along which fingerprints have most of their length."""
    _, axes = np.linalg.eigh((half.T @ half).astype(np.float64))
    return np.asarray(axes[:, ::-1][:, :_HEAD], dtype=np.float32)


def _shortened(halves: tuple[Float, Float], axes: Sequence[Float]) -> _Short:
    even, odd = (half @ axis for half, axis in zip(halves, axes, strict=True))
    tails = [
        # Never too short, however the difference of two lengths near 1 was rounded.
        np.sqrt(np.maximum((half * half).sum(axis=1) - (head * head).sum(axis=1), 0) + _UNDER_ROOT)
        for half, head in zip(halves, (even, odd), strict=True)
    ]
    return _Short(halves, (even, odd), np.stack(tails, axis=1))


def _near(
    images: _Short, others: _Short, floor: Float, first: int
) -> tuple[Rows, Rows, Float, npt.NDArray[np.bool_]]:
    """Return the images, from ``first`` on, and others whose product reaches the image's ``floor``.

    With each pair its product, and whether the image is mirrored. By Cauchy's inequality a product is at most
    that of the heads and of the tails' lengths; few pairs need more than that.
    """
    needed = floor[first : first + len(images), None]
    row = None
    if np.median(needed) >= _WORTH + np.vdot(images.tails.mean(axis=0), others.tails.mean(axis=0)):
        bound = _larger(images.heads, others.heads)
        bound += images.tails @ others.tails.T
        row, column = np.nonzero(bound >= needed - _ROUNDING)
        if len(row) > _FEW * bound.size:
            row = None
    if row is None:
        row, column = np.nonzero(_larger(images.halves, others.halves) >= needed - _ROUNDING)
    # Worked out in one way, whichever way a pair was found: a tie stays a tie.
    alike, opposed = (
        np.einsum("ij,ij->i", a[row], b[column]) for a, b in zip(images.halves, others.halves, strict=True)
    )
    product = np.concatenate([alike + opposed, alike - opposed])
    mirrored = np.repeat([False, True], len(row))
    row, column = np.tile(row + first, 2), np.tile(column, 2)
    near = np.abs(product) >= floor[row]
    return row[near], column[near], product[near], mirrored[near]


def _larger(one: tuple[Float, Float], other: tuple[Float, Float]) -> Float:
    """Return the larger of |a + b| and |a - b|, for the products a and b of the two halves."""
    larger: Float = np.abs(one[0] @ other[0].T)
    larger += np.abs(one[1] @ other[1].T)
    return larger


def _views(coarse: Float) -> Iterator[Float]:
    """Yield fingerprints as they are, and zoomed and shifted as a crop would have it."""
    yield coarse
    squares = _square(coarse)
    for zoom in _ZOOMS:
        towards = [warp(_COARSE_SIDE, zoom, shift)[0] for shift in (-_SHIFT, _SHIFT)]
        for down in towards:
            for across in towards:
                view = np.asarray(down @ squares @ across.T, dtype=np.float32)
                yield normalised(view.reshape(coarse.shape))


def _parity(prints: Float) -> tuple[Float, Float]:
    """Return what mirroring keeps of fingerprints and what it negates, half as long each.

    The sum of the products of both is the fingerprints' product, the difference that with one mirrored.
    """
    left, right = np.split(_square(prints), 2, axis=-1)
    right = right[..., ::-1]
    root = np.float32(np.sqrt(0.5))
    flat = (len(prints), prints.shape[1] // 2)
    return ((left + right) * root).reshape(flat), ((left - right) * root).reshape(flat)


def _similarities(
    candidates: _Candidates, images: Images, sources: Sequence[Images]
) -> npt.NDArray[np.float64]:
    """Take the second and third step: the similarity of each candidate.

    It is below 0 for a negative, and 0 for what is clearly another film.
    """
    prints = _square(images.fingerprints(SIDE))
    others = _square(_fingerprints_of(candidates, sources))
    result = np.zeros(len(candidates.image))
    group = candidates.image * 2 + candidates.mirrored
    order = np.argsort(group, kind="stable")
    for chosen in np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if len(order) else []:
        step = -1 if candidates.mirrored[chosen[0]] else 1
        image = candidates.image[chosen[0]]
        view = prints[image][:, ::step]
        product = (others[chosen] * view).sum(axis=(1, 2))
        sure = np.abs(product) >= _SURE
        result[chosen[sure]] = product[sure]
        unsure = chosen[~sure]
        if len(unsure) == 0 or images.pixels.shape[1] < SIDE:
            continue
        # A negative is inverted before it is compared.
        sign = np.sign(candidates.product[unsure])
        placed, placements = Placer(view).place(others[unsure] * sign[:, None, None])
        for k, turn, value, placement in zip(unsure, sign, placed, placements, strict=True):
            if value >= _PLACED:
                source = sources[candidates.source[k]]
                fine = detail(images.pixels[images.rows[image]][None, :, ::step], _FINE_SIDE)[0]
                other = detail(source.pixels[source.rows[candidates.other[k]]][None], _FINE_SIDE)[0]
                result[k] = turn * _polished((view, fine), (others[k] * turn, other * turn), placement)
    return result


def _fingerprints_of(candidates: _Candidates, sources: Sequence[Images]) -> Float:
    result = np.empty((len(candidates.image), SIDE * SIDE), dtype=np.float32)
    for number, source in enumerate(sources):
        chosen = np.flatnonzero(candidates.source == number)
        once, place = np.unique(candidates.other[chosen], return_inverse=True)
        result[chosen] = Images(source.pixels, source.rows[once]).fingerprints(SIDE)[place]
    return result


def _polished(moving: tuple[Float, Float], fixed: tuple[Float, Float], placement: Placement) -> float:
    """Return the correlation of fine detail, from a placement found on coarse detail."""
    if placement[0] > 0:
        # Reducing an image keeps more of its detail than enlarging it.
        moving, fixed, placement = fixed, moving, inverse(placement)
    coarse, placement = polish(fixed[0], moving[0], placement, steps=60)
    if coarse < _POLISHED:
        return 0.0
    similarity, _ = polish(fixed[1], moving[1], placement, steps=100)
    return max(similarity, 0.0)


def _square(prints: Float) -> Float:
    side = math.isqrt(prints.shape[-1])
    return prints.reshape(*prints.shape[:-1], side, side)
