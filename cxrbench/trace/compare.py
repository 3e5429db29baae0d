"""Trace against trace: the first place where two experiments part, and what follows from it.

The study is walked as it ran: settings, then stage by stage in the order of the plan what it is trained on,
where it starts, its first steps and its epochs; then the predictions. What comes after a parting is not
compared: that it differs as well says nothing new.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain

from cxrbench.trace import predictions, stages
from cxrbench.trace.parting import Parting
from cxrbench.trace.parts import part_parting
from cxrbench.trace.records import OWN, PredictionEntry, StageEntry, StageTrace, Trace
from cxrbench.trace.tolerances import EXACT, Tolerance, tolerance

Run = tuple[str, int, int | None]
Part = tuple[str, str, int | None]


@dataclass(frozen=True)
class Comparison:
    """Where two traces part.

    partings: in the order of the plan; the first is where to look first.
    following: stages and predictions behind a parting, which were therefore not compared.
    same: how many stages and predictions were compared and agree.
    exact: whether the same bits were asked for.
    notes: other machines or versions, and what only one of the two has.
    """

    partings: tuple[Parting, ...]
    following: tuple[str, ...]
    same: int
    exact: bool
    notes: tuple[str, ...]

    def changed(self, allowed: Collection[str] = ()) -> tuple[Parting, ...]:
        """Return the partings of other kinds than ``allowed``."""
        return tuple(parting for parting in self.partings if parting.kind not in allowed)


def compare_traces(now: Trace, before: Trace) -> Comparison:
    """Return where ``now`` parts from ``before``.

    Stages that only one of the two has (another seed, another scheme) are noted, and so are parts and own
    tests that only one has of a role or stage that both have.
    """
    precisions = {entry.settings.get("precision", "") for trace in (now, before) for entry in trace.stages}
    rule = tolerance(now.environment, before.environment, frozenset(precisions))
    walk = _Walk(now, before, rule)
    partings = tuple(walk)
    return Comparison(
        partings=partings,
        following=tuple(walk.following),
        same=walk.same,
        exact=rule is EXACT,
        notes=(*_environments(now, before), *_only_one_has(now, before)),
    )


class _Walk:
    """The walk through both traces: yields partings, and keeps count of the rest."""

    def __init__(self, now: Trace, before: Trace, rule: Tolerance) -> None:
        self._now, self._before, self._rule = now, before, rule
        self._parted_parts: set[Part] = set()
        self._parted_runs: set[Run] = set()
        self.following: list[str] = []
        self.same = 0

    def __iter__(self) -> Iterator[Parting]:
        whole = tuple(stages.setting_partings("the study", self._now.settings, self._before.settings))
        yield from whole
        yield from self._parts()
        yield from self._stages(behind=bool(whole))
        yield from self._predictions(behind=bool(whole))

    def _parts(self) -> Iterator[Parting]:
        others = {(part.role, part.part, part.fold): part for part in self._before.parts}
        for part in self._now.parts:
            key = (part.role, part.part, part.fold)
            parting = part_parting(part, others[key]) if key in others else None
            if parting is not None:
                self._parted_parts.add(key)
                yield parting

    def _stages(self, behind: bool) -> Iterator[Parting]:
        traces = {_run(entry): entry.trace for entry in self._now.stages}
        others = {_run(entry): entry for entry in self._before.stages}
        for entry in self._now.stages:
            run = _run(entry)
            if run not in others:
                continue
            parent = _found(traces, entry.parent, entry.seed, entry.fold) if entry.parent else None
            follows = (
                behind
                or (parent in self._parted_runs)
                or any(self._parted(role, part, entry.fold) for role in entry.roles for part in _TRAINED)
            )
            if follows:
                self._parted_runs.add(run)
                self.following.append(stages.name(entry))
                continue
            of_parent: StageTrace | None = traces[parent] if parent else None
            parting = next(stages.stage_partings(entry, others[run], of_parent, self._rule), None)
            if parting is None:
                self.same += 1
            else:
                self._parted_runs.add(run)
                yield parting

    def _predictions(self, behind: bool) -> Iterator[Parting]:
        traces = {_run(entry): entry.trace for entry in self._now.stages}
        others = {_prediction(entry): entry for entry in self._before.predictions}
        named: set[str] = set()
        for entry in self._now.predictions:
            other = others.get(_prediction(entry))
            if other is None:
                continue
            run = _found(traces, entry.run, entry.seed, entry.fold)
            role, part = predictions.predicted(entry, self._now.target)
            other_images = behind or self._parted(role, part, entry.fold)
            other_network = behind or run in self._parted_runs
            found = chain(
                predictions.network_partings(entry, traces[run]) if run in traces else (),
                () if other_images else predictions.path_partings(entry, other, self._rule),
                predictions.score_partings(entry, other)
                if self._rule is EXACT and not other_images and not other_network
                else (),
            )
            parting = next(iter(found), None)
            if parting is None and not other_images and not other_network:
                self.same += 1
            elif parting is None or parting.what in named:
                # The same fault of the path shows in every scheme: it is named once.
                self.following.append(predictions.name(entry))
            else:
                named.add(parting.what)
                yield parting

    def _parted(self, role: str, part: str, fold: int | None) -> bool:
        return bool({(role, part, fold), (role, part, None)} & self._parted_parts)


_TRAINED = ("train", "validation")


def _run(entry: StageEntry) -> Run:
    return entry.run, entry.seed, entry.fold


def _prediction(entry: PredictionEntry) -> tuple[str, str, int, int | None]:
    return entry.scheme, entry.part, entry.seed, entry.fold


def _found(traces: Collection[Run], run: str, seed: int, fold: int | None) -> Run:
    """Return the run's key: that of the fold, or where folds share the run that of all."""
    own = (run, seed, fold)
    return own if own in traces else (run, seed, None)


def _environments(now: Trace, before: Trace) -> Iterator[str]:
    for key in sorted(set(now.environment) | set(before.environment)):
        a, b = now.environment.get(key, "none"), before.environment.get(key, "none")
        if a != b:
            yield f"other {key}: {a} now, {b} before; numbers are compared within rounding"


def _only_one_has(now: Trace, before: Trace) -> Iterator[str]:
    for one, other, where in ((now, before, "not in the baseline"), (before, now, "only in the baseline")):
        runs = {_run(entry) for entry in other.stages}
        yield from (f"{stages.name(e)} is {where}" for e in one.stages if _run(e) not in runs)
        # Of roles and stages that both have: of others it is a matter of course.
        roles, parts = {p.role for p in other.parts}, {(p.role, p.part, p.fold) for p in other.parts}
        for part in one.parts:
            if part.role in roles and (part.role, part.part, part.fold) not in parts:
                yield f"role {part.role}, {part.part} part is {where}"
        made, trained = {_prediction(entry) for entry in other.predictions}, {run[0] for run in runs}
        for entry in one.predictions:
            if entry.run in trained and entry.part.startswith(OWN) and _prediction(entry) not in made:
                yield f"{predictions.name(entry)} is {where}"
