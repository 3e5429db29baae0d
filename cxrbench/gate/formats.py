"""The gate's report for machines: JSON and JUnit XML."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from cxrbench.files import plain
from cxrbench.gate.rules import GateReport
from cxrbench.text import one_line


def as_json(report: GateReport) -> str:
    """Return the report as JSON at full precision."""
    content = plain(report)
    assert isinstance(content, dict)
    return json.dumps({"outcome": report.outcome, **content}, indent=2, allow_nan=False)


def as_junit(report: GateReport, fail_inconclusive: bool) -> str:
    """Return the report as JUnit XML: one test case per check; inconclusive ones are skipped, or failures.

    Characters that XML cannot hold are left out.
    """
    failing = {"fail", "inconclusive"} if fail_inconclusive else {"fail"}
    outcomes = [verdict.outcome for _, _, verdict in report.checks]
    suite = ElementTree.Element(
        "testsuite",
        name="cxrbench gate",
        tests=str(len(outcomes)),
        failures=str(sum(outcome in failing for outcome in outcomes)),
        skipped=str(sum(outcome not in {"pass", *failing} for outcome in outcomes)),
    )
    for group, name, verdict in report.checks:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"cxrbench.gate.{group}", name=one_line(name)
        )
        if verdict.outcome != "pass":
            kind = "failure" if verdict.outcome in failing else "skipped"
            ElementTree.SubElement(case, kind, message=one_line(verdict.sentence))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
