"""The gate's report as a person reads it: for a terminal, and as GitHub-flavoured Markdown."""

from __future__ import annotations

from tabulate import tabulate

from cxrbench.gate.experiment import Experiment
from cxrbench.gate.rules import GateReport
from cxrbench.report.markup import bullets, escaped, table
from cxrbench.report.text import decimal, p_value, signed, signed_interval
from cxrbench.text import one_line, plural
from cxrbench.trace.text import lines

_HEADERS = ("scheme", "baseline", "now", "difference (95%)", "p worse (Holm)", "verdict")
_ALIGNED = ("left", "right", "right", "left", "right", "left")


def gate_text(report: GateReport) -> str:
    """Return the report for a terminal."""
    rows = tabulate(_rows(report), headers=_HEADERS, colalign=_ALIGNED, disable_numparse=True)
    lines = [one_line(line) for line in _lines(report)]
    return "\n".join((f"{report.outcome.upper()}: {headline(report)}", "", rows, "", *lines))


def gate_markdown(report: GateReport) -> str:
    """Return the report as GitHub-flavoured Markdown."""
    return "\n\n".join(
        (
            f"### cxrbench gate: {report.outcome}",
            escaped(headline(report)),
            table(_HEADERS, _ALIGNED, _rows(report)),
            bullets(_lines(report)) + "\n",
        )
    )


def headline(report: GateReport) -> str:
    """Return one line: what was compared, on how much, and how many checks came out how."""
    outcomes = [verdict.outcome for _, _, verdict in report.checks]
    counted = ", ".join(
        f"{outcomes.count(outcome)} {outcome}"
        for outcome in ("fail", "inconclusive", "pass")
        if outcome in outcomes
    )
    return (
        f"profile {report.profile}, {plural(report.n_images, 'test image')} of "
        f"{plural(report.n_patients, 'patient')}, margin {report.margin:g}; checks: {counted}"
    )


def _rows(report: GateReport) -> list[list[str]]:
    return [
        [
            check.scheme,
            decimal(check.before),
            decimal(check.now),
            f"{signed(check.difference)} {signed_interval(check.ci_low, check.ci_high)}",
            p_value(check.p_worse_adjusted),
            check.verdict.outcome,
        ]
        for check in report.schemes
    ]


def experiment_lines(experiment: Experiment | None) -> list[str]:
    """Return whether the experiment is the baseline's, and where it is not."""
    if experiment is None:
        return ["experiment: neither study nor baseline has a trace, so nothing is known"]
    if experiment.comparison is None:
        return [f"experiment: {experiment.verdict.sentence}"]
    return lines(experiment.comparison, experiment.allowed)


def _lines(report: GateReport) -> list[str]:
    shown = [
        f"{group}: {verdict.outcome}: {verdict.sentence}"
        for group, _, verdict in report.checks
        if group != "experiment" and (group == "speed" or verdict.outcome != "pass")
    ]
    held = sum(check.verdict.outcome == "pass" for check in report.order)
    sources = dict.fromkeys(check.sources for check in report.schemes)
    return [
        *experiment_lines(report.experiment),
        *(f"the intervals hold the variance of {source}" for source in sources),
        *shown,
        f"order: {held} of {len(report.order)} certain orders of the baseline hold",
        *(f"note: {note}" for note in report.notes),
    ]
