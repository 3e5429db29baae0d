"""Finding images that show one film, whatever they are called and however they were written.

Three steps, each for the pairs that the step before let through:

1. the product of two :func:`~cxrbench.cohort.fingerprint.fingerprints`, for every pair, mirrored as well;
2. the same after undoing crop and size, by :class:`~cxrbench.cohort.registration.Placer`;
3. the correlation of twice as fine detail after :func:`~cxrbench.cohort.registration.polish`.

Copies need no more than the first: written again as JPEG, in another size, with another window, mirrored or
as a negative, they keep a product of 0.9 and more. The others find a film cropped anew or with text and
arrows drawn on it, as publications have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cxrbench.cohort.fingerprint import SIDE, Float, detail, fingerprints
from cxrbench.cohort.registration import Placement, Placer, inverse, polish

THRESHOLD = 0.75
"""Similarity from which two images count as one film.

On real films, packed at 64 to 224 px: copies in another format 0.995 and more; films cropped anew, drawn on
or printed differently 0.81 and more (12 pairs, looked at); films of different patients 0.48 and less; two
films of one patient up to 0.74. Phantom images of different patients: 0.63 and less.
"""

_SURE = 0.9
"""Fingerprint product that needs no further step."""
_TINY = 0.98
"""The same for images smaller than a fingerprint, which show too little for further steps."""
_FIRST, _SECOND = 0.35, 0.72
"""What the first and the second step let through."""
_NEAREST = 2
"""Candidates that an image keeps after the first step, besides the sure ones."""
_FINE_SIDE = 64
_BLOCK = 2048

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

    def blocks(self) -> Iterator[Float]:
        """Yield the fingerprints, (block, SIDE * SIDE) at a time."""
        for start in range(0, len(self.rows), _BLOCK):
            yield fingerprints(self.pixels[self.rows[start : start + _BLOCK]])


def near_duplicates(a: Pixels, b: Pixels, threshold: float = THRESHOLD) -> tuple[Match, ...]:
    """Return the pairs of images of ``a`` and of ``b`` that show one film, in ascending order.

    Of an image of ``a``, every copy in ``b`` is found; as films cropped anew or drawn on, the two images of
    ``b`` that look most like it are considered.

    Parameters
    ----------
    a, b: (n, size, size) and (m, size, size) uint8, best from 64 up; ``b`` may be a long memory map. Of
        images under 32 px only outright copies are found.
    threshold: similarity from which two images count as one film.
    """
    sources = [Images(b, np.arange(len(b)))]
    return search(Images(a, np.arange(len(a))), sources, threshold)


def search(images: Images, sources: Sequence[Images], threshold: float = THRESHOLD) -> tuple[Match, ...]:
    """Return which of ``images`` (as ``a``) show a film that one of ``sources`` (as ``b``) holds too.

    As :func:`near_duplicates`, but for rows of several collections at once.
    """
    if len(images) == 0 or not any(len(source) for source in sources):
        return ()
    prints = np.concatenate(list(images.blocks()))
    candidates = _nearest(prints, sources)
    similarity = candidates.product.astype(np.float64)
    unsure = np.flatnonzero(np.abs(candidates.product) < _SURE)
    if min(part.pixels.shape[1] for part in (images, *sources)) < SIDE:
        threshold = max(threshold, _TINY)
    elif len(unsure):
        similarity[unsure] = _registered(candidates[unsure], images, prints, sources)
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
    """Pairs that a step let through, one an element.

    ``image`` and ``other`` are positions among the rows of the images and of their ``source``; ``product`` is
    that of the fingerprints, below 0 for a negative; ``mirrored`` says that the image was mirrored for it.
    """

    image: Rows
    source: Rows
    other: Rows
    product: Float
    mirrored: npt.NDArray[np.bool_]

    def __getitem__(self, chosen: npt.NDArray[np.bool_] | Rows) -> _Candidates:
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


def _nearest(prints: Float, sources: Sequence[Images]) -> _Candidates:
    """Compare every pair as it is and mirrored, a block at a time."""
    empty = np.zeros(0, dtype=np.int64)
    found = _Candidates(empty, empty, empty, np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.bool_))
    even, odd = _parity(prints)
    for number, source in enumerate(sources):
        start = 0
        for block in source.blocks():
            other_even, other_odd = _parity(block)
            for first in range(0, len(prints), _BLOCK):
                part = slice(first, first + _BLOCK)
                alike, opposed = even[part] @ other_even.T, odd[part] @ other_odd.T
                for mirrored, products in ((False, alike + opposed), (True, alike - opposed)):
                    row, column = np.nonzero(np.abs(products) >= found.floor(len(prints))[part, None])
                    found = found.joined(
                        _Candidates(
                            row + first,
                            np.full(len(row), number),
                            column + start,
                            products[row, column],
                            np.full(len(row), mirrored),
                        )
                    )
            start += len(block)
    return found


def _parity(prints: Float) -> tuple[Float, Float]:
    """Return what mirroring keeps of fingerprints and what it negates, half as long each.

    The sum of the products of both is the fingerprints' product, the difference that with one mirrored.
    """
    left, right = np.split(_square(prints), 2, axis=-1)
    right = right[..., ::-1]
    root = np.float32(np.sqrt(0.5))
    flat = (len(prints), SIDE * SIDE // 2)
    return ((left + right) * root).reshape(flat), ((left - right) * root).reshape(flat)


def _registered(
    candidates: _Candidates, images: Images, prints: Float, sources: Sequence[Images]
) -> npt.NDArray[np.float64]:
    """Return the similarity of each candidate once crop and size are undone; 0 for clearly another film."""
    others = _fingerprints_of(candidates, sources)
    # The fingerprint of a negative is the fingerprint's negative.
    sign = np.where(candidates.product < 0, np.float32(-1), np.float32(1))
    result = np.zeros(len(sign))
    group = candidates.image * 2 + candidates.mirrored
    order = np.argsort(group, kind="stable")
    for chosen in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        image, mirrored = candidates.image[chosen[0]], bool(candidates.mirrored[chosen[0]])
        coarse = _square(_mirror(prints[image]) if mirrored else prints[image])
        placed, placements = Placer(coarse).place(_square(others[chosen]) * sign[chosen, None, None])
        for k, value, placement in zip(chosen, placed, placements, strict=True):
            if value >= _SECOND:
                source = sources[candidates.source[k]]
                pixels = images.pixels[images.rows[image]]
                other = source.pixels[source.rows[candidates.other[k]]]
                moving = coarse, detail((pixels[:, ::-1] if mirrored else pixels)[None], _FINE_SIDE)[0]
                fixed = _square(others[k]) * sign[k], detail(other[None], _FINE_SIDE)[0] * sign[k]
                result[k] = sign[k] * _polished(moving, fixed, placement)
    return result


def _fingerprints_of(candidates: _Candidates, sources: Sequence[Images]) -> Float:
    result = np.empty((len(candidates.image), SIDE * SIDE), dtype=np.float32)
    for number, source in enumerate(sources):
        chosen = np.flatnonzero(candidates.source == number)
        once, place = np.unique(candidates.other[chosen], return_inverse=True)
        if len(once):
            result[chosen] = np.concatenate(list(Images(source.pixels, source.rows[once]).blocks()))[place]
    return result


def _polished(moving: tuple[Float, Float], fixed: tuple[Float, Float], placement: Placement) -> float:
    """Return the correlation of fine detail, from a placement found on coarse detail."""
    if placement[0] > 0:
        # Reducing an image keeps more of its detail than enlarging it.
        moving, fixed, placement = fixed, moving, inverse(placement)
    _, placement = polish(fixed[0], moving[0], placement, steps=60)
    similarity, _ = polish(fixed[1], moving[1], placement, steps=100)
    return max(similarity, 0.0)


def _square(prints: Float) -> Float:
    return prints.reshape(*prints.shape[:-1], SIDE, SIDE)


def _mirror(prints: Float) -> Float:
    return _square(prints)[..., ::-1].reshape(prints.shape)
