"""Tasks that need one another, done several at a time in a good order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any

from cxrbench.study.workers import Workers


@dataclass(frozen=True)
class Task:
    """One piece of work.

    key: its name; no two tasks have the same.
    after: the key of the task that must be done before; one that is not among the tasks is done already.
    cost: how long it takes, in any unit.
    group: tasks of a lower group go first, so that a study that is killed has whole seeds.
    begin: called in this process when the task's time has come; returns a function and its arguments, for
        :meth:`~cxrbench.study.workers.Workers.submit`.
    end: called in this process with what the function returned.
    """

    key: str
    after: str | None
    cost: float
    group: int
    begin: Callable[[], tuple[Callable[..., Any], tuple[Any, ...]]]
    end: Callable[[Any], None]


def do_all(tasks: Sequence[Task], workers: Workers) -> None:
    """Do ``tasks``, of which each stands behind the one that it comes after.

    A single worker does a group's tasks as they stand. Several begin with what the most work still waits for
    (list scheduling by the critical path; Graham 1969), so that at the end none is left with a long chain.

    Raises
    ------
    Whatever a task raises, as soon as it does; tasks that have not begun are left.
    """
    remaining = _remaining(tasks) if workers.at_once > 1 else {}
    waiting = sorted(tasks, key=lambda task: (task.group, -remaining.get(task.key, 0.0)))
    unfinished = {task.key for task in tasks}
    running: dict[Future[Any], Task] = {}
    while waiting or running:
        ready = [task for task in waiting if task.after not in unfinished]
        assert ready or running, f"no task can begin: {[task.key for task in waiting]}"
        for task in ready[: workers.at_once - len(running)]:
            waiting.remove(task)
            function, arguments = task.begin()
            running[workers.submit(function, *arguments)] = task
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            task = running.pop(future)
            task.end(future.result())
            unfinished.remove(task.key)


def _remaining(tasks: Sequence[Task]) -> Mapping[str, float]:
    """Return each task's cost with that of the dearest chain of tasks behind it."""
    remaining: dict[str, float] = {}
    behind: dict[str | None, float] = {}
    for task in reversed(tasks):
        remaining[task.key] = task.cost + behind.get(task.key, 0.0)
        behind[task.after] = max(behind.get(task.after, 0.0), remaining[task.key])
    return remaining
