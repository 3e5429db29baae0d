"""The pytest plugin from outside: options, parametrisation, verdicts as outcomes, the closing table."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_study import profile_text

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
QUIET = ("-p", "no:cacheprovider", "-p", "no:benchmark")

PROFILE = profile_text(
    {
        "study.title": "Outside",
        "roles.covid.options": {"cohort": "covid", "n_images": 60, "n_test_images": 40},
        "targets": None,
        "schemes": {"again": "init > covid > covid"},
    },
    roles=("covid",),
)

VERDICTS = """
import pytest
from cxrbench.statistics.verdicts import Verdict

@pytest.mark.parametrize("outcome", ["pass", "fail", "inconclusive"])
def test_it(outcome, cxr_verdict):
    cxr_verdict(Verdict(outcome, f"the reason for {outcome}"))
"""


@pytest.fixture
def elsewhere(pytester):
    """A folder with a profile, in which pytest runs with every plugin that is installed."""
    pytester.makefile(".toml", outside=PROFILE)
    return pytester


@pytest.fixture
def outside(elsewhere, this_plugin_only):  # noqa: ARG001
    """The same, in which pytest runs with this plugin only."""
    return elsewhere


def run(pytester, *arguments):
    return pytester.runpytest(*QUIET, "--cxr-jobs", "1", *arguments)


def test_verdicts_become_outcomes(outside):
    outside.makepyfile(VERDICTS)
    result = run(outside)
    outcomes = result.parseoutcomes()
    assert outcomes == {"passed": 1, "failed": 1, "inconclusive": 1}
    result.stdout.fnmatch_lines(["*the reason for fail*", "INCONCLUSIVE *the reason for inconclusive*"])
    assert "def test_it" not in result.stdout.str()


def test_an_inconclusive_verdict_can_be_made_to_fail(outside):
    outside.makepyfile(VERDICTS)
    assert run(outside, "--cxr-fail-inconclusive").parseoutcomes() == {"passed": 1, "failed": 2}


def test_inconclusive_alone_is_no_failure(outside):
    outside.makepyfile(VERDICTS.replace('"fail", ', ""))
    result = run(outside)
    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes() == {"passed": 1, "inconclusive": 1}


def test_schemes_pairs_and_network_are_those_of_the_options_and_the_profile(outside):
    outside.makepyfile(
        """
        def test_network(cxr_profile): assert cxr_profile.network == "timm:resnet18"
        def test_folder(cxr_study_dir): assert cxr_study_dir.name.endswith("+timm+resnet18")
        def test_scheme(cxr_scheme): assert cxr_scheme in ("control", "again")
        def test_pair(cxr_pair): assert cxr_pair == ("control", "again")
        """
    )
    result = run(
        outside,
        "--cxr-profile",
        "outside.toml",
        "--cxr-scheme",
        "control",
        "--cxr-scheme",
        "again",
        "--cxr-network",
        "timm:resnet18",
        "-v",
    )
    assert result.parseoutcomes() == {"passed": 5}
    result.stdout.fnmatch_lines(
        [
            "*test_scheme?control? PASSED*",
            "*test_scheme?again? PASSED*",
            "*test_pair?control-vs-again? PASSED*",
        ]
    )


def test_claims_are_those_that_the_chosen_schemes_can_be_held_against(outside):
    outside.makepyfile(
        "def test_claim(cxr_claim): assert str(cxr_claim) == f'{cxr_claim.better}-beats-{cxr_claim.worse}'"
    )
    paths = run(outside, "--cxr-profile", "phantom-small", "--cxr-schemes", "paths", "-v")
    assert paths.parseoutcomes() == {"passed": 6}
    paths.stdout.fnmatch_lines(["*test_claim?findings-beats-pooled-findings? PASSED*"])
    six = run(outside, "--cxr-profile", "phantom-small", "-v")
    six.stdout.fnmatch_lines(["*test_claim?sequential-beats-pooled-all? PASSED*"])
    none = run(outside, "--cxr-profile", "outside.toml", "--cxr-scheme", "control", "--cxr-scheme", "again")
    assert none.parseoutcomes() == {"skipped": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cxr-schemes", "path"], "*no set of schemes 'path'; did you mean 'paths'*"),
        (["--cxr-profile", "phantm"], "*no profile 'phantm'; did you mean 'phantom'*"),
        (["--cxr-scheme", "contrl"], "*no scheme 'contrl'; did you mean 'control'*"),
        (["--cxr-seeds", "one"], "*seeds: write whole numbers*"),
        (["--cxr-profile", "outside.toml", "--cxr-scheme", "findings"], "*'findings' needs role 'findings'*"),
        (["--cxr-profile", "latin.toml"], "*profile latin.toml: line 3 is not UTF-8*"),
        (["--cxr-profile", "latin.toml", "--cxr-seeds", "one"], "*seeds: write whole numbers*"),
    ],
)
def test_a_mistaken_option_is_a_usage_error(outside, arguments, message):
    (outside.path / "latin.toml").write_bytes(PROFILE.replace("Outside", "Küste").encode("latin-1"))
    outside.makepyfile("def test_scheme(cxr_scheme): pass")
    result = run(outside, *arguments)
    assert result.ret in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED)
    (result.stderr if result.ret == pytest.ExitCode.USAGE_ERROR else result.stdout).fnmatch_lines([message])


def test_a_gpu_that_is_not_there_fails_and_does_not_skip(outside, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    outside.makepyfile("def test_device(cxr_device): pass")
    result = run(outside, "--cxr-gpu")
    assert result.parseoutcomes() == {"errors": 1}
    result.stdout.fnmatch_lines(["*TrainingError: a GPU is asked for*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_the_cluster_that_is_named_reaches_the_study(outside):
    outside.makepyfile(
        """
        from cxrbench.plugin import asked_in

        def test_it(pytestconfig):
            where = asked_in(pytestconfig).where()
            assert (where.cluster, where.devices) == ("scheduler.json", None)
        """
    )
    options = ("--cxr-profile", "outside.toml", "--cxr-cluster", "scheduler.json")
    assert outside.runpytest(*QUIET, *options).parseoutcomes() == {"passed": 1}


def test_the_study_is_run_once_kept_and_ends_in_a_table(outside):
    outside.makepyfile(
        """
        def test_one(cxr_study): assert cxr_study.results.names == ("control",)
        def test_two(cxr_study, cxr_study_dir): assert (cxr_study_dir / "results.json").exists()
        """
    )
    options = ("--cxr-profile", "outside.toml", "--cxr-scheme", "control", "--cxr-study-dir", "kept")
    first = run(outside, *options, "--cxr-report-dir", "page")
    assert first.parseoutcomes() == {"passed": 2}
    first.stdout.fnmatch_lines(["*= cxrbench =*", "*control*", "report: *index.html"])
    assert (outside.path / "page" / "index.html").stat().st_size > 1000
    second = run(outside, *options)
    assert second.parseoutcomes() == {"passed": 2}
    assert len(list((outside.path / "kept" / "stages").iterdir())) == 1


def test_a_baseline_that_is_not_there_yet_is_a_state_of_its_own(outside):
    outside.makepyfile(
        """
        def test_gate(cxr_gate, cxr_verdict): cxr_verdict(cxr_gate)
        """
    )
    options = ("--cxr-profile", "outside.toml", "--cxr-scheme", "control", "--cxr-study-dir", "kept")
    result = run(outside, *options, "--cxr-baseline", "nowhere")
    assert result.parseoutcomes() == {"inconclusive": 1}
    result.stdout.fnmatch_lines(
        ["*no baseline yet at nowhere: write one with 'cxrbench baseline save nowhere*"]
    )


STUDY_OF_NOTHING = """
from types import SimpleNamespace

