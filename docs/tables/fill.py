"""Fill the tables of the documentation from the evidence files, or check that they are filled.

    python docs/tables/fill.py            # write them
    python docs/tables/fill.py --check    # exit code 1, and what differs, where they are not

A page marks the place:

    <!-- table: calibration/schemes -->
    ...
    <!-- end -->

Between the two lines goes what the function ``schemes`` of ``calibration.py``, next to this file, returns.
Another table is another function, or another file.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path

DOCS = Path(__file__).parents[1]
START = "<!-- table:"
MARKED = re.compile(r"^<!-- table: ([a-z_]+)/([a-z_]+) -->\n(.*?)^<!-- end -->$", re.MULTILINE | re.DOTALL)


def generator(module: str, name: str) -> Callable[[], str]:
    """Return the function ``name`` of ``module``.py in this folder."""
    try:
        found: Callable[[], str] = getattr(importlib.import_module(module), name)
    except (ModuleNotFoundError, AttributeError):
        raise SystemExit(
            f"no table {module}/{name}: write a function {name} in docs/tables/{module}.py"
        ) from None
    return found


def filled(text: str, find: Callable[[str, str], Callable[[], str]] = generator) -> str:
    """Return the page ``text`` with every marked place filled."""

    def fill(match: re.Match[str]) -> str:
        module, name, _ = match.groups()
        return f"<!-- table: {module}/{name} -->\n\n{find(module, name)().strip()}\n\n<!-- end -->"

    if len(MARKED.findall(text)) != text.count(START):
        raise SystemExit(
            f"a '{START} MODULE/NAME -->' has no '<!-- end -->' on a line of its own, or is misspelt"
        )
    return MARKED.sub(fill, text)


def main(arguments: list[str]) -> int:
    """Fill or check every page; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 where a page would change"
    )
    check = parser.parse_args(arguments).check
    differs = False
    for page in [DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md"))]:
        old = page.read_text(encoding="utf-8")
        new = filled(old)
        if new == old:
            continue
        name = page.relative_to(DOCS.parent).as_posix()
        if check:
            differs = True
            lines = difflib.unified_diff(
                old.splitlines(), new.splitlines(), name, "the evidence", lineterm=""
            )
            print("\n".join(lines))
        else:
            page.write_text(new, encoding="utf-8")
            print(f"filled {name}")
    if differs:
        print("run python docs/tables/fill.py and commit what it writes", file=sys.stderr)
    return int(differs)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
