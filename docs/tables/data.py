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
