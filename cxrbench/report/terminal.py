"""The table that a benchmark run ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabulate import tabulate

from cxrbench.report.content import (
    SYNTHETIC,
    column_notes,
    device_text,
    has_control,
    p_against_control,
    sample_text,
    seeds_text,
    short_target,
)
from cxrbench.report.text import decimal, seconds
from cxrbench.text import one_line

if TYPE_CHECKING:
    from cxrbench.study.results import Results


def scheme_table(results: Results, width: int | None = None) -> str:
    """Return the schemes with AUC, interval, target, verdict, p against the control and seconds.

    Below the table are how its columns were made, the test part, the device and the seeds, and, where it is
    so, that the radiographs are synthetic.

    Parameters
    ----------
    width: columns of the terminal. Where the table would be wider, the notations are below it instead of in
        it; None takes any width.
    """
    table = _table(results, notation=True)
    below: list[str] = []
    if width is not None and max(len(line) for line in table.splitlines()) > width:
        table = _table(results, notation=False)
        longest = max(len(name) for name in results.names)
        below = ["", *(f"{scheme.name:<{longest}}  {scheme.notation}" for scheme in results.schemes)]
    split = results.roles[results.target].split_hash[:12]
    lines = [
        one_line(results.title),
        "",
        table,
        *below,
        "",
        *column_notes(results),
        f"test part: {sample_text(results)}",
        f"device: {device_text(results)}; {seeds_text(results)}; profile {results.profile}; split {split}",
    ]
    if results.synthetic:
        lines.append(SYNTHETIC)
    return "\n".join(lines)


def _table(results: Results, *, notation: bool) -> str:
    several = len(results.seeds) > 1
    # Header, alignment, one text per scheme.
    columns = [("scheme", "left", [scheme.name for scheme in results.schemes])]
    if notation:
        columns.append(("notation", "left", [scheme.notation for scheme in results.schemes]))
    auc = f"AUC,\nmean of\n{len(results.seeds)} seeds" if several else "AUC"
    columns += [
        (auc, "right", [decimal(scheme.auc) for scheme in results.schemes]),
        (
            "95%\ninterval",
            "left",
            [f"{decimal(scheme.ci_low)}–{decimal(scheme.ci_high)}" for scheme in results.schemes],
        ),
        ("target", "left", [short_target(scheme) for scheme in results.schemes]),
        ("verdict", "left", [scheme.verdict.outcome for scheme in results.schemes]),
    ]
    if has_control(results):
        columns.append(
            (
                "p vs\ncontrol\n(Holm)",
                "right",
                [p_against_control(results, scheme) for scheme in results.schemes],
            )
        )
    columns.append(("seconds", "right", [seconds(scheme.train_seconds) for scheme in results.schemes]))
    headers, alignments, cells = zip(*columns, strict=True)
    return tabulate(
        list(zip(*cells, strict=True)),
        headers=headers,
        tablefmt="simple",
        colalign=alignments,
        disable_numparse=True,
    )
