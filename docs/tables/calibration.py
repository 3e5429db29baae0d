"""Tables of docs/calibration.md and docs/public.md."""

from __future__ import annotations

import pandas as pd
import scipy.stats
from evidence import (
    BFLOAT16,
    CALIBRATION,
    CONTROL,
    EXPLORED,
    MACHINES,
    MOVING,
    PUBLIC,
    STATISTICS,
    markdown,
    rows,
)

from cxrbench.calibration.calibrate import PAPER
from cxrbench.calibration.fit import fit as fitted
from cxrbench.calibration.knobs import knobs_text
from cxrbench.calibration.records import Row
from cxrbench.calibration.statements import statements as made_of
from cxrbench.calibration.targets import summaries
from cxrbench.calibration.targets import targets as targets_of
from cxrbench.schemes import claims
from cxrbench.statistics.verdicts import verdict
from cxrbench.study.asked import write_seeds
from cxrbench.study.profile import load_profile


def fit() -> str:
    """What the sweep made of the knobs."""
    sweep = rows(MOVING, "sweep")
    (knob,) = sweep[0].knobs
    values = tuple(sorted({row.knobs[knob] for row in sweep}))
    found = fitted(sweep, {knob: values}, PAPER)
    body = [
        (scheme, f"{aim:.3f}", f"{found.expected[scheme]:.3f}", f"{found.residual[scheme]:.4f}")
        for scheme, aim in PAPER.items()
    ]
    table = markdown(("scheme", "aim", "AUC expected", "sweep's distance from the model"), body)
    return f"Fitted: `{knobs_text(found.knobs)}`.\n\n{table}"


def explored() -> str:
    """The settings that were tried before the calibration, on seeds 0 and 1."""
    table = pd.read_csv(EXPLORED)
    settings = [name for name in table if name not in ("seed", "scheme", "auc", "setting")]
    body = []
    for _, rows_of in table.groupby("setting", sort=False):
        first = rows_of.iloc[0]
        by_scheme = [
            " ".join(f"{auc:.3f}" for auc in rows_of.loc[rows_of["scheme"] == scheme, "auc"]) or "-"
            for scheme in (*PAPER, "pooled-all")
        ]
        body.append([str(first[name]) for name in settings] + by_scheme)
    return markdown([*(name.replace("_", " ") for name in settings), *PAPER, "pooled-all"], body)


def statistics() -> str:
    """What precise batch statistics did on seeds that are not the calibration's, by setting and scheme."""
    table = pd.read_csv(STATISTICS)
    body = []
    for (setting, scheme, films), of in table.groupby(["setting", "scheme", "films"], sort=False):
        aucs = of[["moving", "precise"]]
        seeds = write_seeds(of["seed"])
        cells = [f"{value:.4f}".replace("nan", "-") for value in (*aucs.mean(), *aucs.std())]
        body.append(
            (setting, scheme, seeds, f"{films:,}", *cells[:2], *(cells[2:] if len(of) > 2 else ["-", "-"]))
        )
    headers = (
        "target stage",
        "scheme",
        "seeds",
        "test films",
        "moving",
        "precise",
        "SD, moving",
        "SD, precise",
    )
    return markdown(headers, body)


def precise() -> str:
    """The calibration's seeds with moving and with precise batch statistics, paired."""
    moving = {(row.seed, row.scheme): row.auc for row in rows(MOVING)}
    found = rows(CALIBRATION)
    body = []
    for scheme in dict.fromkeys(row.scheme for row in found):
        pairs = pd.DataFrame(
            [
                (moving[row.seed, scheme], row.auc)
                for row in found
                if row.scheme == scheme and (row.seed, scheme) in moving
            ]
        )
        (m, p), (sd_m, sd_p) = pairs.mean(), pairs.std()
        body.append(
            (scheme, str(len(pairs)), f"{m:.4f}", f"{p:.4f}", f"{p - m:+.4f}", f"{sd_m:.4f}", f"{sd_p:.4f}")
        )
    headers = ("scheme", "seeds", "moving", "precise", "difference", "SD, moving", "SD, precise")
    return markdown(headers, body)


def schemes() -> str:
    """AUC by scheme and seed, spread and standard errors, and the band of the target."""
    return schemes_of(rows(CALIBRATION))


