"""One study, from a profile to ``results.json``."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

from cxrbench.errors import CxrbenchError, RecordError
from cxrbench.files import sweep
from cxrbench.schemes import make_plan
from cxrbench.study.cluster import cluster_places
from cxrbench.study.evaluate import Outcome, evaluate
from cxrbench.study.executor import Place, Places, Work, choose_devices, local_places
from cxrbench.study.finished import FinishedStudy
from cxrbench.study.formula import formula_stage
from cxrbench.study.graph import Graph
from cxrbench.study.merge import trace_with_earlier, with_earlier
from cxrbench.study.prepare import prepare
from cxrbench.study.privacy import patient_key
from cxrbench.study.profile import Profile
from cxrbench.study.progress import StudyProgress
from cxrbench.study.results import RESULTS, load_results, save_results
from cxrbench.study.stages import make_ready
from cxrbench.study.team import team_places
from cxrbench.study.tracing import study_trace
from cxrbench.study.where import ANYWHERE, Where
from cxrbench.text import complaint
from cxrbench.trace.records import NAME as TRACE
from cxrbench.trace.records import Trace, write_trace
from cxrbench.training.network import check_network
from cxrbench.training.team import this_team


def run_study(
    profile: Profile,
    out: Path,
    *,
    schemes: tuple[str, ...] = (),
    where: Where = ANYWHERE,
    progress: StudyProgress,
) -> FinishedStudy:
    """Run the study of ``profile`` under ``out`` and return it, finished.

    Parameters
    ----------
    out: packs, splits, checkpoints, predictions and ``results.json`` are written here. What is there already
        and depends on nothing that has changed is kept: a killed study goes on, a finished one costs seconds.
    schemes: the schemes to run, names or NAME=NOTATION; all of the profile's where empty. Others that an
        earlier run left in ``out`` stay in the results, where nothing else differs.
    where: the folder of the real data, where the profile needs any; the devices, by default the CPU.

    Raises
    ------
    CxrbenchError: the data, the profile or the training stop the study; the message says what to do.
    """
    started = time.perf_counter()
    store = where.store or out
    if where.cluster:
        places = cluster_places(where.cluster, where.devices)
        # Its workers have working directories of their own.
        out, store = out.absolute(), store.absolute()
        # Images are made ready on this machine, whose devices need not be the workers'.
        drawn_on = "cpu"
    else:
        devices = where.devices or choose_devices()
        in_team = this_team().size > 1
        places = team_places(devices[0], progress) if in_team else local_places(devices, progress)
        drawn_on = str(devices[0])
    if profile.deterministic and places.description["type"] == "cuda":
        # Other bits than without, so it belongs to what bits depend on.
        places = replace(places, description={**places.description, "deterministic": "yes"})
    if _imitated(profile, places):
        progress.say(
            "bfloat16 is imitated on this device, which trains several times as slowly as in float32: "
            "choose a profile in float32, or a device that computes in bfloat16"
        )
    profile = profile.with_precision(places.precise)
    check_network(profile.network, profile.image_size)
    chosen = profile.select(schemes)
    roles = frozenset(role for scheme in chosen for role in scheme.roles)
    if profile.patient_ids == "hashed":
        # Asked for before anything is read, which may take an hour.
        for name in sorted({*roles, *profile.tests}):
            patient_key(profile.cohorts[name].dataset)
    plan = make_plan(chosen)
    with _disk_errors_in_words(out):
        _check_entries([], (out, store))
        for folder in (out, store):
            folder.mkdir(parents=True, exist_ok=True)
        folders = (out / "predictions", *(store / name for name in ("packs", "splits", "audits", "stages")))
        _check_entries([out / RESULTS, out / TRACE], folders)
        sweep(out, deep=False)
        for kept in folders:
            if kept.name != "packs":
                sweep(kept)
        with _Opened(places) as opened:
            if not any(store.glob("stages/*/done.json")):
                opened.make_ready()
            first = formula_stage(profile, store, places.description, progress, places.count)
            if first is not None and first.folder.finished() is None:
                opened.begin(first.work)
            prepared = prepare(profile, roles, store, where.data_root, progress, drawn_on)
            read = time.perf_counter()
            graph = Graph(
                profile,
                plan,
                prepared,
                places.description,
                places.count,
                store / "stages",
                out,
                progress,
                first,
            )
            graph.finish(opened.places())
        trained, files = graph.trained, graph.files()
        graph.keep_temperatures()
        computed = time.perf_counter()
        seconds = {"data": read - started, "training and prediction": computed - read}
        with progress.task("evaluating"):
            outcome = Outcome(
                profile,
                chosen,
                plan,
                prepared,
                trained,
                files,
                out,
                places.description,
                graph.own_tests,
                graph.initial,
            )
            results = evaluate(outcome, {**seconds, "total": time.perf_counter() - started})
            trace = study_trace(graph)
        study = with_earlier(FinishedStudy(out, results), progress.say)
        return _stored(study, trace_with_earlier(trace, study, progress.say), progress.say)


def _imitated(profile: Profile, places: Places) -> bool:
    """Whether ``profile`` asks for bfloat16 by name where ``places`` do not compute in it."""
    asked = {config.precision for config in (profile.default_stage, *profile.stages.values())}
    return "bfloat16" in asked and places.fast == "float32"


class _Opened(ExitStack):
    """Places that are opened as soon as there is work for them; a single one does nothing in advance."""

    def __init__(self, places: Places) -> None:
        super().__init__()
        self._places = places
        self._opened: Sequence[Place] | None = None

    def make_ready(self) -> None:
        """Let each place import what stages need, while images are made ready here."""
        if self._places.count > 1 and self._opened is None:
            self._opened = self.enter_context(self._places.opened())
            for place in self._opened:
                place(make_ready)

    def begin(self, work: Work) -> None:
        """Begin ``work``, which needs no image of the study.

        The graph gives the same work again, which finds it done. What goes wrong is raised there.
        """
        self.make_ready()
        if self._opened is not None:
            self._opened[0](work)

    def places(self) -> AbstractContextManager[Sequence[Place]]:
        """Return the places, to be opened where they are not."""
        return self._places.opened() if self._opened is None else nullcontext(self._opened)


def _check_entries(files: Sequence[Path], folders: Sequence[Path]) -> None:
    """Refuse what lies in the way of what a study writes, before hours of training rather than after.

    Raises
    ------
    CxrbenchError: there is a folder where a file goes, or something else where a folder goes.
    """
    odd = [path for path in files if path.exists() and not path.is_file()]
    odd += [path for path in folders if os.path.lexists(path) and not path.is_dir()]
    if odd:
        kind = "folder" if odd[0] in folders else "file"
        raise CxrbenchError(
            f"{odd[0]} is in the way of the {kind} of that name, which the study writes: move it away, or "
            "name another folder with --out"
        )


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
