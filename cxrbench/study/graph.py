"""What a study has to do: a graph of stages and predictions, over all seeds, folds and schemes.

Only what is missing is done. Where it is done is :mod:`cxrbench.study.executor`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from cxrbench.errors import CxrbenchError
from cxrbench.schemes import Plan, StageRun
from cxrbench.study.executor import Place, Task, completed
from cxrbench.study.own_test import own_tests
from cxrbench.study.predictions import PARTS, Files, SchemePredictions, join_folds, scheme_predictions
from cxrbench.study.prepare import Prepared
from cxrbench.study.profile import Profile
from cxrbench.study.progress import StudyProgress
from cxrbench.study.stages import Stage, depends_on, initial, make_stage
from cxrbench.study.temperatures import keep_temperature
from cxrbench.training.checkpoints import StageFolder, TrainedStage

PREDICTING = 1 / 3
"""What an image costs in prediction of what it costs in training, where the gradient takes two thirds."""

Trained = Sequence[Mapping[StageRun, TrainedStage]]
"""The trained runs of one seed: one mapping, or one per fold."""


@dataclass(frozen=True)
class Turn:
    """The plan with one seed, on all images or in one fold: where each run lies, and each scheme's files."""

    seed: int
    prepared: Prepared
    folders: Mapping[StageRun, StageFolder]
    predictions: Mapping[str, SchemePredictions]


