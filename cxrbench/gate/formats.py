"""The gate's report as JSON, JUnit XML and Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from xml.etree import ElementTree

from tabulate import tabulate

from cxrbench.gate.rules import GateReport
from cxrbench.statistics.verdicts import Verdict


def checks(report: GateReport) -> Iterator[tuple[str, str, Verdict]]:
    """Yield (group, name, verdict) of everything that was compared."""
    for scheme in report.schemes:
        yield "auc", scheme.scheme, scheme.verdict
    for order in report.order:
        yield "order", f"{order.better} over {order.worse}", order.verdict
    for speed in report.speed:
        yield "speed", speed.what, speed.verdict


def as_json(report: GateReport) -> str:
    """Return the report as JSON at full precision."""
    return json.dumps({"outcome": report.outcome, **asdict(report)}, indent=2, allow_nan=False)


def as_junit(report: GateReport, fail_inconclusive: bool) -> str:
    """Return the report as JUnit XML: one test case a check; inconclusive ones are skipped, or failures."""
    every = list(checks(report))
    failing = {"fail", "inconclusive"} if fail_inconclusive else {"fail"}
    suite = ElementTree.Element(
        "testsuite",
        name="cxrbench gate",
        tests=str(len(every)),
        failures=str(sum(verdict.outcome in failing for _, _, verdict in every)),
        skipped=str(sum(verdict.outcome not in {"pass", *failing} for _, _, verdict in every)),
    )
    for group, name, verdict in every:
        case = ElementTree.SubElement(suite, "testcase", classname=f"cxrbench.gate.{group}", name=name)
        if verdict.outcome in failing:
            ElementTree.SubElement(case, "failure", message=verdict.sentence)
        elif verdict.outcome == "inconclusive":
            ElementTree.SubElement(case, "skipped", message=verdict.sentence)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def as_table(report: GateReport, style: str = "simple") -> str:
    """Return the schemes as a table; ``style`` is one of tabulate's, ``"github"`` for Markdown."""
    rows = [
        (
            check.scheme,
            f"{check.before:.3f}",
            f"{check.now:.3f}",
            f"{check.difference:+.3f} [{check.ci_low:+.3f}, {check.ci_high:+.3f}]",
            f"{check.p_worse_adjusted:.2g}",
            check.verdict.outcome,
        )
        for check in report.schemes
    ]
    headers = ("scheme", "baseline", "now", "difference (95%)", "p worse (Holm)", "verdict")
    return tabulate(rows, headers=headers, tablefmt=style, disable_numparse=True)


def as_text(report: GateReport) -> str:
    """Return the report for a terminal."""
    return "\n".join(
        (f"{report.outcome.upper()}: {headline(report)}", "", as_table(report), "", *_lines(report))
    )


def as_markdown(report: GateReport) -> str:
    """Return the report as GitHub-flavoured Markdown."""
    lines = [f"- {line}" for line in _lines(report)]
    return "\n".join(
        (
            f"### cxrbench gate: {report.outcome}",
            "",
            headline(report),
            "",
            as_table(report, "github"),
            "",
            *lines,
            "",
        )
    )


def headline(report: GateReport) -> str:
    """Return one line: what was compared, on how much."""
    return (
        f"profile {report.profile}, {report.n_images} test images of {report.n_patients} patients, "
        f"margin {report.margin:g}"
    )


def _lines(report: GateReport) -> list[str]:
    shown = [
        f"{group}: {verdict.outcome}: {verdict.sentence}"
        for group, _, verdict in checks(report)
        if group == "speed" or verdict.outcome != "pass"
    ]
    held = sum(check.verdict.outcome == "pass" for check in report.order)
    held_chances = dict.fromkeys(check.chances for check in report.schemes)
    return [
        *(f"the intervals hold the chance of {chances}" for chances in held_chances),
        *shown,
        f"order: {held} of {len(report.order)} certain orders of the baseline hold",
        *report.notes,
    ]
