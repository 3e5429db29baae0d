"""Tasks are done once, after what they need, no more at a time than there are places."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.study.executor import Task, completed


class Places:
    """Places that count how many of them are at work."""

    def __init__(self, count, pool):
        self.pool = pool
        self.busy = self.most = 0
        self.lock = threading.Lock()
        self.places = [self.place] * count

    def place(self, work):
        with self.lock:
            self.busy += 1
            self.most = max(self.most, self.busy)
        return self.pool.submit(self.call, work)

    def call(self, work):
        try:
            return work(None, None)
        finally:
            with self.lock:
                self.busy -= 1


def here(work):
    """Do the work before it returns."""
    done = Future()
    done.set_result(work(None, None))
    return done


def task(key, after=None, cost=1.0, group=0, log=None):
    log = log if log is not None else []

    def work(_device, _progress):
        log.append(key)
        return f"result of {key}"

    return Task(str(key), None if after is None else str(after), cost, group, work)


@st.composite
def forests(draw):
    """Number of tasks, and for each None or an earlier task; -1 is one that is not among them."""
    count = draw(st.integers(0, 12))
    return [draw(st.none() | st.integers(-1, i - 1)) for i in range(count)]


@given(parents=forests(), costs=st.lists(st.floats(0, 9), min_size=12, max_size=12), count=st.integers(1, 4))
def test_every_task_is_done_once_after_its_parent(parents, costs, count):
    log = []
    tasks = [task(i, parent, costs[i], i % 3, log) for i, parent in enumerate(parents)]
    with ThreadPoolExecutor(4) as pool:
        at = Places(count, pool)
        results = {task.key: result for task, result in completed(tasks, at.places)}
    assert results == {task.key: f"result of {task.key}" for task in tasks}
    assert sorted(log) == list(range(len(parents)))
    for i, parent in enumerate(parents):
        if parent is not None and parent >= 0:
            assert log.index(parent) < log.index(i)
    assert at.most <= count


def begun(tasks, places, log):
    list(completed(tasks, places))
    return log


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


def test_several_places_begin_with_the_longest_chain_of_the_first_group():
    log = []
    # b has 7 before it in all, c 6, a 5; b1 and b2 come when b is done.
    assert begun(plan(log), [here, here], log) == ["b", "c", "a", "b1", "b2", "later"]


def test_a_single_place_keeps_the_order_within_a_group():
    log = []
    assert begun(plan(log), [here], log) == ["a", "b", "b1", "b2", "c", "later"]


def test_what_a_task_raises_comes_out_and_the_rest_is_left():
    log = []

    def broken(_device, _progress):
        raise KeyError("broken")

    tasks = [task("a", log=log), Task("b", None, 1, 0, broken), task("c", "b", log=log)]
    with pytest.raises(KeyError, match="broken"):
        list(completed(tasks, [here]))
    assert log == ["a"]
