"""The summary in GitHub-flavoured Markdown, such as a pull request or a CI job shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cxrbench.report.content import (
    SYNTHETIC,
    answer,
    banner,
    column_notes,
    has_control,
    omnibus_text,
    p_against_control,
    provenance,
    sample_text,
    short_target,
)
from cxrbench.report.doubt import shortcut_table, subgroup_table
from cxrbench.report.further import further_table, own_table
from cxrbench.report.markup import bullets, escaped, table
from cxrbench.report.redact import without_paths
from cxrbench.report.text import decimal, interval, p_value, seconds, signed, signed_interval

if TYPE_CHECKING:
    from cxrbench.statistics.records import Pair
    from cxrbench.study.results import Results, SchemePair


def summary(results: Results) -> str:
    """Return schemes, verdicts, all pairs and provenance as GitHub-flavoured Markdown.

    Names, titles and sentences are escaped, and absolute paths in them are cut to the file's name.
    """
    cleaned = without_paths(results)
    blocks = [f"# {escaped(cleaned.title)}", f"> {escaped(banner(cleaned))}"]
    blocks += [f"**{escaped(answer(cleaned))}**", _schemes(cleaned)]
    blocks.append(bullets([*column_notes(cleaned), f"test part: {sample_text(cleaned)}"]))
    blocks.append("## Verdicts")
    blocks.append(bullets([f"{scheme.name}: {scheme.verdict.sentence}" for scheme in cleaned.schemes]))
    if len(cleaned.seeds) > 1 and cleaned.pairs:
        blocks += ["## All pairs, over the seeds", _pairs(cleaned.pairs)]
    for comparison in cleaned.comparisons:
        blocks.append(f"## All pairs, seed {comparison.seed}" if len(cleaned.seeds) > 1 else "## All pairs")
        blocks.append(_pairs(comparison.pairs, [pair.note or "" for pair in comparison.pairs]))
        if comparison.omnibus is not None:
            blocks.append(escaped(f"All AUCs equal: {omnibus_text(comparison.omnibus)}"))
    for title, found in (
        ("## Further tests", further_table(cleaned)),
        ("## Supplemental stages on their own tests", own_table(cleaned)),
        ("## What else could tell them apart", shortcut_table(cleaned)),
        ("## Schemes against the control, by subgroup", subgroup_table(cleaned)),
    ):
        if found is not None:
            headers, rows = found
            blocks += [title, table(headers, ["left"] * len(headers), rows)]
    blocks.append("## Provenance")
    blocks.append(table(["", ""], ["left", "left"], [list(row) for row in provenance(cleaned)]))
    if cleaned.synthetic:
        blocks.append(escaped(SYNTHETIC))
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
            short_target(scheme),
            scheme.verdict.outcome,
        ]
        row += [p_against_control(results, scheme)] if has_control(results) else []
        rows.append([*row, seconds(scheme.train_seconds)])
    alignments = ["left", "left", "right", "left", "left", "left", *["right"] * (len(headers) - 5)]
    return table([*headers, "seconds"], alignments, rows)


def _pairs(pairs: Sequence[SchemePair | Pair], notes: Sequence[str] = ()) -> str:
    rows = [
        [
            pair.a,
            pair.b,
            signed(pair.difference),
            signed_interval(pair.ci_low, pair.ci_high),
            p_value(pair.p_value),
            p_value(pair.p_adjusted),
        ]
        for pair in pairs
    ]
    headers = ["a", "b", "AUC of a minus b", "95% interval", "p", "p (Holm)"]
    alignments = ["left", "left", "right", "left", "right", "right"]
    if any(notes):
        headers, alignments = [*headers, "note"], [*alignments, "left"]
        rows = [[*row, note] for row, note in zip(rows, notes, strict=True)]
    return table(headers, alignments, rows)