def machines() -> str:
    """The same seeds on another kind of processor, and in the other precision, against the calibration's."""
    reference = {(row.seed, row.scheme): row.auc for row in rows(CALIBRATION)}
    targets = targets_of(summaries(rows(CALIBRATION)), "the seeds on AVX-512")
    found = pd.DataFrame([vars(row) for row in (*rows(MACHINES), *rows(BFLOAT16))])
    body = []
    for (device, precision, scheme), of in found.groupby(["device", "precision", "scheme"], sort=False):
        parts = of["auc"] - [reference[seed, scheme] for seed in of["seed"]]
        low, high = scipy.stats.t.interval(0.95, len(of) - 1, parts.mean(), parts.sem())
        target = targets[scheme].for_sample(of["sample"].iloc[0])
        outcomes = [verdict(target, auc, auc, auc).outcome for auc in of["auc"]]
        body.append(
            (
                f"{device}, {precision}",
                scheme,
                write_seeds(of["seed"]),
                f"{of['auc'].mean():.4f}",
                f"{of['auc'].std():.4f}",
                f"{parts.mean():+.4f} [{low:+.4f}, {high:+.4f}]",
                ", ".join(str(outcomes.count(outcome)) for outcome in ("pass", "inconclusive", "fail")),
            )
        )
    minus = "minus the same seeds of the calibration (95% t)"
    alone = "by AVX-512 alone: pass, inconclusive, fail"
    headers = ("machine", "scheme", "seeds", "mean AUC", "SD", minus, alone)
    return markdown(headers, body)


def public() -> str:
    """The same for the profile public-small."""
    return schemes_of(rows(PUBLIC))


def statements() -> str:
    """Each statement, true or false, with its numbers."""
    return statements_of(rows(CALIBRATION))


def bfloat() -> str:
    """AUC by scheme and seed of the profile phantom-bfloat16."""
    return schemes_of(rows(BFLOAT16))


def bfloat_statements() -> str:
    """Each statement about the profile phantom-bfloat16."""
    return statements_of(rows(BFLOAT16))


def bfloat_verdicts() -> str:
    """Where one seed passes and fails the targets of the profile phantom-bfloat16."""
    return verdicts_of("phantom-bfloat16")


def control() -> str:
    """The control over more seeds, in groups of twenty."""
    found = pd.DataFrame([(row.seed, row.auc) for row in rows(CONTROL)], columns=["seed", "auc"])
    groups = [found[start : start + 20] for start in range(0, len(found), 20)]
    body = [
        (
            write_seeds(of["seed"]),
            *(f"{x:.4f}" for x in (of.auc.mean(), of.auc.std(), of.auc.min(), of.auc.max())),
        )
        for of in (*groups, found)
    ]
    return markdown(("seeds", "mean AUC", "SD", "lowest", "highest"), body)


def statements_of(confirmed: list[Row]) -> str:
    """Each statement that the rows of a calibration of the phantom's six schemes make."""
    profile = load_profile("phantom")
    found = claims(profile.select(()), profile.target)
    made = made_of(summaries(confirmed), PAPER, confirmed, found)
    return "\n".join(f"- **{'true' if s.holds else 'false'}**: {s.claim} ({s.numbers})" for s in made)


def verdicts() -> str:
    """Where one seed passes and fails the targets of the profile phantom."""
    return verdicts_of("phantom")


def public_verdicts() -> str:
    """Where one seed passes and fails the targets of the profile public-small."""
    return verdicts_of("public-small")


def schemes_of(confirmed: list[Row]) -> str:
    """AUC by seed and scheme of the rows of a calibration, with means and spread."""
    found = summaries(confirmed)
    body = [
        (f"seed {seed}", *(f"{scheme.aucs[place]:.4f}" for scheme in found))
        for place, seed in enumerate(_seeds(confirmed))
    ]
    for name, of in (
        ("mean", lambda scheme: scheme.mean),
        ("SD", lambda scheme: scheme.sd),
        ("SE, images", lambda scheme: scheme.se_image),
        ("SE, clustered", lambda scheme: scheme.se_clustered),
    ):
        body.append((name, *(f"{of(scheme):.4f}" for scheme in found)))
    return markdown(("", *(scheme.scheme for scheme in found)), body)


def _seeds(confirmed: list[Row]) -> list[int]:
    return list(dict.fromkeys(row.seed for row in confirmed))


def verdicts_of(profile: str) -> str:
    """Where one seed passes and fails the targets of a profile."""
    body = []
    for scheme, target in load_profile(profile).targets.items():
        found = {auc: verdict(target, auc, auc, auc).outcome for auc in (n / 1000 for n in range(1001))}
        passes = [auc for auc, outcome in found.items() if outcome == "pass"]
        fails = [auc for auc, outcome in found.items() if outcome == "fail"]
        below = [auc for auc in fails if auc < passes[0]]
        above = [auc for auc in fails if auc > passes[-1]]
        body.append(
            (
                scheme,
                f"{passes[0]:.3f}",
                f"{passes[-1]:.3f}",
                f"{below[-1]:.3f}" if below else "never",
                f"{above[0]:.3f}" if above else "never",
            )
        )
    return markdown(("scheme", "passes from", "to", "fails up to", "fails from"), body)
