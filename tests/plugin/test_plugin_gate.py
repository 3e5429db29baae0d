"""``benchmarks/test_gate.py`` from outside: what the gate says of the order becomes pytest's outcome."""

from __future__ import annotations

from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "test_gate.py"

CONFTEST = """
import pytest
from cxrbench.gate.rules import GateReport, OrderCheck
from cxrbench.statistics.verdicts import Verdict

@pytest.fixture(scope="session")
def cxr_gate():
    order = tuple(
        OrderCheck("sequential", "control", 0.1, 0.0, Verdict(outcome, f"the order: {{outcome}}"))
        for outcome in {outcomes!r}
    )
    missing = {{name: Verdict("inconclusive", f"{{name}}: not run") for name in {missing!r}}}
    return GateReport("made-up", 0.05, None, 60, 30, (), missing, order, (), ())
"""


@pytest.fixture
def run(pytester, this_plugin_only):  # noqa: ARG001
    """Return a function that runs the benchmark's test of the order on a gate of the given verdicts."""

    def run(outcomes, *options, missing=()):
        pytester.makeconftest(CONFTEST.format(outcomes=outcomes, missing=missing))
        pytester.makepyfile(test_gate=BENCHMARK.read_text(encoding="utf-8"))
        quiet = ("-p", "no:cacheprovider", "-p", "no:benchmark")
        return pytester.runpytest(*quiet, "--cxr-baseline", "made-up", "-k", "order", *options)

    return run


@pytest.mark.parametrize(
    ("outcomes", "shown"),
    [
        ([], "skipped"),
        (["pass", "pass"], "passed"),
        (["pass", "inconclusive"], "inconclusive"),
        (["inconclusive", "fail"], "failed"),
    ],
)
def test_the_order_is_as_the_gate_says(run, outcomes, shown):
    result = run(outcomes)
    counts = result.parseoutcomes()
    del counts["deselected"]
    assert counts == {shown: 1}
    for outcome in {*outcomes} - {"pass"}:
        result.stdout.fnmatch_lines([f"*the order: {outcome}*"])


@pytest.mark.parametrize(("missing", "shown"), [((), "passed"), (("findings",), "inconclusive")])
def test_a_scheme_of_the_baseline_that_was_not_run_is_inconclusive(run, missing, shown):
    result = run([], "-k", "was_run", missing=missing)
    assert result.parseoutcomes()[shown] == 1
    if missing:
        result.stdout.fnmatch_lines(["*findings: not run*"])


def test_a_scheme_that_the_baseline_has_not_is_inconclusive(run):
    result = run([], "--cxr-scheme", "control", "-k", "no_worse")
    assert result.parseoutcomes()["inconclusive"] == 1
    result.stdout.fnmatch_lines(["*control: the baseline has no such scheme*"])


def test_an_order_turned_round_within_the_uncertainty_can_be_made_to_fail(run):
    assert run(["inconclusive"], "--cxr-fail-inconclusive").parseoutcomes()["failed"] == 1
