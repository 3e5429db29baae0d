"""The table of docs/supply.md."""

from __future__ import annotations

import csv

from evidence import DOCS, markdown


def licences() -> str:
    """Every package that an extra brings, and its licence."""
    with (DOCS / "supply" / "licences.csv").open(encoding="utf-8", newline="") as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    return markdown(("package", "version", "licence", "extra"), rows, cells="left")
