"""GitHub-flavoured Markdown, whatever the text: escaped, as a table, as a list."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tabulate import tabulate

from cxrbench.text import one_line

# What starts emphasis, code, a table cell, a tag or a link anywhere in a line.
_SPECIAL = re.compile(r"[\\`*_|~]|(?<=\])\(")


def table(headers: Sequence[str], alignments: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return tabulate(
        [[escaped(cell) for cell in row] for row in rows],
        headers=[escaped(header) for header in headers],
        tablefmt="pipe",
        colalign=alignments,
        disable_numparse=True,
    )


def bullets(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {escaped(sentence)}" for sentence in sentences)


def escaped(text: str) -> str:
    """Return ``text`` as Markdown that shows just this text, on one line."""
    escaped = _SPECIAL.sub(r"\\\g<0>", one_line(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;")
