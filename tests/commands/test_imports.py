"""What a command imports is kept from the collector, and the collector goes on with the rest."""

from __future__ import annotations

import gc
import weakref

import pytest

from cxrbench.commands._imports import kept_from_the_collector


class Cycle:
    """Something that only the collector frees."""

    def __init__(self) -> None:
        self.own = self


@pytest.fixture(autouse=True)
def _thawed():
    yield
    gc.unfreeze()


def test_what_is_made_meanwhile_is_not_collected_and_what_is_made_later_is():
    with kept_from_the_collector():
        assert not gc.isenabled()
        kept = weakref.ref(Cycle())
    assert gc.isenabled()
    later = weakref.ref(Cycle())
    gc.collect()
    assert kept() is not None
    assert later() is None


def test_an_import_that_fails_leaves_the_collector_at_work():
    with pytest.raises(ImportError, match="nothing"), kept_from_the_collector():
        raise ImportError("nothing")
    assert gc.isenabled()


def test_a_collector_that_is_off_stays_off():
    before = gc.get_freeze_count()
    gc.disable()
    try:
        with kept_from_the_collector():
            pass
        assert not gc.isenabled()
        assert gc.get_freeze_count() == before
    finally:
        gc.enable()
