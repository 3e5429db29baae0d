"""Where two parts of a role's images part: images, patients, labels, pixels, in this order."""

from __future__ import annotations

import numpy as np

from cxrbench.trace.fingerprints import unpacked
from cxrbench.trace.parting import Parting
from cxrbench.trace.records import PartTrace


def part_parting(now: PartTrace, before: PartTrace) -> Parting | None:
    """Return the first thing in which the two differ, with how many images it is; None where nothing does."""
    where = f"role {now.role}, {now.part} part" + (f", fold {now.fold}" if now.fold else "")
    if now.label_names != before.label_names:
        shown = [", ".join(part.label_names) for part in (now, before)]
        return Parting("labels", where, "labels", shown[0], shown[1], "other labels are asked for")
    if now.ids != before.ids:
        return _images(where, now, before)
    if now.patients != before.patients:
        counts = str(now.patients), str(before.patients)
        return Parting("images", where, "patients of the same images", *counts, "other patient ids")
    if now.labels != before.labels:
        differ = _labels(now) != _labels(before)
        what = f"labels of {differ.any(axis=1).sum()} of {now.images} images"
        usually = "labels were changed, or uncertain ones are taken in another way"
        return Parting("labels", where, what, _counts(now), _counts(before), usually)
    if now.pixels != before.pixels:
        return _pixels(where, now, before)
    return None


def _images(where: str, now: PartTrace, before: PartTrace) -> Parting:
    a, b = unpacked(now.ids, np.uint32), unpacked(before.ids, np.uint32)
    new, gone = len(np.setdiff1d(a, b)), len(np.setdiff1d(b, a))
    if not new and not gone:
        usually = "the same images in another order, or some of them twice"
    elif now.images == before.images and now.patients > before.patients:
        usually = "another split: by image instead of by patient?"
    else:
        usually = "another split or limit, files that are missing or new, or another part was taken"
    return Parting(
        "images",
        where,
        f"images ({new} are new, {gone} are gone)",
        f"{now.images} of {now.patients} patients",
        f"{before.images} of {before.patients} patients",
        usually,
    )


def _pixels(where: str, now: PartTrace, before: PartTrace) -> Parting:
    differ = int((unpacked(now.pixels, np.uint32) != unpacked(before.pixels, np.uint32)).sum())
    if differ < now.images:
        usually = "some films are read in another way; MONOCHROME1 not inverted?"
    elif abs(now.pixel_mean - before.pixel_mean) > 0.05:
        usually = "all films are read in another way: inverted, or another window"
    else:
        usually = "another resize filter, reader or phantom"
    return Parting(
        "pixels",
        where,
        f"pixels of {differ} of {now.images} images",
        f"mean {now.pixel_mean:.5f}, SD {now.pixel_sd:.5f}",
        f"mean {before.pixel_mean:.5f}, SD {before.pixel_sd:.5f}",
        usually,
    )


def _labels(part: PartTrace) -> np.ndarray[tuple[int, ...], np.dtype[np.uint64]]:
    return unpacked(part.labels, np.uint8).reshape(part.images, len(part.label_names))


def _counts(part: PartTrace) -> str:
    counted = zip(part.label_names, part.positive, part.negative, part.unknown, strict=True)
    return "; ".join(
        f"{name} {positive} positive, {negative} negative" + (f", {unknown} unknown" if unknown else "")
        for name, positive, negative, unknown in counted
    )
