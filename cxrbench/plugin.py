"""The pytest plugin: options, the session's one study, and how verdicts are shown.

pytest loads this module wherever cxrbench is installed, so nothing heavy is imported at its top and nothing
happens unless a test asks for a fixture of it.
"""

from __future__ import annotations

from collections.abc import Generator
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from cxrbench.errors import CxrbenchError

if TYPE_CHECKING:
    import torch

    from cxrbench.gate.rules import GateReport
    from cxrbench.statistics.verdicts import Verdict
    from cxrbench.study.finished import FinishedStudy
    from cxrbench.study.profile import Profile

STUDY = pytest.StashKey["FinishedStudy"]()
REPORT = pytest.StashKey[Path]()
_VERDICT = "cxrbench-verdict"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the options that choose what is trained, on what, and what it is held against."""
    group = parser.getgroup("cxrbench", "chest-radiograph benchmark")
    group.addoption("--gpu", action="store_true", help="train on the GPU; fails where CUDA is missing")
    group.addoption(
        "--profile",
        metavar="NAME",
        help="profile by name or .toml file (default: phantom, with --gpu phantom-gpu)",
    )
    group.addoption("--data-root", metavar="DIR", help="the folder that holds the real data sets")
    group.addoption(
        "--scheme",
        action="append",
        default=[],
        help="only this scheme, a name or NAME=NOTATION; may be repeated",
    )
    group.addoption("--seeds", metavar="N[,N...]", help="training seeds instead of the profile's")
    group.addoption(
        "--jobs",
        type=int,
        metavar="N",
        help="stages trained at a time on the CPU (default: one a thread, up to 4)",
    )
    group.addoption("--study-dir", metavar="DIR", help="where the study is kept (default: .cxrbench/PROFILE)")
    group.addoption("--report-dir", metavar="DIR", help="write the HTML report here")
    group.addoption("--baseline", metavar="DIR", help="hold the study against this baseline")
    group.addoption("--fail-inconclusive", action="store_true", help="an inconclusive verdict fails its test")


@pytest.fixture(scope="session")
def cxr_profile(pytestconfig: pytest.Config) -> Profile:
    """The profile that the options name."""
    return _profile(pytestconfig)


@pytest.fixture(scope="session")
def cxr_device(pytestconfig: pytest.Config) -> torch.device:
    """The CPU, or the GPU with ``--gpu``; without CUDA that fails."""
    from cxrbench.training.device import choose_device

    return choose_device(pytestconfig.getoption("gpu"))


@pytest.fixture(scope="session")
def cxr_study_dir(pytestconfig: pytest.Config, cxr_profile: Profile) -> Path:
    """The folder that the session's study is kept in, from one session to the next."""
    chosen = pytestconfig.getoption("study_dir")
    return Path(chosen) if chosen else pytestconfig.rootpath / ".cxrbench" / cxr_profile.name


@pytest.fixture(scope="session")
def cxr_study(
    pytestconfig: pytest.Config, cxr_profile: Profile, cxr_device: torch.device, cxr_study_dir: Path
) -> FinishedStudy:
    """The session's one study; what is there from earlier sessions is not trained again."""
    from cxrbench.study.progress import Bars
    from cxrbench.study.run import run_study

    data_root = pytestconfig.getoption("data_root")
    # Training takes minutes: its bars and lines are let through pytest's capturing.
    capture: Any = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        study = run_study(
            cxr_profile,
            cxr_study_dir,
            data_root=Path(data_root) if data_root else None,
            schemes=tuple(pytestconfig.getoption("scheme")),
            device=cxr_device,
            progress=Bars(),
            jobs=pytestconfig.getoption("jobs"),
        )
    pytestconfig.stash[STUDY] = study
    report_dir = pytestconfig.getoption("report_dir")
    if report_dir:
        from cxrbench.report import write_report

        pytestconfig.stash[REPORT] = write_report(study, Path(report_dir))
    return study


@pytest.fixture(scope="session")
def cxr_gate(pytestconfig: pytest.Config, cxr_study: FinishedStudy) -> GateReport | Verdict:
    """The study against ``--baseline``; a verdict that says so where there is no baseline yet."""
    from cxrbench.gate.baseline import NoBaselineError, load_baseline
    from cxrbench.gate.rules import gate
    from cxrbench.statistics.verdicts import Verdict

    try:
        baseline = load_baseline(Path(pytestconfig.getoption("baseline")))
    except NoBaselineError as error:
        return Verdict("inconclusive", str(error))
    return gate(cxr_study, baseline)


