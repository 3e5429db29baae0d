"""The files of a calibration, with its table and statements in Markdown, and its figure."""

from __future__ import annotations

from pathlib import Path

from cxrbench.calibration.evidence import as_json, evidence
from cxrbench.calibration.knobs import knobs_text
from cxrbench.calibration.records import Calibration, Fit
from cxrbench.calibration.rewrite import calibrated_profile
from cxrbench.errors import CxrbenchError
from cxrbench.files import write_bytes_atomic
from cxrbench.report.content import SYNTHETIC
from cxrbench.report.figures.calibration import draw
from cxrbench.report.figures.figure import render
from cxrbench.report.markup import escaped, table
from cxrbench.statistics.verdicts import FAIL, PASS


def write_calibration(calibration: Calibration) -> tuple[Path, ...]:
    """Write the files into the calibration's folder and return their paths.

    The same calibration gives the same bytes, and no path of this machine is among them.

    Raises
    ------
    CxrbenchError: a file cannot be written.
    """
    request = calibration.request
    figure = draw(calibration)
    profile = calibrated_profile(
        request.text, calibration.knobs, calibration.targets, calibration.claims, calibration.added
    )
    contents = {
        "evidence.csv": evidence(calibration).encode(),
        "calibration.json": as_json(calibration).encode(),
        "profile.toml": profile.encode(),
        "calibration.md": summary(calibration).encode(),
        "calibration.svg": render(figure, "svg"),
        "calibration.png": render(figure, "png"),
    }
    for name, content in contents.items():
        try:
            write_bytes_atomic(request.out / name, content)
        except OSError as error:
            raise CxrbenchError(
                f"{request.out / name} cannot be written: {error.strerror or error}"
            ) from None
    return tuple(request.out / name for name in contents)


def summary(calibration: Calibration) -> str:
    """Return what was run, the fit, the AUC of each scheme and seed, the targets and the statements."""
    request = calibration.request
    row = next(calibration.rows_of("confirm"))
    blocks = ["# Calibration", f"`{request.command}`"]
    if calibration.synthetic:
        blocks.append(escaped(SYNTHETIC))
    if calibration.fit is not None:
        blocks += _fit(calibration.fit, calibration)
    blocks += ["## AUC by scheme and seed", _schemes(calibration)]
    blocks.append(
        "sd: between seeds. SE: of the test sample, mean over seeds, with images taken as independent "
        "(DeLong) and clustered by patient. passes within, fails beyond: how far from the mean one more run "
        "may lie, by the 95% and the 99.9% prediction interval."
    )
    blocks.append("## Statements")
    blocks.append(
        "\n".join(
            f"- **{'true' if statement.holds else 'false'}**: "
            + escaped(f"{statement.claim} ({statement.numbers})")
            for statement in calibration.statements
        )
    )
    threads = "" if row.threads is None else f", threads {row.threads}"
    blocks.append(
        f"cxrbench {row.cxrbench}, torch {row.torch}, torchvision {row.torchvision}, {row.device}{threads}."
    )
    return "\n\n".join(blocks) + "\n"


def _fit(fit: Fit, calibration: Calibration) -> list[str]:
    aims = calibration.request.aims
    rows = [
        [scheme, f"{aims[scheme]:.3f}", f"{expected:.3f}", f"{fit.residual[scheme]:.4f}"]
        for scheme, expected in fit.expected.items()
    ]
    blocks = [
        "## Fit",
        f"Fitted: `{knobs_text(fit.knobs)}`.",
        table(
            ["scheme", "aim", "AUC expected", "sweep's distance from the model"],
            ["left", "right", "right", "right"],
            rows,
        ),
    ]
    if fit.at_the_end:
        blocks.append(
            "At the end of the swept range, so that a better value may lie beyond: "
            f"{', '.join(fit.at_the_end)}."
        )
    return blocks


def _schemes(calibration: Calibration) -> str:
    seeds = calibration.request.seeds
    rows = [
        [
            scheme.scheme,
            *(f"{auc:.4f}" for auc in scheme.aucs),
            f"{scheme.mean:.4f}",
            f"{scheme.sd:.4f}",
            f"{scheme.se_image:.4f}",
            f"{scheme.se_clustered:.4f}",
            *(f"{calibration.targets[scheme.scheme].reach(1, share) or 0.0:.3f}" for share in (PASS, FAIL)),
        ]
        for scheme in calibration.schemes
    ]
    headers = ["scheme", *(f"seed {seed}" for seed in seeds)]
    headers += ["mean", "sd", "SE, images", "SE, clustered", "passes within", "fails beyond"]
    return table(headers, ["left", *["right"] * (len(headers) - 1)], rows)