import pytest
from cxrbench.schemes import StageRun, make_plan

@pytest.fixture(scope="session")
def cxr_study(pytestconfig, cxr_profile):
    # Nothing is trained: a second for the first run of the plan, two for the next, and so on.
    schemes = cxr_profile.select(tuple(pytestconfig.getoption("cxr_scheme")))
    seconds = {run: 1.0 + i for i, run in enumerate(make_plan(schemes).runs)}
    results = SimpleNamespace(
        target="covid",
        seeds=(0,),
        roles={"covid": SimpleNamespace(folds=0)},
        stages=[SimpleNamespace(run=str(run), seconds=s, images_per_second=1) for run, s in seconds.items()],
        scheme={
            scheme.name: SimpleNamespace(
                name=scheme.name,
                notation=scheme.notation,
                train_seconds=sum(
                    seconds[StageRun(scheme.stages[: i + 1])] for i in range(len(scheme.stages))
                ),
            )
            for scheme in schemes
        }.get,
    )
    return SimpleNamespace(results=results)
"""


def test_the_time_of_a_scheme_is_found_however_its_pools_are_ordered(outside):
    roles = "".join(
        f"[roles.{r}]\ndataset = 'phantom'\nvalidation = 0.3\noptions = {{ cohort = '{r}' }}\n"
        for r in ("findings", "pneumonia")
    )
    outside.makefile(".toml", outside=PROFILE + roles)
    outside.makeconftest(STUDY_OF_NOTHING)
    outside.makepyfile(
        test_training_speed=BENCHMARKS.joinpath("test_training_speed.py").read_text(encoding="utf-8")
    )
    mine = "mine=init > pneumonia + findings > pneumonia > covid"
    options = ("--cxr-profile", "outside.toml", "--cxr-scheme", "pooled-supplement", "--cxr-scheme", mine)
    result = run(outside, *options, "-k", "time_of_a_scheme")
    assert result.parseoutcomes() == {"passed": 2, "deselected": 2}


def test_the_number_of_jobs_reaches_the_study(outside):
    outside.makepyfile("def test_it(cxr_study): pass")
    result = run(outside, "--cxr-profile", "outside.toml", "--cxr-jobs", "0")
    assert result.parseoutcomes() == {"errors": 1}
    result.stdout.fnmatch_lines(["*CxrbenchError: jobs = 0: give 1 or more, at most 1,000"])


def test_another_project_keeps_its_own_option_names(elsewhere):
    elsewhere.makeconftest(
        """
        from cxrbench.plugin import OPTIONS
        def pytest_addoption(parser):
            for name in OPTIONS:
                parser.addoption(f"--{name}", help="the project's own")
        """
    )
    elsewhere.makepyfile("def test_own(request): assert request.config.getoption('gpu') == 'mine'")
    result = elsewhere.runpytest_subprocess(*QUIET, "--gpu", "mine")
    assert result.parseoutcomes() == {"passed": 1}


def test_the_benchmarks_take_every_option_without_its_prefix(elsewhere):
    elsewhere.makeconftest(BENCHMARKS.joinpath("conftest.py").read_text(encoding="utf-8"))
    elsewhere.makepyfile(
        """
        def test_values(request):
            option = request.config.getoption
            assert option("cxr_scheme") == ["control", "again"]
            assert (option("cxr_jobs"), option("cxr_gpu"), option("cxr_seeds")) == (3, True, None)
        """
    )
    options = ("--scheme", "control", "--cxr-scheme", "again", "--jobs", "3", "--gpu")
    assert elsewhere.runpytest("-p", "no:cacheprovider", *options).parseoutcomes() == {"passed": 1}


def test_the_benchmarks_say_which_extra_is_missing(outside):
    outside.makeconftest(BENCHMARKS.joinpath("conftest.py").read_text(encoding="utf-8"))
    outside.makepyfile("def test_timed(benchmark): pass")
    result = outside.runpytest(*QUIET)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*pip install 'cxrbench?bench?'"])


def test_other_peoples_tests_do_not_pay_for_the_plugin(elsewhere):
    elsewhere.makepyfile(
        """
        import sys, time
        def test_light(): assert not {"torch", "pandas", "sklearn", "numpy"} & set(sys.modules)
        def test_quick():
            ours = [name for name in sys.modules if name.partition(".")[0] == "cxrbench"]
            for name in ours:
                del sys.modules[name]
            start = time.process_time()
            import cxrbench.plugin
            assert time.process_time() - start < 0.05
        """
    )
    result = elsewhere.runpytest_subprocess(*QUIET)
    assert result.parseoutcomes() == {"passed": 2}


def test_a_short_name_that_another_has_is_a_usage_error(outside):
    outside.makeconftest(
        """
        from cxrbench.plugin import add_short_options
        def pytest_addoption(parser):
            parser.addoption("--gpu", help="the project's own")
            add_short_options(parser)
        """
    )
    result = outside.runpytest(*QUIET, "--gpu", "mine")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--gpu is an option of another plugin or conftest" in result.stderr.str()
    assert "Traceback" not in result.stderr.str()


@pytest.mark.parametrize("chosen", [(), ("--cxr-study-dir", "file/study")])
def test_a_project_in_which_no_study_can_be_kept(outside, chosen):
    for name in (".cxrbench", "file"):
        (outside.path / name).write_text("in the way")
    outside.makepyfile("def test_study(cxr_study): pass")
    result = run(outside, "--cxr-profile", "outside.toml", "--cxr-scheme", "control", *chosen)
    assert result.parseoutcomes() == {"errors": 1}
    place = chosen[1] if chosen else outside.path / ".cxrbench"
    assert f"CxrbenchError: {place}" in result.stdout.str()
    assert "Traceback" not in result.stdout.str()


@pytest.mark.parametrize("options", [(), ("-p", "no:capture"), ("--rootdir", "/"), ("-c", "odd.ini")])
def test_an_interrupted_study_says_that_it_goes_on(outside, options):
    outside.makeconftest(
        """
        import sys
        from types import SimpleNamespace
        import pytest

        def run_study(*args, **kwargs): raise KeyboardInterrupt

        sys.modules["cxrbench.study.run"] = SimpleNamespace(run_study=run_study)

        @pytest.fixture(scope="session")
        def cxr_device(): return None
        """
    )
    outside.makepyfile("def test_study(cxr_study): pass")
    (outside.path / "odd.ini").write_text("[pytest]\nconsole_output_style = count\n")
    options = (*options, "--cxr-profile", "outside.toml", "--cxr-study-dir", "kept")
    result = outside.runpytest(*QUIET, *options, no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["the study at kept is not finished: the same command goes on with it"])
