"""Verdicts: does a measured AUC reach its target? Decided from the interval, never from the point alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from scipy.special import stdtrit

from cxrbench.errors import StatisticsError

Outcome = Literal["pass", "fail", "inconclusive"]

MOST_SEEDS = 1_000_000
"""More seeds than anybody trains."""

PASS, FAIL = 0.95, 0.999
"""Shares of runs of unchanged code: a run passes where so many lie, and fails where the others would."""


@dataclass(frozen=True)
class Target:
    """The AUC that a scheme must reach, and where that number comes from.

    One of three kinds. A band, ``auc`` ± ``tolerance``, says what the AUC *is*: a rise is as much a change as
    a fall. A reference distribution, ``auc`` with ``sd`` and ``seeds``, says the same by what a calibration
    measured. A lower bound, ``at_least``, says what it must not fall below; ``auc`` may then be given too and
    is only quoted. A target that is not yet calibrated needs none, and no interval settles it.

    Parameters
    ----------
    auc: the AUC aimed at, 0 to 1.
    tolerance: half-width of the band, above 0; needs ``auc``.
    at_least: the lower bound, above 0, at most 1.
    source: where the number comes from (a paper, a calibration run), quoted in every verdict.
    calibrated: False while the number is a guess.
    sd, seeds: where ``auc`` is the mean of a calibration on the same test images, the standard deviation
        between its training seeds and their number, 2 or more.
    measured_on: which test images the number was measured on (a digest); empty where it holds for all.

    Raises
    ------
    StatisticsError: a number is out of range, it is not said which kind the target is, or no AUC at all would
        miss it.
    """

    auc: float | None = None
    tolerance: float | None = None
    at_least: float | None = None
    source: str = ""
    calibrated: bool = True
    sd: float | None = None
    seeds: int | None = None
    measured_on: str = ""

    def __post_init__(self) -> None:
        if (self.sd is None) != (self.seeds is None):
            raise StatisticsError("target: 'sd' and 'seeds' (a calibration's spread) go together")
        if self.sd is not None and self.seeds is not None:
            if not 0 < self.sd <= 1:
                raise StatisticsError(f"target: sd must be above 0 and at most 1, not {self.sd:g}")
            if not 2 <= self.seeds <= MOST_SEEDS:
                raise StatisticsError(f"target: a spread needs 2 to {MOST_SEEDS:,} seeds, not {self.seeds}")
        for name, number in (("auc", self.auc), ("at_least", self.at_least)):
            if number is not None and not 0 <= number <= 1:
                raise StatisticsError(f"target: {name} must lie between 0 and 1, not {number:g}")
        if self.tolerance is not None and not 0 < self.tolerance <= 1:
            raise StatisticsError(f"target: tolerance must be above 0 and at most 1, not {self.tolerance:g}")
        kinds = [kind is not None for kind in (self.tolerance, self.at_least, self.sd)]
        if sum(kinds) > 1:
            raise StatisticsError(
                "target: give one of a tolerance, a lower bound and a calibration's spread, not several"
            )
        if self.auc is None and (kinds[0] or kinds[2]):
            what = "tolerance" if kinds[0] else "calibration's spread"
            raise StatisticsError(f"target: a {what} needs the 'auc' that it lies around")
        if self.calibrated and not any(kinds):
            raise StatisticsError(
                "target: give a tolerance around the 'auc', a calibration's spread ('sd' and 'seeds'), or a "
                "lower bound, or say it is not calibrated"
            )
        if self.band == (0.0, 1.0):
            raise StatisticsError(f"target: every AUC meets {replace(self, calibrated=False)}; narrow it")

    @property
    def band(self) -> tuple[float, float] | None:
        """The AUCs of one run that meet the target, ends included; None where it is not yet calibrated."""
        if not self.calibrated:
            return None
        if self.sd is not None:
            return self.interval()
        if self.auc is not None and self.tolerance is not None:
            return max(0.0, self.auc - self.tolerance), min(1.0, self.auc + self.tolerance)
        return (self.at_least, 1.0) if self.at_least is not None else None

    def for_sample(self, sample: str) -> Target:
        """Return the target that verdicts are passed with on the test images ``sample``.

        A mean that was measured on other test images says nothing of these: it is then not calibrated.
        """
        if not self.measured_on or self.measured_on == sample:
            return self
        source = f"measured on other test images; cxrbench calibrate measures it on these; {self.source}"
        return replace(self, calibrated=False, sd=None, seeds=None, source=source)

    def reach(self, runs: int = 1, share: float = PASS) -> float | None:
        """Return how far the mean AUC of ``runs`` other seeds of unchanged code lies from ``auc`` at most.

        In a ``share`` of cases: t(k-1; (1 + share) / 2) sd sqrt(1/runs + 1/k) with k calibration seeds, half
        the prediction interval of a mean of ``runs`` further normal observations. None without a spread.
        """
        if self.sd is None or self.seeds is None:
            return None
        quantile = float(stdtrit(self.seeds - 1, (1 + share) / 2))
        return quantile * self.sd * math.sqrt(1 / runs + 1 / self.seeds)

    def interval(self, runs: int = 1, share: float = PASS) -> tuple[float, float] | None:
        """Return ``auc`` ± :meth:`reach`, as far as that is an AUC."""
        reach = self.reach(runs, share)
        if reach is None or self.auc is None:
            return None
        return max(0.0, self.auc - reach), min(1.0, self.auc + reach)

    def __str__(self) -> str:
        half = self.reach() if self.tolerance is None else self.tolerance
        if half is not None:
            text = f"{self.auc:.3f} ± {half:.3f}"
        elif self.at_least is not None:
            text = f"at least {self.at_least:.3f}"
        elif self.auc is not None:
            text = f"about {self.auc:.3f}"
        else:
            text = "none"
        return text + (f" ({self.source})" if self.source else "")


@dataclass(frozen=True)
class Margin:
    """By how much one scheme beat another in a calibration, paired over its training seeds.

    Parameters
    ----------
    difference, sd: mean and standard deviation over the seeds. seeds: how many there were, 2 or more.
    measured_on: on which test images (a digest).

    Raises
    ------
    StatisticsError: a number is out of range.
    """

    difference: float
    sd: float
    seeds: int
    measured_on: str

    def __post_init__(self) -> None:
        if not -1 <= self.difference <= 1:
            raise StatisticsError(f"claim: difference must lie between -1 and 1, not {self.difference:g}")
        if not 0 < self.sd <= 2:
            raise StatisticsError(f"claim: sd must be above 0 and at most 2, not {self.sd:g}")
        if not 2 <= self.seeds <= MOST_SEEDS:
            raise StatisticsError(f"claim: a spread needs 2 to {MOST_SEEDS:,} seeds, not {self.seeds}")

    def reach(self, runs: int) -> float:
        """Return half the 95% interval that the seeds' spread gives a mean difference of ``runs`` seeds."""
        return float(stdtrit(self.seeds - 1, 0.975)) * self.sd / math.sqrt(runs)


