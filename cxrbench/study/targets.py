"""The targets that a profile states, and on which test images they hold."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cxrbench.errors import ProfileError, StatisticsError
from cxrbench.statistics.verdicts import Target


@dataclass(frozen=True)
class TargetSettings:
    """What a scheme's AUC must be: ``auc`` within ``tolerance``, or at least ``at_least``; and its source.

    ``sd``, ``seeds``: where ``auc`` is a calibration's mean, the spread between its seeds and their number.
    ``measured_on``: which test images that was on (:func:`~cxrbench.study.evaluate.sample_digest`).
    """

    source: str
    auc: float | None = None
    tolerance: float | None = None
    at_least: float | None = None
    calibrated: bool = True
    sd: float | None = None
    seeds: int | None = None
    measured_on: str = ""

    def __post_init__(self) -> None:
        two_sided = self.auc is not None and self.tolerance is not None
        if two_sided == (self.at_least is not None):
            raise ProfileError("give either 'auc' and 'tolerance', or 'at_least'")
        if not isinstance(self.source, str) or not self.source.strip():
            raise ProfileError("'source' must say where the number comes from")
        if not isinstance(self.measured_on, str):
            raise ProfileError("'measured_on' must be text, as cxrbench calibrate writes it")
        try:
            self.as_target()
        except StatisticsError as error:
            raise ProfileError(str(error)) from None

    def on(self, sample: str) -> Target:
        """Return the target that verdicts are made with on the test images ``sample``.

        A mean that was measured on other test images says nothing of these: it is then not calibrated.
        """
        target = self.as_target()
        if not self.measured_on or self.measured_on == sample:
            return target
        source = f"measured on other test images; cxrbench calibrate measures it on these; {self.source}"
        return replace(target, calibrated=False, sd=None, seeds=None, source=source)

    def as_target(self) -> Target:
        """Return the target on the test images that it was measured on."""
        return Target(
            value=self.auc,
            tolerance=self.tolerance,
            lower=self.at_least,
            source=self.source,
            calibrated=self.calibrated,
            sd=self.sd,
            seeds=self.seeds,
        )
