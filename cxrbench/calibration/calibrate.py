"""A whole calibration: sweep, fit, confirm, state."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from math import inf

from cxrbench.calibration.fit import fit
from cxrbench.calibration.knobs import points, with_knobs
from cxrbench.calibration.records import Calibration, Fit, Request, Row
from cxrbench.calibration.runs import Job, run_jobs
from cxrbench.calibration.statements import statements
from cxrbench.calibration.targets import margins, summaries, targets
from cxrbench.errors import CxrbenchError, ProfileError
from cxrbench.schemes import claims
from cxrbench.study.profile import Profile, parse_profile

PAPER = {"control": 0.757, "sequential": 0.857}
"""Fricks et al. 2021, abstract: the control, and the best scheme, which by our reading is `sequential`."""


def aims_of(profile: Profile, schemes: tuple[str, ...]) -> Mapping[str, float]:
    """Return the paper's aims for those of the chosen ``schemes``; where none is chosen, of the profile's.

    Real radiographs are measured as they are: their difficulty cannot be set, so nothing is aimed at.
    """
    if not profile.synthetic:
        return {}
    names = [scheme.name for scheme in profile.select(schemes)]
    return {name: aim for name, aim in PAPER.items() if name in names}


def calibrate(request: Request) -> Calibration:
    """Run the calibration that ``request`` describes and return what it measured.

    Everything that it depends on is checked before the first study is run.

    Raises
    ------
    CxrbenchError: the profile, a knob, a scheme or the data stop it; the message says what to do.
    """
    profile = parse_profile(request.text, request.profile)
    chosen = profile.select(request.schemes)
    to_run = profile.select((*(scheme.definition for scheme in chosen), *request.aims))
    definitions = {scheme.name: scheme.definition for scheme in to_run}
    aimed = tuple(definitions[name] for name in request.aims)
    end = inf if request.minutes is None else time.time() + 60 * request.minutes
    swept = points(request.sweep)
    for point in swept:
        with_knobs(profile, point)
    if request.sweep and not request.aims:
        raise ProfileError("a sweep needs something to aim at: give --aim SCHEME=AUC")
    rows: tuple[Row, ...] = ()
    fitted: Fit | None = None
    knobs = swept[0]
    if request.sweep:
        rows = run_jobs(request, [Job(request, "sweep", seed, swept, aimed) for seed in request.sweep_seeds])
        fitted = fit(rows, request.sweep, request.aims)
        knobs = fitted.knobs
    everything = tuple(definitions.values())
    jobs = [Job(request, "confirm", seed, (knobs,), everything, end) for seed in request.seeds]
    confirmed = run_jobs(request, jobs)
    # The seeds that there was time for; the next sitting goes on with the others.
    finished = tuple(dict.fromkeys(row.seed for row in confirmed))
    if len(finished) < 2:
        raise CxrbenchError(
            f"{len(finished)} of {len(request.seeds)} seeds are finished, and a spread needs two: give the "
            "command again, which goes on with the others"
        )
    request = replace(request, seeds=finished)
    table = summaries(confirmed)
    made = claims(to_run, profile.target)
    return Calibration(
        request=request,
        synthetic=profile.synthetic,
        fit=fitted,
        knobs=knobs,
        added={s.name: s.notation for s in to_run if s.name not in profile.schemes},
        rows=(*rows, *confirmed),
        schemes=table,
        targets=targets(table, f"`{request.command}`; evidence: {request.out.name}/evidence.csv"),
        claims=margins(table, made),
        statements=statements(table, request.aims, confirmed, made),
    )
