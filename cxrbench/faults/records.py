"""What was measured, as frozen records, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cxrbench.statistics.verdicts import Verdict

FORMAT = 1
AUDIT = "leak audit"
TRACE = "trace"
ELSEWHERE = "trace of another machine"


PLAIN = ("MONOCHROME1 in the test part", "normalisation forgotten", "wrong parent: untrained")
"""The faults that the AUC on a calibrated profile has to show; the trace sees every one."""


@dataclass(frozen=True)
class Measured:
    """The numbers of one fault: AUC with the fault minus AUC of the study, over all seeds.

    ``p_worse`` is the gate's: one-sided, Holm-adjusted over the study's schemes, where the others did not
    change. ``target`` is None where the profile states no target for the scheme. ``same_scores`` says
    whether every prediction of every seed is that of the study, bit for bit.
    """

    clean: float
    faulty: float
    difference: float
    se: float
    ci_low: float
    ci_high: float
    p_worse: float
    gate: Verdict
    target: Verdict | None
    same_scores: bool


@dataclass(frozen=True)
class FaultRow:
    """One fault: what was done and what was seen.

    applied: what of the data was really changed; empty where no data was.
    measured: None where the fault cannot be planted into this scheme, or tests other images; then
        ``not_applicable`` says why.
    audit: what the leak audit says of the images that were leaked; empty where none were.
    seen_by: :data:`TRACE` where the fault's study is another experiment than the clean one, bit for bit;
        :data:`ELSEWHERE` where it is so within the rounding of other machines; "gate", "target",
        :data:`AUDIT`; empty where nothing sees the fault.
    named: the first place where the traces part, in words. seconds: what training and predicting took.
    """

    fault: str
    what: str
    control: bool
    applied: str
    measured: Measured | None
    not_applicable: str
    audit: str
    seen_by: tuple[str, ...]
    named: str = ""
    seconds: float | None = None

    @property
    def seen(self) -> bool:
        """Whether trace, gate or target sees the fault; what was planted lies behind the audit."""
        return any(who != AUDIT for who in self.seen_by)


@dataclass(frozen=True)
class Sensitivity:
    """All faults of one scheme of one study."""

    profile: str
    synthetic: bool
    calibrated: bool
    scheme: str
    notation: str
    seeds: tuple[int, ...]
    margin: float
    target: str | None
    clean_verdict: Verdict
    n_images: int
    n_positive: int
    n_patients: int
    device: Mapping[str, str | int]
    versions: Mapping[str, str]
    rows: tuple[FaultRow, ...]
    format: int = FORMAT

    def row(self, fault: str) -> FaultRow:
        """Return the row of the fault of that name.

        Raises
        ------
        KeyError: there is none.
        """
        for row in self.rows:
            if row.fault == fault:
                return row
        raise KeyError(fault)

    @property
    def unseen(self) -> tuple[str, ...]:
        """The faults, controls not counted, that were planted and that nothing but the audit sees."""
        planted = (row for row in self.rows if (row.measured or row.applied) and not row.control)
        return tuple(
            f"{row.fault} (behind the {AUDIT})" if AUDIT in row.seen_by else row.fault
            for row in planted
            if not row.seen
        )


def as_json(sensitivity: Sensitivity) -> str:
    """Return everything at full precision."""
    content: dict[str, Any] = {**asdict(sensitivity), "unseen": list(sensitivity.unseen)}
    return json.dumps(content, indent=2, allow_nan=False)
