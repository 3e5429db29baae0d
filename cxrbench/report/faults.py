"""What is seen of planted faults, as a person reads it: for a terminal, and as GitHub-flavoured Markdown."""

from __future__ import annotations

from tabulate import tabulate

from cxrbench.faults.records import AUDIT, ELSEWHERE, TRACE, FaultRow, Sensitivity
from cxrbench.report.content import SYNTHETIC
from cxrbench.report.markup import bullets, escaped, table
from cxrbench.report.text import decimal, signed, signed_interval
from cxrbench.text import plural

_HEADERS = (
    "fault",
    "trace",
    "other machine",
    "gate",
    "target",
    AUDIT,
    "difference of AUC (95%)",
    "seconds",
    "seen",
)
_ALIGNED = ("left",) * 6 + ("left", "right", "left")


def faults_text(sensitivity: Sensitivity) -> str:
    """Return the table and what was done, for a terminal."""
    rows = tabulate(_rows(sensitivity), headers=_HEADERS, colalign=_ALIGNED, disable_numparse=True)
    return "\n".join((*_heading(sensitivity), "", rows, "", *_lines(sensitivity)))


def faults_markdown(sensitivity: Sensitivity) -> str:
    """Return the same as GitHub-flavoured Markdown."""
    heading = [escaped(line) for line in _heading(sensitivity)]
    parts = ("# What the instrument sees", *heading, faults_table(sensitivity), bullets(_lines(sensitivity)))
    return "\n\n".join(parts) + "\n"


def faults_table(sensitivity: Sensitivity) -> str:
    """Return one line per fault, in Markdown."""
    return table(_HEADERS, _ALIGNED, _rows(sensitivity))


def _heading(sensitivity: Sensitivity) -> list[str]:
    seeds = ", ".join(map(str, sensitivity.seeds))
    first = (
        f"Profile {sensitivity.profile}, scheme {sensitivity.scheme} ({sensitivity.notation}), "
        f"seeds {seeds}; {plural(sensitivity.n_images, 'test image')} of "
        f"{plural(sensitivity.n_patients, 'patient')}; margin of the gate {sensitivity.margin:g}; target "
        f"{sensitivity.target or 'not stated'}."
    )
    return [first, *([SYNTHETIC] if sensitivity.synthetic else [])]


def _rows(sensitivity: Sensitivity) -> list[list[str]]:
    return [_cells(row) for row in sensitivity.rows]


def _cells(row: FaultRow) -> list[str]:
    m = row.measured
    if m is None and not row.applied:
        return [row.fault, "", "", "", "", "", "", "", "not applicable"]
    # Measured before there were traces.
    old = row.seconds is None
    return [
        row.fault,
        "not measured" if old else "another experiment" if TRACE in row.seen_by else "the same",
        "not measured" if old else "another experiment" if ELSEWHERE in row.seen_by else "the same",
        m.gate.outcome if m else "not comparable",
        m.target.outcome if m and m.target else "none",
        "finds it" if AUDIT in row.seen_by else "",
        f"{signed(m.difference)} {signed_interval(m.ci_low, m.ci_high)}" if m else "",
        "" if row.seconds is None else decimal(row.seconds, 1),
        _seen(row),
    ]


def _seen(row: FaultRow) -> str:
    if row.seen:
        return "seen"
    return f"unseen (the {AUDIT} finds it)" if AUDIT in row.seen_by else "unseen"


def _lines(sensitivity: Sensitivity) -> list[str]:
    lines = []
    for row in sensitivity.rows:
        details = [row.what, row.applied, row.audit, row.not_applicable, row.named]
        lines.append(f"{row.fault}: {'; '.join(detail for detail in details if detail)}")
    return [*lines, f"unseen: {'; '.join(sensitivity.unseen) or 'nothing'}"]
