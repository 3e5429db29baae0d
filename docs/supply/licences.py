"""List what an installed cxrbench depends on, and under which licences.

    python docs/supply/licences.py            # write licences.csv, next to this file
    python docs/supply/licences.py --check    # exit code 1 where a licence is new or another than it was

What is listed is what the extras bring into the environment that this runs in, dependencies of dependencies
included. Versions are not compared: a new release is no news, a new licence is.
"""

from __future__ import annotations

import csv
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EVIDENCE = Path(__file__).with_name("licences.csv")
PROJECT = Path(__file__).parents[2] / "pyproject.toml"
COLUMNS = ("package", "version", "licence", "extra")
LONGEST = 60


def walk(name: str, extra: str, seen: set[tuple[str, str]]) -> Iterator[str]:
    """Yield the names of what ``name`` with ``extra`` requires here, and of what that requires."""
    if (name, extra) in seen:
        return
    seen.add((name, extra))
    if name == "cxrbench":
        required = own(extra)
    else:
        try:
            required = distribution(name).requires or []
        except PackageNotFoundError:
            # Of another platform, or of an extra that is not installed.
            return
        yield name
    for requirement in map(Requirement, required):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            for wanted in requirement.extras or {""}:
                yield from walk(canonicalize_name(requirement.name), wanted, seen)


def own(extra: str) -> list[str]:
    """Return what pyproject.toml requires for ``extra``, or without any."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    if not extra:
        return list(project["dependencies"])
    return list(project["optional-dependencies"][extra])


def licence(found: Distribution) -> str:
    """Return the licence that a package's metadata states, in one line."""
    stated = found.metadata.get_all("License-Expression") or []
    trove = [
        line.split(" :: ")[-1] for line in found.metadata.get_all("Classifier") or [] if "License" in line
    ]
    text = [line for line in (found.metadata.get("License") or "").splitlines() if line.strip()]
    short = [line.strip() for line in text[:1] if len(line) <= LONGEST]
    return (stated or trove or short or ["not stated"])[0]


def listed() -> list[dict[str, str]]:
    """Return one row per package, with the first extra that brings it."""
    rows: dict[str, dict[str, str]] = {}
    extras = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for extra in ("", *(name for name in extras if name != "dev")):
        for name in sorted(set(walk("cxrbench", extra, set())) - set(rows)):
            found = distribution(name)
            row = (name, found.version, licence(found), extra or "(none)")
            rows[name] = dict(zip(COLUMNS, row, strict=True))
    return list(rows.values())


def main(arguments: list[str]) -> int:
    """Write or check the list; return the exit code."""
    now = listed()
    if arguments == ["--check"]:
        with EVIDENCE.open(encoding="utf-8", newline="") as file:
            known = {row["package"]: row["licence"] for row in csv.DictReader(file)}
        news = [row for row in now if known.get(row["package"]) != row["licence"]]
        for row in news:
            was = known.get(row["package"], "not listed")
            print(f"{row['package']} {row['version']}: {row['licence']} (was: {was})")
        return int(bool(news))
    with EVIDENCE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(now)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
