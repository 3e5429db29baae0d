"""One study, from a profile to ``results.json``."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import torch

from cxrbench.errors import CxrbenchError, RecordError
from cxrbench.files import sweep
from cxrbench.schemes import make_plan
from cxrbench.study.cluster import cluster_places
from cxrbench.study.evaluate import Outcome, evaluate
from cxrbench.study.executor import choose_devices, local_places
from cxrbench.study.finished import FinishedStudy
from cxrbench.study.graph import Graph
from cxrbench.study.merge import trace_with_earlier, with_earlier
from cxrbench.study.prepare import prepare
from cxrbench.study.privacy import patient_key
from cxrbench.study.profile import Profile
from cxrbench.study.progress import StudyProgress
from cxrbench.study.results import RESULTS, load_results, save_results
from cxrbench.study.team import team_places
from cxrbench.study.tracing import study_trace
from cxrbench.text import complaint
from cxrbench.trace.records import NAME as TRACE
from cxrbench.trace.records import Trace, write_trace
from cxrbench.training.network import check_network
from cxrbench.training.team import this_team


def run_study(
    profile: Profile,
    out: Path,
    *,
    data_root: Path | None,
    schemes: tuple[str, ...],
    progress: StudyProgress,
    devices: Sequence[torch.device] | None = None,
    cluster: str | None = None,
    store: Path | None = None,
) -> FinishedStudy:
    """Run the study of ``profile`` under ``out`` and return it, finished.

    Parameters
    ----------
    out: packs, splits, checkpoints, predictions and ``results.json`` are written here. What is there already
        and depends on nothing that has changed is kept: a killed study goes on, a finished one costs seconds.
    store: a folder for packs, splits, audits and checkpoints apart from ``out``, which several studies may
        share, also at once.
    data_root: the folder that holds the real data sets, where the profile needs any.
    devices: where stages are trained, one at a time on each; a device may be listed several times. By default
        the CPU, once per thread, up to four times (:func:`~cxrbench.study.executor.choose_devices`). With
        more than one, each has its own process, and a script must guard its main module, as for all of
        :mod:`multiprocessing`.
    cluster: the address of a Dask scheduler, or its scheduler file: stages are trained on its workers, one at
        a time on each. ``devices`` is then the one device that each worker uses, by default its CPU. The
        workers must see ``out``, ``store`` and the profile's files under the paths that they have here.
    schemes: the schemes to run, names or NAME=NOTATION; all of the profile's where empty. Others that an
        earlier run left in ``out`` stay in the results, where nothing else differs.

    Raises
    ------
    CxrbenchError: the data, the profile or the training stop the study; the message says what to do.
    """
    started = time.perf_counter()
    if cluster:
        places = cluster_places(cluster, devices)
        # Its workers have working directories of their own.
        out, store = out.absolute(), store and store.absolute()
        # Images are made ready on this machine, whose devices need not be the workers'.
        drawn_on = "cpu"
    elif this_team().size > 1:
        devices = devices or choose_devices()
        places = team_places(devices[0], progress)
        drawn_on = str(devices[0])
    else:
        devices = devices or choose_devices()
        places = local_places(devices, progress)
        drawn_on = str(devices[0])
    if profile.deterministic and places.description["type"] == "cuda":
        # Other bits than without, so it belongs to what bits depend on.
        places = replace(places, description={**places.description, "deterministic": "yes"})
    profile = profile.with_precision(places.precise)
    check_network(profile.network, profile.image_size)
    chosen = profile.select(schemes)
    roles = frozenset(role for scheme in chosen for role in scheme.roles)
    if profile.patient_ids == "hashed":
        # Asked for before anything is read, which may take an hour.
        for name in sorted({*roles, *profile.tests}):
            patient_key(profile.cohorts[name].dataset)
    plan = make_plan(chosen)
    store = store or out
    with _disk_errors_in_words(out):
        for folder in (out, store):
            folder.mkdir(parents=True, exist_ok=True)
        sweep(out, deep=False)
        for kept in (out / "predictions", store / "splits", store / "audits", store / "stages"):
            sweep(kept)
        prepared = prepare(profile, roles, store, data_root, progress, drawn_on)
        read = time.perf_counter()
        graph = Graph(
            profile, plan, prepared, places.description, places.count, store / "stages", out, progress
        )
        graph.finish(places.opened())
        trained, files = graph.trained, graph.files()
        graph.keep_temperatures()
        computed = time.perf_counter()
        seconds = {"data": read - started, "training and prediction": computed - read}
        with progress.task("evaluating"):
            outcome = Outcome(
                profile, chosen, plan, prepared, trained, files, out, places.description, graph.own_tests
            )
            results = evaluate(outcome, {**seconds, "total": time.perf_counter() - started})
            trace = study_trace(graph)
        study = with_earlier(FinishedStudy(out, results), progress.say)
        return _stored(study, trace_with_earlier(trace, study, progress.say), progress.say)


def _stored(study: FinishedStudy, trace: Trace, say: Callable[[str], None]) -> FinishedStudy:
    """Write results and trace where they are not there already, and return the study.

    So a finished study can lie on a read-only disk, and keeps the seconds that it took. ``say`` is called
    where what is there was damaged or changed.
    """
    place = study.folder / RESULTS
    try:
        stored = load_results(place)
    except CxrbenchError:
        stored = None
    if stored is not None and replace(stored, seconds=study.results.seconds) == study.results:
        study = replace(study, results=stored)
    else:
        save_results(study.results, place)
    earlier = None
    try:
        earlier = study.trace()
    except RecordError as error:
        say(f"{error}; it is written again")
    if earlier != trace:
        write_trace(trace, study.folder / TRACE)
    return study


@contextmanager
def _disk_errors_in_words(out: Path) -> Iterator[None]:
    """Raise CxrbenchError where the disk is full, read-only or fails: which file, and what to do."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        where = error.filename or out
        what = complaint(error) if error.strerror is None else error.strerror
        free = ""
        with suppress(OSError):
            free = f" ({shutil.disk_usage(out).free / 2**20:,.0f} MiB are free)"
        raise CxrbenchError(
            f"{where}: {what}{free}. Packs, splits, checkpoints and predictions are written under {out}: "
            "make room there, let it be written to, or name another folder. What is finished is kept"
        ) from error
