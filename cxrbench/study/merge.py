"""A run of some schemes leaves the others' results alone.

``results.json`` holds the schemes of the last run, and those that earlier runs left there, as long as nothing
but the choice of schemes differs. Otherwise the earlier ones are dropped, and the reason is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from cxrbench.errors import CxrbenchError, RecordError
from cxrbench.schemes import parse
from cxrbench.study.doubt import doubt, read_covariates
from cxrbench.study.evaluate import reference_scheme, scheme_pairs, seed_comparisons
from cxrbench.study.finished import FinishedStudy
from cxrbench.study.results import RESULTS, FurtherTest, Results
from cxrbench.text import first_of
from cxrbench.trace.records import OWN, PredictionEntry, Trace


def with_earlier(study: FinishedStudy, say: Callable[[str], None]) -> FinishedStudy:
    """Return ``study`` with the schemes that earlier runs left in its folder and that this one did not run.

    Parameters
    ----------
    study: what has just been run; its folder still holds the results of before.
    say: called with what is kept, or why it is not.
    """
    if not (study.folder / RESULTS).exists():
        return study
    try:
        earlier = FinishedStudy.open(study.folder)
        left = [name for name in earlier.results.names if name not in study.results.names]
        if not left:
            return study
        reason = next(_differing(study.results, earlier.results), "")
        if reason:
            say(f"schemes of an earlier run are not kept ({first_of(left)}): other {reason}")
            return study
        merged = _merged(study, earlier, left)
    except CxrbenchError as error:
        say(f"results of an earlier run are not kept: {error}")
        return study
    say(f"schemes of an earlier run are kept: {first_of(left)}")
    return merged


def _differing(now: Results, earlier: Results) -> Iterator[str]:
    """Yield the names of what differs besides the schemes."""
    for name in (
        *("profile", "settings", "network", "init", "image_size", "gate_margin", "calibrated", "seeds"),
        *("target", "sample", "device", "code", "versions"),
    ):
        if getattr(now, name) != getattr(earlier, name):
            yield name
    samples = [{name: test.sample for name, test in of.tests.items()} for of in (now, earlier)]
    if samples[0] != samples[1]:
        yield "tests"
    for field in ("roles", "training"):
        a, b = getattr(now, field), getattr(earlier, field)
        if any(a[key] != b[key] for key in a.keys() & b.keys()):
            yield field


def _merged(study: FinishedStudy, earlier: FinishedStudy, left: list[str]) -> FinishedStudy:
    now, before = study.results, earlier.results
    names = [*before.names, *(name for name in now.names if name not in before.names)]
    schemes = [(before if name in left else now).scheme(name) for name in names]
    curves = {name: (earlier if name in left else study).predictions(name) for name in names}
    stages = {
        (stage.run, stage.seed, stage.fold): stage for results in (before, now) for stage in results.stages
    }
    parsed = [parse(scheme.name, scheme.notation) for scheme in schemes]
    reference = reference_scheme(parsed, now.target)
    results = replace(
        now,
        doubt=now.doubt
        and doubt(curves, read_covariates(study.folder, now.doubt.sha256), now.doubt.sha256, reference),
        schemes=tuple(schemes),
        pairs=scheme_pairs(curves),
        comparisons=seed_comparisons(curves, now.seeds),
        own_tests=(
            *now.own_tests,
            *(own for own in before.own_tests if own.role not in {new.role for new in now.own_tests}),
        ),
        tests={name: _merged_test(study, earlier, left, names, name) for name in now.tests},
        stages=tuple(stages.values()),
        roles={**before.roles, **now.roles},
        training={**before.training, **now.training},
    )
    return replace(study, results=results)


def _merged_test(
    study: FinishedStudy, earlier: FinishedStudy, left: list[str], names: list[str], test: str
) -> FurtherTest:
    now, before = study.results.tests[test], earlier.results.tests[test]
    curves = {name: (earlier if name in left else study).predictions(name, test=test) for name in names}
    schemes = {name: (before if name in left else now).schemes[name] for name in names}
    return replace(now, schemes=schemes, pairs=scheme_pairs(curves))


def trace_with_earlier(trace: Trace, study: FinishedStudy, say: Callable[[str], None]) -> Trace:
    """Return ``trace`` with what the trace in the folder of ``study`` holds of the schemes that were kept.

    ``say`` is called with why it holds nothing of them.
    """
    kept = set(study.results.names) - {entry.scheme for entry in trace.predictions}
    if not kept:
        return trace
    try:
        earlier = study.trace()
    except RecordError as error:
        say(f"the trace of an earlier run is not kept: {error}")
        return trace
    if earlier is None:
        return trace
    parts = {(part.role, part.part, part.fold) for part in trace.parts}
    runs = {(entry.run, entry.seed, entry.fold) for entry in trace.stages}
    wanted = {stage.run for stage in study.results.stages}
    others = [e for e in earlier.stages if (e.run, e.seed, e.fold) not in runs and e.run in wanted]
    return replace(
        trace,
        parts=(*trace.parts, *(p for p in earlier.parts if (p.role, p.part, p.fold) not in parts)),
        # Parents before their children.
        stages=tuple(sorted((*trace.stages, *others), key=lambda entry: entry.run.count(">"))),
        predictions=(
            *trace.predictions,
            *(e for e in earlier.predictions if e.scheme in kept or _own_test_kept(e, trace, study)),
        ),
    )


def _own_test_kept(entry: PredictionEntry, trace: Trace, study: FinishedStudy) -> bool:
    """Return whether ``entry`` is of an own test that only an earlier run has, and that the results keep."""
    parts = {f"{OWN}{own.role}" for own in study.results.own_tests}
    return entry.part in parts - {now.part for now in trace.predictions}
