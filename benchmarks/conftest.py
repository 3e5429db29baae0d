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


def pytest_terminal_summary(terminalreporter):
    """Show every speed that has a peer next to the peer's, and what memory a stage takes."""
    found = [dict(report.user_properties) for report in terminalreporter.stats.get("passed", ())]
    for row in found:
        if "memory_gib" in row:
            terminalreporter.section("memory of a stage")
            terminalreporter.write_line(
                f"{row['memory_gib']:.2f} GiB, of which {row['images']:,} images {row['images_gib']:.2f} GiB"
            )
    rows = [row for row in found if "times_the_peer" in row]
    if not rows:
        return
    import torch
    import torchvision

    terminalreporter.section("speed next to a peer, images per second")
    terminalreporter.write_line(f"{'':<52}{'ours':>9}{'peer':>9}  times [spread]")
    for row in rows:
        spread = row.get("times_the_peer_spread", ())
        shown = f" [{spread[0]:.2f}, {spread[1]:.2f}]" if spread else ""
        terminalreporter.write_line(
            f"{row['what']:<52}{row['images_per_second']:>9,.1f}{row['peer_images_per_second']:>9,.1f}"
            f"  {row['times_the_peer']:.2f}{shown}"
        )
    terminalreporter.write_line(f"torch {torch.__version__}, torchvision {torchvision.__version__}")


@pytest.fixture
def timed(benchmark, request):
    """Return ``timed(function, images, rounds, **facts)``: the last result of timed calls.

    ``images``, those of one call, give ``images_per_second``, median and quartiles, in pytest-benchmark's
    ``extra_info``, next to ``facts``. On a GPU, whose calls are short, it is 20 ``rounds`` or more. Where
    timing is switched off (``--benchmark-disable``, or pytest-xdist, whose workers disturb each other) the
    function is called once and no speed is stated.
    """

    def run(function, images, rounds, **facts):
        on_gpu = request.config.getoption("cxr_gpu")
        result = benchmark.pedantic(function, rounds=max(rounds, 20 if on_gpu else 1), warmup_rounds=1)
        if benchmark.stats is not None:
            taken = benchmark.stats.stats
            facts["images_per_second"] = images / taken.median
            facts["images_per_second_quartiles"] = [images / taken.q3, images / taken.q1]
        benchmark.extra_info.update(facts)
        return result

    return run
