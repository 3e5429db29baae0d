"""Tasks are done once, after what they need, no more at a time than there are workers."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.study.progress import Silent
from cxrbench.study.tasks import Task, do_all
from cxrbench.study.workers import ThisProcess


class Threads:
    """Workers that count how many of them are at work."""

    def __init__(self, at_once, pool):
        self.at_once = at_once
        self.pool = pool
        self.busy = self.most = 0
        self.lock = threading.Lock()

    def submit(self, function, *arguments):
        with self.lock:
            self.busy += 1
            self.most = max(self.most, self.busy)
        return self.pool.submit(self.call, function, arguments)

    def call(self, function, arguments):
        try:
            return function(*arguments)
        finally:
            with self.lock:
                self.busy -= 1


class AtOnce:
    """Workers that have done what they are given before they return."""

    at_once = 2

    def submit(self, function, *arguments):
        done = Future()
        done.set_result(function(*arguments))
        return done


def task(key, after=None, cost=1.0, group=0, log=None):
    log = log if log is not None else []

    def begin():
        log.append(("begin", key))
        return (lambda *_: f"result of {key}"), ()

    def end(result):
        assert result == f"result of {key}"
        log.append(("end", key))

    return Task(str(key), None if after is None else str(after), cost, group, begin, end)


@st.composite
def forests(draw):
    """Number of tasks, and for each None or an earlier task; -1 is one that is not among them."""
    count = draw(st.integers(0, 12))
    return [draw(st.none() | st.integers(-1, i - 1)) for i in range(count)]


@given(
    parents=forests(), costs=st.lists(st.floats(0, 9), min_size=12, max_size=12), at_once=st.integers(1, 4)
)
def test_every_task_is_done_once_after_its_parent(parents, costs, at_once):
    log = []
    tasks = [task(i, parent, costs[i], i % 3, log) for i, parent in enumerate(parents)]
    with ThreadPoolExecutor(4) as pool:
        workers = Threads(at_once, pool)
        do_all(tasks, workers)
    assert sorted(key for what, key in log if what == "end") == list(range(len(parents)))
    assert sorted(key for what, key in log if what == "begin") == list(range(len(parents)))
    for i, parent in enumerate(parents):
        assert log.index(("begin", i)) < log.index(("end", i))
        if parent is not None and parent >= 0:
            assert log.index(("end", parent)) < log.index(("begin", i))
    assert workers.most <= at_once


def begun(tasks, workers, log):
    do_all(tasks, workers)
    return [key for what, key in log if what == "begin"]


def plan(log):
    """A short chain, a long one that costs less in each step, and a dear single task of a later group."""
    return [
        task("a", cost=5, log=log),
        task("b", cost=3, log=log),
        task("b1", "b", cost=3, log=log),
        task("b2", "b1", cost=1, log=log),
        task("later", cost=100, group=1, log=log),
        task("c", cost=6, log=log),
    ]


def test_several_workers_begin_with_the_longest_chain_of_the_first_group():
    log = []
    # b has 7 before it in all, c 6, a 5; b1 and b2 come when b is done.
    assert begun(plan(log), AtOnce(), log) == ["b", "c", "a", "b1", "b2", "later"]


def test_a_single_worker_keeps_the_order_within_a_group():
    log = []
    assert begun(plan(log), ThisProcess(Silent()), log) == ["a", "b", "b1", "b2", "c", "later"]


def test_what_a_task_raises_comes_out_and_the_rest_is_left():
    log = []

    def broken():
        raise KeyError("broken")

    tasks = [task("a", log=log), Task("b", None, 1, 0, broken, print), task("c", "b", log=log)]
    with pytest.raises(KeyError, match="broken"):
        do_all(tasks, ThisProcess(Silent()))
    assert log == [("begin", "a"), ("end", "a")]
