"""The summary in GitHub-flavoured Markdown, such as a pull request or a CI job shows it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tabulate import tabulate

from cxrbench.report.content import (
    SYNTHETIC,
    banner,
    column_notes,
    has_control,
    omnibus_text,
    p_against_control,
    provenance,
    sample_text,
    short_target,
)
from cxrbench.report.redact import without_paths
from cxrbench.report.text import decimal, interval, p_value, seconds, signed, signed_interval
from cxrbench.text import one_line

if TYPE_CHECKING:
    from cxrbench.study.results import Results, SeedComparison

# What starts emphasis, code, a table cell, a tag or a link anywhere in a line.
_SPECIAL = re.compile(r"[\\`*_|~]|(?<=\])\(")


def summary(results: Results) -> str:
    """Return schemes, verdicts, all pairs and provenance as GitHub-flavoured Markdown.

    Names, titles and sentences are escaped, and absolute paths in them are cut to the file's name.
    """
    cleaned = without_paths(results)
    blocks = [f"# {_escaped(cleaned.title)}", f"> {_escaped(banner(cleaned))}", _schemes(cleaned)]
    blocks.append(_list([*column_notes(cleaned), f"test part: {sample_text(cleaned)}"]))
    blocks.append("## Verdicts")
    blocks.append(_list([f"{scheme.name}: {scheme.verdict.sentence}" for scheme in cleaned.schemes]))
    for comparison in cleaned.comparisons:
        blocks += _pairs(comparison, several=len(cleaned.seeds) > 1)
    blocks.append("## Provenance")
    blocks.append(_table(["", ""], ["left", "left"], [list(row) for row in provenance(cleaned)]))
    if cleaned.synthetic:
        blocks.append(_escaped(SYNTHETIC))
    return "\n\n".join(blocks) + "\n"


def _schemes(results: Results) -> str:
    mean = " (mean of seeds)" if len(results.seeds) > 1 else ""
    headers = ["scheme", "notation", f"AUC{mean}", "95% interval", "target", "verdict"]
    headers += ["p against control (Holm)"] if has_control(results) else []
    rows = []
    for scheme in results.schemes:
        row = [
            scheme.name,
            scheme.notation,
            decimal(scheme.auc),
            interval(scheme.ci_low, scheme.ci_high),
            short_target(results, scheme),
            scheme.verdict.outcome,
        ]
        row += [p_against_control(results, scheme)] if has_control(results) else []
        rows.append([*row, seconds(scheme.train_seconds)])
    alignments = ["left", "left", "right", "left", "left", "left", *["right"] * (len(headers) - 5)]
    return _table([*headers, "seconds"], alignments, rows)


def _pairs(comparison: SeedComparison, *, several: bool) -> list[str]:
    rows = [
        [
            pair.a,
            pair.b,
            signed(pair.difference),
            signed_interval(pair.ci_low, pair.ci_high),
            p_value(pair.p_value),
            p_value(pair.p_adjusted),
            pair.note or "",
        ]
        for pair in comparison.pairs
    ]
    headers = ["a", "b", "AUC of a minus b", "95% interval", "p", "p (Holm)", "note"]
    alignments = ["left", "left", "right", "left", "right", "right", "left"]
    if not any(pair.note for pair in comparison.pairs):
        headers, alignments, rows = headers[:-1], alignments[:-1], [row[:-1] for row in rows]
    blocks = [f"## All pairs, seed {comparison.seed}" if several else "## All pairs"]
    blocks.append(_table(headers, alignments, rows))
    if comparison.omnibus is not None:
        blocks.append(_escaped(f"All AUCs equal: {omnibus_text(comparison.omnibus)}"))
    return blocks


def _table(headers: Sequence[str], alignments: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return tabulate(
        [[_escaped(cell) for cell in row] for row in rows],
        headers=[_escaped(header) for header in headers],
        tablefmt="pipe",
        colalign=alignments,
        disable_numparse=True,
    )


def _list(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {_escaped(sentence)}" for sentence in sentences)


def _escaped(text: str) -> str:
    """Return ``text`` as Markdown that shows just this text, on one line."""
    escaped = _SPECIAL.sub(r"\\\g<0>", one_line(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;")
