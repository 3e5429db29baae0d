"""Tables of docs/real.md, docs/paper.md and docs/public.md."""

from __future__ import annotations

import csv
from pathlib import Path

from calibration import schemes_of, verdicts_of
from evidence import DOCS, markdown, rows

REAL = DOCS / "real"


def schemes() -> str:
    """AUC by scheme and seed, spread and standard errors."""
    return schemes_of(rows(REAL / "evidence.csv"))


def verdicts() -> str:
    """Where one seed passes and fails the targets of the profile paediatric-small."""
    return verdicts_of("paediatric-small")


def shortcuts() -> str:
    """The AUC of what is known of a film besides the film, and each scheme's among films alike in it."""
    headers, *body = _read(REAL / "shortcuts.csv")
    names = headers[4:-1]
    table = [
        (
            row[0],
            f"{float(row[1]):.3f} [{float(row[2]):.3f}, {float(row[3]):.3f}]",
            *(_short(c) for c in row[4:-1]),
        )
        for row in body
        if row[1]
    ]
    left_out = "; ".join(f"{row[0]}: {row[-1]}" for row in body if not row[1])
    return markdown(("known of a film", "AUC of it alone", *names), table) + f"\n\nNot looked at: {left_out}."


def subgroups() -> str:
    """The schemes against the control in each subgroup, where the adjusted p-value is below 0.05."""
    _, *body = _read(REAL / "subgroups.csv")
    shown = [
        (by, value, images, f"{a} − {b}", f"{float(d):+.3f}", f"[{float(low):+.3f}, {float(high):+.3f}]", p)
        for by, value, images, _, a, b, d, low, high, _, p in body
        if float(p) < 0.05
    ]
    headers = ("by", "subgroup", "images", "schemes", "difference", "95% interval", "p (Holm)")
    have = "has" if len(shown) == 1 else "have"
    said = f"{len(shown)} of {len(body)} differences {have} a p-value below 0.05."
    return f"{said}\n\n{markdown(headers, shown)}" if shown else said


def covid() -> str:
    """The AUC of what is known of the COVID-19 collection's films besides the film."""
    _, *body = _read(REAL / "covid.csv")
    table = [
        (name, f"{float(auc):.3f} [{float(low):.3f}, {float(high):.3f}]", unknown)
        for name, auc, low, high, unknown, why in body
        if not why
    ]
    return markdown(("known of a film", "AUC of it alone", "films without it"), table)


def borders() -> str:
    """How many films have a border, and how much of the picture it takes."""
    _, *body = _read(REAL / "borders.csv")
    table = [
        (name, films, cut, f"{int(cut) / int(films):.0%}", f"{float(median):.1%}", f"{float(largest):.1%}")
        for name, films, cut, median, largest in body
    ]
    headers = ("data set", "films read", "cropped", "share", "cut off, median", "cut off, most")
    return markdown(headers, table)


def _read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def _short(cell: str) -> str:
    return f"{float(cell):.3f}" if cell else "–"
