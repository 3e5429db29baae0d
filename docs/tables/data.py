"""The tables of docs/data.md, from what the scripts in docs/data/ found."""

from __future__ import annotations

import json

from evidence import DOCS, markdown

FOLDER = DOCS / "data"


def fixtures() -> str:
    """What `cxrbench data check` finds in the trees of fixtures/."""
    found = json.loads((FOLDER / "fixtures.json").read_text(encoding="utf-8"))
    body = [
        (
            f"`{tree}`",
            str(row["listed"]),
            f"{row['read']} of {row['images']}",
            str(row["odd"]),
            str(row["exit_code"]),
            f"{row['seconds']:.2f}",
            _tally(row["left_out"]),
        )
        for tree, row in found.items()
    ]
    headers = ("tree", "listed", "read", "odd films", "exit code", "seconds", "left out")
    return markdown(headers, body, "left")


def real() -> str:
    """What `cxrbench data check` finds in four real folders."""
    found = json.loads((FOLDER / "real.json").read_text(encoding="utf-8"))
    body = [
        (
            f"`{name}`",
            f"{row['listed']:,}",
            f"{row['read']:,} of {row['images']:,}",
            f"{row['patients']:,}",
            _positives(row["labels"]),
            _tally(row["refused"]),
            _tally(row["faults"]),
            str(row["exit_code"]),
            f"{row['seconds']:.1f}",
            _tally(row["left_out"]),
        )
        for name, row in found.items()
    ]
    headers = ("data set", "listed", "read", "patients", "positive", "refused", "odd films", "exit code")
    return markdown((*headers, "seconds", "left out"), body, "left")


def _positives(labels: dict[str, dict[str, int]]) -> str:
    """Return the positives of the one label, or from the rarest of several to the commonest."""
    counts = sorted((counts["positive"], label) for label, counts in labels.items())
    if len(counts) == 1:
        return f"{counts[0][0]:,} ({counts[0][1]})"
    return f"{len(counts)} labels, {counts[0][0]:,} ({counts[0][1]}) to {counts[-1][0]:,} ({counts[-1][1]})"


def _tally(numbers: dict[str, int]) -> str:
    return ", ".join(f"{reason} ({number})" for reason, number in numbers.items()) or "-"


SHOWN = {
    "PNG": "PNG, 1,024 px",
    "JPEG": "JPEG, 1,024 px",
    "DICOM native": "DICOM, 2,500 px, 12 bits, uncompressed",
    "DICOM JPEG Lossless": "the same as JPEG Lossless",
    "DICOM JPEG 2000": "the same as JPEG 2000, with a window",
}
ALL = 112_120
"""Films of ChestX-ray14."""
CORES = 16


def duration(seconds: float) -> str:
    """Return whole minutes, or seconds where there are few."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def reckoned(one: float, two: float) -> float:
    """Return films per second on :data:`CORES` cores, from those on one and on two, by Amdahl's law."""
    alone = min(1.0, max(0.0, 2 * one / two - 1))
    return one / (alone + (1 - alone) / CORES)


def reading() -> str:
    """Films per second on one core and on two, next to torchxrayvision's."""
    found = json.loads((FOLDER / "reading.json").read_text(encoding="utf-8"))["films"]
    body = []
    for form, shown in SHOWN.items():
        (one, two), (peer, peers) = ([found[form][who][cores] for cores in "12"] for who in ("ours", "peer"))
        body.append(
            (
                shown,
                f"{one:.3g}",
                f"{one / peer:.1f}",
                f"{two:.3g}",
                f"{two / peers:.1f}",
                f"{two / one:.2f}",
                duration(ALL / reckoned(one, two)),
            )
        )
    headers = (
        "film",
        "films/s, one core",
        "times torchxrayvision's",
        "films/s, two cores",
        "times torchxrayvision's",
        "two cores over one",
        f"{ALL:,} films on {CORES} cores, reckoned",
    )
    return markdown(headers, body)