@dataclass(frozen=True)
class Verdict:
    """What an interval says of a target.

    Parameters
    ----------
    outcome: ``"pass"``, ``"fail"`` or ``"inconclusive"``.
    sentence: the reason, with every number that it rests on.
    """

    outcome: Outcome
    sentence: str


def verdict(
    target: Target, auc: float | None, ci_low: float | None, ci_high: float | None, runs: int = 1
) -> Verdict:
    """Hold a measured AUC against a target: **the** rule, and the only one.

    ============  ==============================  ===================  ================================
    outcome       band, auc ± tolerance           lower bound          reference distribution
    ============  ==============================  ===================  ================================
    pass          the interval lies in the band   ``ci_low`` above it  the AUC lies where 95% of runs lie
    fail          it lies outside, on one side    ``ci_high`` below    outside of where 99.9% lie
    inconclusive  it crosses an end of the band   it crosses it        between
    ============  ==============================  ===================  ================================

    Of the first two kinds, pass and fail are claims that the data support: the two one-sided tests of
    Schuirmann (J. Pharmacokinet. Biopharm. 15:657-680, 1987), each at 2.5% with a 95% interval. How often
    they err in small samples was simulated: docs/statistics.md has the numbers, cell by cell. A test sample
    that is too small gives neither, and the sentence says what would settle it. A target that is not yet
    calibrated, or an AUC that could not be estimated, is always inconclusive.

    A reference distribution was measured on the same test images: the variance of the test sample is in both
    numbers alike and drops out, and what remains is that of the training seed. So one further seed of
    unchanged code passes in 95% of cases, and one in a thousand fails (:meth:`Target.reach`).

    Parameters
    ----------
    target: what must be reached.
    auc: the point estimate; quoted, and what is held against a reference distribution.
    ci_low, ci_high: ends of its confidence interval; None where not estimable.
    runs: the number of training seeds that ``auc`` is the mean of.

    Raises
    ------
    StatisticsError: the interval is not one (an end is NaN, or the ends are the wrong way round), the AUC is
        NaN, or there are no runs.
    """
    if auc is None or ci_low is None or ci_high is None:
        return Verdict("inconclusive", f"the AUC could not be estimated; target {target}")
    if math.isnan(auc) or runs < 1:
        raise StatisticsError(f"no verdict on an AUC of {auc:g} from {runs} runs")
    if not ci_low <= ci_high:
        raise StatisticsError(f"interval: {ci_low:g} to {ci_high:g} is not an interval")
    if target.calibrated and target.sd is not None:
        return _against_distribution(target, auc, runs)
    band = target.band
    digits = _digits((auc, ci_low, ci_high), band or ())
    measured = f"AUC {auc:.{digits}f} [{ci_low:.{digits}f}, {ci_high:.{digits}f}]"
    if band is None:
        return Verdict("inconclusive", f"{measured}: the target, {target}, is not yet calibrated")
    low, high = band
    if low <= ci_low and ci_high <= high:
        return Verdict("pass", f"{measured} lies within the target, {target}")
    if ci_high < low:
        return Verdict("fail", f"{measured} lies below the target, {target}")
    if ci_low > high:
        return Verdict("fail", f"{measured} lies above the target, {target}: {_GAIN}")
    width, room = ci_high - ci_low, high - low
    if target.tolerance is not None and width > room:
        settle = f"the interval is {width:.3f} wide, the band {room:.3f}: it takes more test patients to pass"
    else:
        settle = "more test patients would narrow the interval"
    return Verdict("inconclusive", f"{measured} reaches across the edge of the target, {target}: {settle}")


