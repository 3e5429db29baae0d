"""The pytest plugin: options, the session's one study, and how verdicts are shown.

pytest loads this module wherever cxrbench is installed, so nothing heavy is imported at its top and nothing
happens unless a test asks for a fixture of it.
"""

from __future__ import annotations

from argparse import ArgumentError
from collections.abc import Callable, Generator
from contextlib import nullcontext
from dataclasses import fields
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from cxrbench.errors import CxrbenchError
from cxrbench.study.asked import Asked, argparse_option

if TYPE_CHECKING:
    import torch

    from cxrbench.gate.rules import GateReport
    from cxrbench.statistics.verdicts import Verdict
    from cxrbench.study.finished import FinishedStudy
    from cxrbench.study.profile import Profile

OPTIONS: dict[str, dict[str, Any]] = {
    **{field.name.replace("_", "-"): argparse_option(field) for field in fields(Asked)},
    "study-dir": {
        "metavar": "DIR",
        "help": "where the study is kept (default: .cxrbench/PROFILE, or PROFILE+NETWORK)",
    },
    "report-dir": {"metavar": "DIR", "help": "write the HTML report here"},
    "baseline": {"metavar": "DIR", "help": "hold the study against this baseline"},
    "allow-change": {
        "action": "append",
        "default": [],
        "metavar": "KIND",
        "help": "what of the experiment may differ from the baseline's: settings, images, labels, pixels, "
        "start, training or prediction; may be repeated",
    },
    "fail-inconclusive": {"action": "store_true", "help": "an inconclusive verdict fails its test"},
}
"""Each option's name without its prefix, and what argparse takes.

Installed, the plugin adds them as ``--cxr-NAME`` only: a bare ``--gpu`` may be another project's own. A
conftest that wants short ones calls :func:`add_short_options`.
"""

STUDY = pytest.StashKey["FinishedStudy"]()
REPORT = pytest.StashKey[Path]()
UNFINISHED = pytest.StashKey[Path]()
_LINES = pytest.StashKey[list[str]]()
_VERDICT = "cxrbench-verdict"
_WIDTH, _LINES_KEY = "cxrbench_width", "cxrbench_lines"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the options that choose what is trained, on what, and what it is held against."""
    group = parser.getgroup("cxrbench", "chest-radiograph benchmark")
    for name, settings in OPTIONS.items():
        group.addoption(f"--cxr-{name}", dest=_dest(name), **settings)


def add_short_options(parser: pytest.Parser) -> None:
    """Register every option without its prefix as well, for a project where no other has the name.

    Raises
    ------
    pytest.UsageError: another has it.
    """
    group = parser.getgroup("cxrbench")
    for name, settings in OPTIONS.items():
        try:
            group.addoption(f"--{name}", dest=_dest(name), **{**settings, "help": f"short for --cxr-{name}"})
        except (ValueError, ArgumentError):
            raise pytest.UsageError(
                f"--{name} is an option of another plugin or conftest: leave out add_short_options, and give "
                f"--cxr-{name}"
            ) from None


def _dest(name: str) -> str:
    return f"cxr_{name.replace('-', '_')}"


def _option(config: pytest.Config, name: str) -> Any:
    return config.getoption(_dest(name))


@pytest.fixture(scope="session")
def cxr_profile(pytestconfig: pytest.Config) -> Profile:
    """The profile that the options name."""
    return _profile(pytestconfig)


@pytest.fixture(scope="session")
def cxr_device(pytestconfig: pytest.Config) -> torch.device:
    """The CPU, or the GPU with ``--gpu``, or the first of ``--devices``; without CUDA that fails."""
    from cxrbench.study.executor import choose_devices

    return (asked_in(pytestconfig).where().devices or choose_devices())[0]


@pytest.fixture(scope="session")
def cxr_study_dir(pytestconfig: pytest.Config) -> Path:
    """The folder that the session's study is kept in, from one session to the next."""
    chosen = _option(pytestconfig, "study-dir")
    return (
        Path(chosen) if chosen else pytestconfig.rootpath / ".cxrbench" / asked_in(pytestconfig).folder_name()
    )


