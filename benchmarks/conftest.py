"""The benchmarks' short options, and how they take the time."""

from __future__ import annotations

import pytest

from cxrbench.plugin import add_short_options


def pytest_addoption(parser):
    add_short_options(parser)


def pytest_configure(config):
    if not config.pluginmanager.hasplugin("benchmark"):
        raise pytest.UsageError(
            "the benchmarks need pytest-benchmark, which is missing or switched off: "
            "pip install 'cxrbench[bench]'"
        )


@pytest.fixture
def timed(benchmark):
    """Return ``timed(function, images, rounds, **facts)``: the last result of timed calls.

    ``images``, those of one call, give ``images_per_second`` in pytest-benchmark's ``extra_info``, next to
    ``facts``. Where timing is switched off (``--benchmark-disable``, or pytest-xdist, whose workers disturb
    each other) the function is called once and no speed is stated.
    """

    def run(function, images, rounds, **facts):
        result = benchmark.pedantic(function, rounds=rounds, warmup_rounds=1)
        if benchmark.stats is not None:
            facts["images_per_second"] = images / benchmark.stats.stats.median
        benchmark.extra_info.update(facts)
        return result

    return run