def _against_distribution(target: Target, auc: float, runs: int) -> Verdict:
    passes, fails = target.interval(runs), target.interval(runs, FAIL)
    assert passes is not None
    assert fails is not None
    digits = _digits((auc,), (*passes, *fails))
    of = f"{target.seeds} calibration seeds, SD {target.sd:.3f}"
    measured = f"AUC {auc:.{digits}f}" + (f", mean of {runs} seeds," if runs > 1 else "")

    def where(share: float, ends: tuple[float, float]) -> str:
        runs_like_it = "runs" if runs == 1 else f"means of {runs} seeds"
        return (
            f"where {100 * share:g}% of {runs_like_it} of unchanged code lie, {ends[0]:.{digits}f} to "
            f"{ends[1]:.{digits}f}, by the target {target} ({of})"
        )

    if passes[0] <= auc <= passes[1]:
        return Verdict("pass", f"{measured} lies {where(PASS, passes)}")
    if auc < fails[0]:
        return Verdict("fail", f"{measured} lies below {where(FAIL, fails)}")
    if auc > fails[1]:
        return Verdict("fail", f"{measured} lies above {where(FAIL, fails)}: {_GAIN}")
    return Verdict(
        "inconclusive",
        f"{measured} lies outside of {where(PASS, passes)}, but not of where {100 * FAIL:g}% lie, "
        f"{fails[0]:.{digits}f} to {fails[1]:.{digits}f}: more training seeds (--seeds) would settle it",
    )


_GAIN = "if the gain is meant, calibrate the target again"


def _digits(measured: tuple[float, ...], ends: tuple[float, ...]) -> int:
    """Return how many decimals keep rounded numbers on their side of the band's ends: 3 at least."""
    digits = 3
    while digits < 12 and any(
        (number < end) != (round(number, digits) < round(end, digits)) for number in measured for end in ends
    ):
        digits += 1
    return digits
