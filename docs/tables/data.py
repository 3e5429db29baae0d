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
            ", ".join(f"{reason} ({number})" for reason, number in row["left_out"].items()) or "-",
        )
        for tree, row in found.items()
    ]
    headers = ("tree", "listed", "read", "odd films", "exit code", "seconds", "left out")
    return markdown(headers, body, "left")


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
                f"{ALL / reckoned(one, two) / 60:.0f} min",
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