@dataclass
class Graph:
    """All turns of a study, and what is done of them.

    device: what the last bits depend on, as in the stages' keys. processes: how many work at a time.
    store: the folder of the checkpoints. out: that of the study, with its predictions. first: the stage that
    makes the initial parameters, where one does.
    """

    profile: Profile
    plan: Plan
    prepared: Sequence[Prepared]
    device: Mapping[str, str | int]
    processes: int
    store: Path
    out: Path
    progress: StudyProgress
    first: Stage | None = None

    def __post_init__(self) -> None:
        self.turns = [self._turn(seed, fold) for seed in self.profile.seeds for fold in self.prepared]
        self._done: dict[str, TrainedStage] = {}
        # Folds share what has not seen the target: the first is enough.
        firsts = [next(turn for turn in self.turns if turn.seed == seed) for seed in self.profile.seeds]
        self.own_tests = {
            turn.seed: tuple(
                own_tests(self.profile, self.plan, turn.prepared, turn.folders, turn.seed, self.out)
            )
            for turn in firsts
        }

    def finish(self, places: AbstractContextManager[Sequence[Place]]) -> None:
        """Train and predict what is missing, at ``places``, which are opened only if anything is.

        Raises
        ------
        CxrbenchError: a stage cannot be trained, or a process was ended.
        """
        # Folds share the runs that have not seen the target.
        stages = {folder.key: (turn, run) for turn in self.turns for run, folder in turn.folders.items()}
        tasks = [] if self.first is None else list(self._first_task(self.first))
        for turn, run in stages.values():
            kept = turn.folders[run].finished()
            if kept is None:
                tasks.append(self._stage_task(turn, run))
            else:
                self._keep(turn, run, kept, "kept from an earlier run")
        images = int(sum(task.cost for task in tasks))
        tasks += [task for turn in self.turns for task in self._prediction_tasks(turn)]
        tasks += self._own_tasks()
        if not tasks:
            return
        with self._bar(images) as step, places as opened:
            for task, result in completed(tasks, opened):
                if self.first is not None and task.key == self.first.folder.key:
                    self._keep_first(result, f"{result.seconds:.0f} s")
                    step(int(task.cost))
                elif isinstance(result, TrainedStage):
                    said = "; ".join((f"{result.seconds:.0f} s", *result.record.remarks))
                    self._keep(*stages[task.key], result, said)
                    step(int(task.cost))

    @property
    def trained(self) -> dict[int, Trained]:
        """Seed -> trained runs."""
        return {
            seed: [
                {run: self._done[folder.key] for run, folder in turn.folders.items()}
                for turn in self.turns
                if turn.seed == seed
            ]
            for seed in self.profile.seeds
        }

    @property
    def initial(self) -> TrainedStage | None:
        """The trained stage that made the initial parameters, where one did."""
        return None if self.first is None else self._done[self.first.folder.key]

    def stage(self, turn: Turn, run: StageRun) -> TrainedStage:
        """Return a run that is trained."""
        return self._done[turn.folders[run].key]

    def files(self) -> dict[int, Files]:
        """Return seed -> prediction files, with those of the folds joined."""
        files = {}
        for seed in self.profile.seeds:
            folds = [
                {scheme: predictions.kept() for scheme, predictions in turn.predictions.items()}
                for turn in self.turns
                if turn.seed == seed
            ]
            wanted = len(PARTS) + len(self.profile.tests)
            for scheme, parts in [item for fold in folds for item in fold.items()]:
                if len(parts) < wanted:
                    raise CxrbenchError(
                        f"{self.out}: the predictions of scheme {scheme!r} with seed {seed} were overwritten "
                        "while this study ran: give studies of other settings folders of their own"
                    )
            files[seed] = join_folds(folds, self.out, seed, self.progress.say) if len(folds) > 1 else folds[0]
        return files

    def keep_temperatures(self) -> None:
        """Fit the temperature of every predicted network that has none."""
        for turn in self.turns:
            for predictions in turn.predictions.values():
                validation = predictions.kept().get("validation")
                if validation:
                    keep_temperature(predictions.folder, self.out, validation)

    def _turn(self, seed: int, prepared: Prepared) -> Turn:
        """Name each run's folder by all that the run depends on.

        A run that has not seen the target depends on no fold: its folder is the same in all.
        """
        identity = (
            self.first.folder.key
            if self.first is not None
            else initial(self.profile).identity(self.profile.network)
        )
        folders: dict[StageRun, StageFolder] = {}
        for run in self.plan.runs:
            parent = folders[run.parent].key if run.parent else identity
            content = depends_on(self.profile, run, prepared, seed, self.device, parent)
            folders[run] = StageFolder.of(self.store, content, self.progress.say)
        predictions = {
            scheme: scheme_predictions(self.profile, prepared, scheme, run, folders[run], seed, self.out)
            for scheme, run in self.plan.final.items()
        }
        return Turn(seed, prepared, folders, predictions)

    def _first_task(self, first: Stage) -> Iterator[Task]:
        kept = first.folder.finished()
        if kept is not None:
            self._keep_first(kept, "kept from an earlier run")
            return
        cost = sum(len(packed.rows) for packed in first.train.values()) * first.config.epochs
        yield Task(key=first.folder.key, after=None, cost=cost, group=0, work=first.work)

    def _keep_first(self, trained: TrainedStage, how: str) -> None:
        self._done[trained.key] = trained
        self.progress.say(f"initial parameters  validation AUC {trained.validation_auc:.3f}  ({how})")

    def _stage_task(self, turn: Turn, run: StageRun) -> Task:
        first = None if self.first is None else self.first.folder
        parent = turn.folders[run.parent] if run.parent else first
        stage = make_stage(self.profile, run, turn.prepared, turn.seed, turn.folders[run], parent)
        stage = replace(stage, processes=self.processes)
        return Task(
            key=stage.folder.key,
            after=parent.key if parent else None,
            cost=sum(len(packed.rows) for packed in stage.train.values()) * stage.config.epochs,
            group=self.profile.seeds.index(turn.seed),
            work=stage.work,
        )

    def _prediction_tasks(self, turn: Turn) -> Iterator[Task]:
        for scheme, predictions in turn.predictions.items():
            missing = predictions.missing(self.processes, self.progress.say)
            if missing.parts:
                yield Task(
                    key=f"{turn.seed} {turn.prepared.fold} {scheme}",
                    after=turn.folders[self.plan.final[scheme]].key,
                    cost=PREDICTING * sum(len(part.images.rows) for part in missing.parts),
                    group=self.profile.seeds.index(turn.seed),
                    work=missing.work,
                )

    def _own_tasks(self) -> Iterator[Task]:
        for seed, tests in self.own_tests.items():
            for test in tests:
                if len(test.kept()) < len(test.paths):
                    yield Task(
                        key=f"{seed} own test of {test.role}",
                        after=test.folder.key,
                        cost=PREDICTING * len(test.image_ids),
                        group=self.profile.seeds.index(seed),
                        work=replace(test, processes=self.processes).work,
                    )

    def _keep(self, turn: Turn, run: StageRun, trained: TrainedStage, how: str) -> None:
        self._done[trained.key] = trained
        fold = turn.prepared.fold
        where = f"fold {fold}  " if fold and self.profile.target in run.roles else ""
        self.progress.say(
            f"seed {turn.seed}  {where}{run}  validation AUC {trained.validation_auc:.3f}  ({how})"
        )

    def _bar(self, images: int) -> AbstractContextManager[Callable[[int], None]]:
        """Return a bar for all ``images``; a single process has one of its own for each epoch."""
        if self.processes == 1:
            return nullcontext(lambda _images: None)
        title = f"training, {self.processes} stages at a time" if images else "predicting"
        return self.progress.task(title, images)