class VerdictCheck(Protocol):
    """What the fixture ``cxr_verdict`` gives: call it with a verdict."""

    def __call__(self, verdict: Verdict) -> None: ...


@pytest.fixture
def cxr_verdict(request: pytest.FixtureRequest) -> VerdictCheck:
    """Turn a verdict into the test's outcome: pass, fail, or inconclusive, which pytest shows as such."""

    def check(verdict: Verdict) -> None:
        request.node.user_properties.append((_VERDICT, verdict.outcome))
        inconclusive = verdict.outcome == "inconclusive"
        if verdict.outcome == "fail" or (inconclusive and request.config.getoption("fail_inconclusive")):
            pytest.fail(verdict.sentence, pytrace=False)
        if inconclusive:
            request.node.user_properties.append(("inconclusive", verdict.sentence))

    return check


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give tests that ask for ``cxr_scheme`` one run a scheme, and for ``cxr_pair`` one a pair of schemes."""
    wanted = {"cxr_scheme", "cxr_pair"} & set(metafunc.fixturenames)
    if not wanted:
        return
    profile = _profile(metafunc.config)
    try:
        names = [scheme.name for scheme in profile.select(tuple(metafunc.config.getoption("scheme")))]
    except CxrbenchError as error:
        raise pytest.UsageError(str(error)) from None
    if "cxr_scheme" in wanted:
        metafunc.parametrize("cxr_scheme", names)
    if "cxr_pair" in wanted:
        pairs = list(combinations(names, 2))
        metafunc.parametrize("cxr_pair", pairs, ids=[f"{a}-vs-{b}" for a, b in pairs])


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport) -> Any:
    """Show an inconclusive verdict as such, neither passed nor failed."""
    properties = dict(getattr(report, "user_properties", ()))
    if report.when == "call" and report.passed and properties.get(_VERDICT) == "inconclusive":
        return "inconclusive", "I", ("INCONCLUSIVE", {"yellow": True})
    return None


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """End with the table of schemes, and the reasons for what is inconclusive."""
    for report in terminalreporter.stats.get("inconclusive", ()):
        sentence = dict(report.user_properties)["inconclusive"]
        terminalreporter.write_line(f"INCONCLUSIVE {report.nodeid} - {sentence}", yellow=True)
    study = config.stash.get(STUDY, None)
    if study is None:
        return
    from cxrbench.report.terminal import scheme_table

    terminalreporter.section("cxrbench")
    for line in scheme_table(study.results, width=terminalreporter._tw.fullwidth).splitlines():
        terminalreporter.write_line(line)
    report_file = config.stash.get(REPORT, None)
    if report_file is not None:
        terminalreporter.write_line(f"report: {report_file}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show a cxrbench error by its own message: its traceback would only hide what to do."""
    report = yield
    if call.excinfo is not None and call.excinfo.errisinstance(CxrbenchError) and _is_benchmark(item):
        report.longrepr = f"{call.excinfo.typename}: {call.excinfo.value}"
    return report


def _is_benchmark(item: pytest.Item) -> bool:
    """Whether the test uses the session's study; other tests keep their tracebacks."""
    return bool({"cxr_study", "cxr_device"} & set(getattr(item, "fixturenames", ())))


def _profile(config: pytest.Config) -> Profile:
    from cxrbench.study.profile import load_profile

    name = config.getoption("profile") or ("phantom-gpu" if config.getoption("gpu") else "phantom")
    seeds = _seeds(config)
    try:
        profile = load_profile(name)
        return profile.with_seeds(seeds) if seeds else profile
    except CxrbenchError as error:
        raise pytest.UsageError(str(error)) from None


def _seeds(config: pytest.Config) -> tuple[int, ...]:
    text = config.getoption("seeds")
    try:
        return tuple(int(seed) for seed in text.split(",")) if text else ()
    except ValueError:
        raise pytest.UsageError("--seeds takes whole numbers with commas between them: 0,1,2") from None
