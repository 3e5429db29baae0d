"""Which films are shown: chosen by a rule and never by hand, the same ones every time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cxrbench.look.kept import Rows, Scored

KINDS = ("true positive", "false positive", "false negative", "true negative")


def examples(image_ids: Sequence[str], count: int) -> Rows:
    """Return the positions of up to ``count`` films: drawn by the digests of their ids, as if by lot."""
    digests = [hashlib.sha256(str(image).encode()).digest() for image in image_ids]
    return np.array(sorted(range(len(digests)), key=digests.__getitem__)[:count], dtype=np.int64)


def kinds(scored: Scored) -> dict[str, npt.NDArray[np.bool_]]:
    """Return kind -> which films are of it."""
    label, called = scored.labels, scored.called
    return dict(zip(KINDS, (label & called, ~label & called, label & ~called, ~label & ~called), strict=True))


def typical(scored: Scored, count: int) -> dict[str, Rows]:
    """Return kind -> the positions of up to ``count`` films of it, evenly spaced by score, none extreme.

    The best and the worst film of a kind would show what is rare.
    """
    found = {}
    for kind, mask in kinds(scored).items():
        positions = np.flatnonzero(mask)
        ordered = positions[np.argsort(scored.scores[positions], kind="stable")]
        places = (np.arange(count) + 1) / (count + 1) * (len(ordered) - 1)
        found[kind] = ordered[np.unique(np.rint(places).astype(np.int64))] if len(ordered) else ordered
    return found
