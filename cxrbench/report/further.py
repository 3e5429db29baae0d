"""The schemes on further test cohorts, and supplemental stages on their own tests, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cxrbench.report.text import decimal, interval, p_value, signed, signed_interval

if TYPE_CHECKING:
    from cxrbench.study.results import Results

EXPLAINED = (
    "Difference: the AUC on the study's own test part minus the one on the further test, whose images and "
    "patients are others (unpaired DeLong test)."
)
OWN_EXPLAINED = (
    "A health check, and no result: the supplemental role's first stage on the role's own test part, against "
    "the lowest and the highest AUC that others got, as a rule with far more images and at 224 px."
)

Table = tuple[list[str], list[list[str]]]
"""Headers and rows."""


def own_table(results: Results) -> Table | None:
    """Return each label's AUC on its role's own test part; None where no role has one."""
    headers = ["role", "label", "images", "positive", "AUC", "95% interval", "others got", ""]
    rows = [
        [
            own.role,
            own.label,
            f"{own.images:,}",
            f"{own.positive:,}",
            decimal(own.auc),
            interval(own.ci_low, own.ci_high),
            "–" if own.published is None else f"{own.published[0]:.2f} to {own.published[1]:.2f}",
            "far below: is something wrong?" if own.far_below else "",
        ]
        for own in results.own_tests
    ]
    return (headers, rows) if rows else None


def further_table(results: Results) -> Table | None:
    """Return headers and rows, one per test and scheme; None where the study has no further test."""
    headers = [
        "test",
        "images",
        "scheme",
        "AUC there",
        "95% interval",
        "own AUC",
        "difference",
        "its 95% interval",
        "p",
    ]
    rows = [
        [
            name,
            f"{test.n_images:,}, {test.n_positive:,} positive",
            scheme,
            decimal(found.auc),
            interval(found.ci_low, found.ci_high),
            decimal(results.scheme(scheme).auc),
            signed(found.difference),
            signed_interval(found.difference_low, found.difference_high),
            p_value(found.p_value),
        ]
        for name, test in results.tests.items()
        for scheme, found in test.schemes.items()
    ]
    return (headers, rows) if rows else None