@pytest.fixture(scope="session")
def cxr_study(
    pytestconfig: pytest.Config,
    cxr_profile: Profile,
    cxr_study_dir: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> FinishedStudy:
    """The session's one study; what is there from earlier sessions is not trained again.

    Under pytest-xdist the worker that asks first runs it, and the others wait for it and read what it wrote.
    """

    def run() -> FinishedStudy:
        return _run_study(pytestconfig, cxr_profile, cxr_study_dir)

    if _is_worker(pytestconfig):
        # Workers' folders for temporary files lie in one of the session, which is new each time.
        study = _once(run, tmp_path_factory.getbasetemp().parent, cxr_study_dir)
    else:
        study = run()
    pytestconfig.stash[STUDY] = study
    return study


def _run_study(config: pytest.Config, profile: Profile, folder: Path) -> FinishedStudy:
    """Run the study and write its report where one is asked for."""
    from cxrbench.study.progress import Bars, Lines
    from cxrbench.study.stopping import Stopped, stoppable

    report_dir = _option(config, "report-dir")
    config.stash[UNFINISHED] = folder
    # Training takes minutes: its bars and lines are let through pytest's capturing.
    capture: Any = config.pluginmanager.getplugin("capturemanager")  # None with -p no:capture
    try:
        with capture.global_and_fixture_disabled() if capture else nullcontext(), stoppable():
            # Bars would overwrite the line that xdist's controller writes to the same terminal.
            study = asked_in(config).run(profile, folder, Lines() if _is_worker(config) else Bars())
    except Stopped as stopped:
        pytest.exit(str(stopped), returncode=stopped.exit_code)
    del config.stash[UNFINISHED]
    if report_dir:
        from cxrbench.report import write_report

        config.stash[REPORT] = write_report(study, Path(report_dir))
    return study


def _once(run: Callable[[], FinishedStudy], session: Path, folder: Path) -> FinishedStudy:
    """Return, or raise, what ``run`` gave the process of the session that came first."""
    from filelock import FileLock

    from cxrbench.study.finished import FinishedStudy

    note = session / "cxrbench-study"
    with FileLock(note.with_suffix(".lock")):
        if not note.exists():
            try:
                study = run()
            except CxrbenchError as error:
                note.write_text(str(error), encoding="utf-8")
                raise
            note.touch()
            return study
        said = note.read_text(encoding="utf-8")
    if said:
        raise CxrbenchError(said)
    return FinishedStudy.open(folder)


def _is_worker(config: pytest.Config) -> bool:
    """Whether this is one of pytest-xdist's workers."""
    return hasattr(config, "workerinput")


@pytest.fixture(scope="session")
def cxr_experiment(pytestconfig: pytest.Config, cxr_study: FinishedStudy) -> Verdict:
    """Whether the study did the same as ``--baseline``; inconclusive where there is no baseline yet."""
    from cxrbench.gate.baseline import NoBaselineError, load_baseline
    from cxrbench.gate.experiment import same_experiment
    from cxrbench.statistics.verdicts import Verdict

    try:
        baseline = load_baseline(Path(_option(pytestconfig, "baseline")))
    except NoBaselineError as error:
        return Verdict("inconclusive", str(error))
    experiment = same_experiment(cxr_study, baseline, _option(pytestconfig, "allow-change"))
    assert experiment is not None  # A study that was just run has a trace.
    return experiment.verdict


@pytest.fixture(scope="session")
def cxr_gate(pytestconfig: pytest.Config, cxr_study: FinishedStudy) -> GateReport | Verdict:
    """The study against ``--baseline``; a verdict that says so where there is no baseline yet."""
    from cxrbench.gate.baseline import NoBaselineError, load_baseline
    from cxrbench.gate.rules import gate
    from cxrbench.statistics.verdicts import Verdict

    try:
        baseline = load_baseline(Path(_option(pytestconfig, "baseline")))
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
        if verdict.outcome == "fail" or (inconclusive and _option(request.config, "fail-inconclusive")):
            pytest.fail(verdict.sentence, pytrace=False)
        if inconclusive:
            request.node.user_properties.append(("inconclusive", verdict.sentence))

    return check


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give tests a run per scheme (``cxr_scheme``), pair of them (``cxr_pair``) or claim (``cxr_claim``)."""
    wanted = {"cxr_scheme", "cxr_pair", "cxr_claim"} & set(metafunc.fixturenames)
    if not wanted:
        return
    profile = _profile(metafunc.config)
    try:
        schemes = profile.select(tuple(_option(metafunc.config, "scheme")))
    except CxrbenchError as error:
        raise pytest.UsageError(str(error)) from None
    names = [scheme.name for scheme in schemes]
    if "cxr_scheme" in wanted:
        metafunc.parametrize("cxr_scheme", names)
    if "cxr_pair" in wanted:
        pairs = list(combinations(names, 2))
        metafunc.parametrize("cxr_pair", pairs, ids=[f"{a}-vs-{b}" for a, b in pairs])
    if "cxr_claim" in wanted:
        from cxrbench.schemes import claims

        metafunc.parametrize("cxr_claim", claims(schemes, profile.target), ids=str)


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
    lines = config.stash.get(_LINES, None) or _closing_lines(config, config.get_terminal_writer().fullwidth)
    if lines:
        terminalreporter.section("cxrbench")
        for line in lines:
            terminalreporter.write_line(line)


def _closing_lines(config: pytest.Config, width: int) -> list[str]:
    """Return the table of schemes and where the report is; nothing where the session had no study."""
    unfinished = config.stash.get(UNFINISHED, None)
    if unfinished is not None:
        return [f"the study at {unfinished} is not finished: the same command goes on with it"]
    study = config.stash.get(STUDY, None)
    if study is None:
        return []
    from cxrbench.report.terminal import scheme_table

    report = config.stash.get(REPORT, None)
    return [
        *scheme_table(study.results, width=width).splitlines(),
        *([] if report is None else [f"report: {report}"]),
    ]


# Under pytest-xdist the study is a worker's and the terminal the controller's: the lines go from one to the
# other. The hooks of its own are optional: without it nothing calls them.


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Say to a worker how wide the terminal is."""
    node.workerinput[_WIDTH] = node.config.get_terminal_writer().fullwidth


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the closing lines of a worker's study to the controller."""
    config: Any = session.config
    if _is_worker(config):
        config.workeroutput[_LINES_KEY] = _closing_lines(config, config.workerinput[_WIDTH])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Keep the longest of the closing lines that workers send: those that waited do not know the report."""
    lines = getattr(node, "workeroutput", {}).get(_LINES_KEY, [])
    if len(lines) > len(node.config.stash.get(_LINES, [])):
        node.config.stash[_LINES] = lines


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


def asked_in(config: pytest.Config) -> Asked:
    """Return the study that a session's options ask for."""
    values = {field.name: getattr(config.option, _dest(field.name)) for field in fields(Asked)}
    return Asked(**{**values, "scheme": tuple(values["scheme"])})


def _profile(config: pytest.Config) -> Profile:
    try:
        return asked_in(config).load()
    except CxrbenchError as error:
        raise pytest.UsageError(str(error)) from None
