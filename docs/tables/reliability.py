"""The tables of docs/reliability.md, from what docs/reliability/measure.py found."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from evidence import DOCS, markdown

FOLDER = DOCS / "reliability"
SHOWN = {
    "images": "image files (DICOM, PNG, JPEG)",
    "tables": "tables and lists of data sets",
    "csv": "predictions, CSV",
    "parquet": "predictions, Parquet",
    "toml": "profiles",
}


def parts(name: str) -> list[dict[str, Any]]:
    path = FOLDER / f"{name}.json"
    return list(json.loads(path.read_text(encoding="utf-8")).values()) if path.exists() else []


def rows(name: str) -> list[dict[str, Any]]:
    return [row for part in parts(name) for row in part["rows"]]


def measured(*names: str) -> Callable[[Callable[[], str]], Callable[[], str]]:
    """Say so in place of a table where nothing was measured."""

    def decorate(table: Callable[[], str]) -> Callable[[], str]:
        return lambda: table() if all(map(parts, names)) else "*Not measured yet.*"

    return decorate


@measured("own")
def own() -> str:
    """Mutations of cxrbench's own files, by kind of file."""
    tally: Counter[str] = Counter()
    for part in parts("own"):
        tally.update(part["tally"])
    wrong = Counter(
        line.split(" ", 1)[1].partition(":")[0] for part in parts("own") for line in part["wrong"]
    )
    kinds = sorted({name.rpartition(": ")[0] for name in tally})
    outcomes = ("refused", "made again", "nothing changed")
    counted = [(kind, [tally[f"{kind}: {outcome}"] for outcome in outcomes]) for kind in kinds]
    body = [(kind, f"{sum(n) + wrong[kind]:,}", *map(str, n), str(wrong[kind])) for kind, n in counted]
    sums = [sum(n[column] for _, n in counted) for column in range(3)]
    all_wrong = sum(wrong.values())
    body.append(("all", f"{sum(sums) + all_wrong:,}", *(f"{n:,}" for n in sums), str(all_wrong)))
    return markdown(("file", "damaged", "refused", "made again, said", "says the same", "wrong"), body)


@measured("images", "tables", "texts")
def fuzz() -> str:
    """Mutations of users' files and of our own: outcomes, the slowest, the largest memory."""
    body, total = [], [0, 0, 0, 0]
    for name, shown in (*(item for item in SHOWN.items() if item[0] in ("images", "tables")), ("texts", "")):
        found = parts(name)
        kinds = [name] if shown else ["csv", "parquet", "toml"]
        for kind in kinds:
            tally: Counter[str] = Counter()
            for part in found:
                for outcome, number in part["tally"].items():
                    if shown or outcome.startswith(kind):
                        tally[outcome.split()[-1]] += number
            wrong = (
                sum(len(part["wrong"]) for part in found)
                if shown
                else sum(f" {kind}: " in line for part in found for line in part["wrong"])
            )
            used = tally["read"] + tally["used"]
            counts = [used + tally["refused"] + wrong, used, tally["refused"], wrong]
            total = [a + b for a, b in zip(total, counts, strict=True)]
            slowest = max((part["slowest"] for part in found), default=0.0)
            largest = max((part["largest"] for part in found), default=0)
            body.append(
                (shown or SHOWN[kind], *(f"{n:,}" for n in counts), f"{slowest:.2f} s", f"{largest:,} MiB")
            )
    body.append(("all", *(f"{n:,}" for n in total), "", ""))
    return markdown(("file", "damaged", "used", "refused", "wrong", "slowest", "largest memory"), body)


@measured("kills")
def kills() -> str:
    """Studies killed at random moments and at every write."""
    writes = max(part["writes"] for part in parts("kills"))
    found = {
        "at a random moment": [row for row in rows("kills") if row["at"].endswith(" s")],
        f"before one of its {writes} writes": [row for row in rows("kills") if not row["at"].endswith(" s")],
    }
    body = [
        (
            what,
            str(len(kills)),
            *(
                str(sum(bool(row[name]) for row in kills))
                for name in ("killed", "left", "went_on", "identical")
            ),
            str(sum(bool(row["left_at_the_end"]) for row in kills)),
        )
        for what, kills in found.items()
    ]
    headers = (
        *("kill -9", "tried", "hit a running study", "left half a file"),
        *("went on", "identical predictions", "leftovers at the end"),
    )
    return markdown(headers, body)


@measured("damage")
def damage() -> str:
    """A finished study with a damaged file."""
    body = [(row["case"], row["outcome"]) for row in rows("damage")]
    return markdown(("what is damaged", "the same command again"), body, cells="left")


@measured("disk")
def disk() -> str:
    """Full and read-only disks."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for name, part in json.loads((FOLDER / "disk.json").read_text(encoding="utf-8")).items():
        kind = name.removeprefix("disk-").rpartition("-")[0] or "tmpfs"
        for row in part["rows"]:
            shown = {"full": "full, simulated at a write", "read-only": "read-only, simulated at a write"}
            label = shown.get(kind) or f"{row['what'].partition(',')[0].partition(' at')[0]}, tmpfs"
            groups.setdefault(label, []).append(row)
    body = [
        (
            label,
            str(len(found)),
            str(sum(row["code"] == 0 for row in found)),
            str(sum(row["in_one_line"] for row in found)),
            str(sum(row["code"] != 0 and not row["in_one_line"] for row in found)),
            str(sum(row["identical"] for row in found)),
            str(sum(bool(row["left"]) for row in found)),
        )
        for label, found in groups.items()
    ]
    headers = ("disk", "tried", "finished", "one line", "otherwise", "then identical", "leftovers")
    return markdown(headers, body)


def digests() -> str:
    """What digests cost a study from nothing and a finished one."""
    found = json.loads((FOLDER / "digests.json").read_text(encoding="utf-8"))["studies"]
    body = [
        (name, f"{row['seconds']:.1f}", f"{row['digests']:.2f}", f"{row['digests'] / row['seconds']:.1%}")
        for name, row in found.items()
    ]
    return markdown(("`phantom-small`", "seconds", "of these for digests", "share"), body)


@measured("bombs")
def bombs() -> str:
    """What reading small files that promise much takes."""
    by_file: dict[str, list[dict[str, Any]]] = {}
    for row in rows("bombs"):
        by_file.setdefault(row["file"], []).append(row)
    body = [
        (
            name,
            f"{found[0]['bytes'] / 2**20:,.2f} MiB",
            " / ".join(dict.fromkeys(row["outcome"] for row in found)),
            f"{max(row['mebibytes'] for row in found):,} MiB",
            f"{max(row['seconds'] for row in found):.2f} s",
        )
        for name, found in by_file.items()
    ]
    return markdown(("file", "size", "outcome", "largest memory", "slowest"), body)
