"""Did the study do the same as its baseline? By their traces, before any AUC is looked at."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cxrbench.errors import GateError
from cxrbench.statistics.verdicts import Verdict
from cxrbench.study.finished import FinishedStudy
from cxrbench.text import plural
from cxrbench.trace.compare import Comparison, compare_traces
from cxrbench.trace.records import Trace


@dataclass(frozen=True)
class Experiment:
    """The comparison of both traces; None where only one side has one. ``allowed``: kinds that may differ."""

    comparison: Comparison | None
    allowed: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether the experiment is another one than the baseline's, beyond what is allowed."""
        return self.comparison is not None and bool(self.comparison.changed(self.allowed))

    @property
    def verdict(self) -> Verdict:
        """Fail where the experiment changed, inconclusive where nothing was compared."""
        if self.comparison is None:
            return Verdict("inconclusive", "only one of study and baseline has a trace; run the study again")
        changed = self.comparison.changed(self.allowed)
        if changed:
            more = f"; and {plural(len(changed) - 1, 'other parting')}" if len(changed) > 1 else ""
            meant = "; if that is meant, save a new baseline"
            return Verdict("fail", f"the experiment changed: {changed[0].sentence}{more}{meant}")
        if not self.comparison.same:
            return Verdict("inconclusive", "no stage and no prediction of the baseline was run again")
        how = "bit for bit" if self.comparison.exact else "within rounding"
        compared = f"{self.comparison.same} stages and predictions"
        return Verdict("pass", f"the same experiment as the baseline's: {compared} agree {how}")


def same_experiment(
    study: FinishedStudy, baseline: FinishedStudy, allowed: Collection[str] = ()
) -> Experiment | None:
    """Compare what the study did with what its baseline did; None where neither has a trace.

    Raises
    ------
    RecordError: a trace cannot be read. GateError: a trace is not that of the results next to it.
    """
    now, before = study.trace(), baseline.trace()
    for side, trace in ((study, now), (baseline, before)):
        if trace is not None:
            _of_its_results(side, trace)
    if now is None and before is None:
        return None
    if now is None or before is None:
        return Experiment(None, tuple(allowed))
    return Experiment(compare_traces(now, before), tuple(allowed))


def _of_its_results(study: FinishedStudy, trace: Trace) -> None:
    written = {
        (entry.scheme, entry.seed): entry.scores
        for entry in trace.predictions
        if entry.part == "test" and entry.fold is None
    }
    for scheme in study.results.schemes:
        for seed in scheme.seeds:
            if written.get((scheme.name, seed.seed), seed.sha256) != seed.sha256:
                raise GateError(
                    f"{study.folder}: its trace is not that of its results (scheme {scheme.name!r}, seed "
                    f"{seed.seed}); run the study again"
                )
