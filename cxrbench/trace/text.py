"""A comparison of two traces as lines for a person and as JSON."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict

from cxrbench.text import first_of, plural
from cxrbench.trace.compare import Comparison


def outcome(comparison: Comparison, allowed: Collection[str] = ()) -> str:
    """Return "same" or "changed"; partings of ``allowed`` kinds change nothing."""
    return "changed" if comparison.changed(allowed) else "same"


def lines(comparison: Comparison, allowed: Collection[str] = ()) -> list[str]:
    """Return what the comparison found: the headline, each parting, what follows, what was not compared."""
    changed = comparison.changed(allowed)
    asked = "the same bits" if comparison.exact else "the same numbers within rounding"
    counted = f"{comparison.same} stages and predictions compared, {asked}"
    if not changed:
        headline = f"the same experiment: {counted}"
    else:
        headline = f"the experiment changed: {plural(len(changed), 'parting')}; {counted} elsewhere"
    found = [headline]
    for parting in comparison.partings:
        mark = "allowed" if parting.kind in allowed else "changed"
        found.append(f"{mark} ({parting.kind}): {parting.sentence}")
    if comparison.following:
        shown = first_of(comparison.following, "; ", shown=3)
        found.append(f"after that, and so not compared: {shown}")
    return [*found, *comparison.notes]


def as_json(comparison: Comparison, allowed: Collection[str] = ()) -> str:
    """Return the comparison as JSON; ``outcome`` is that of :func:`outcome`."""
    content = {"outcome": outcome(comparison, allowed), **asdict(comparison)}
    return json.dumps(content, indent=2, allow_nan=False)
