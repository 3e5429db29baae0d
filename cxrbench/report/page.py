"""The HTML page: one file with its styles and figures in it, no script, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from cxrbench.report import content, doubt, further, text
from cxrbench.report.figures import ReportFigure
from cxrbench.report.looks import NOTHING, Looks
from cxrbench.report.redact import without_paths, without_private_settings
from cxrbench.text import plural

if TYPE_CHECKING:
    from cxrbench.report.two import TwoStudies
    from cxrbench.study.results import Results

_FORMATS = (
    text.count,
    text.decimal,
    text.interval,
    text.p_value,
    text.rule,
    text.seconds,
    text.signed,
    text.signed_interval,
)


def page(results: Results, figures: Sequence[ReportFigure], looks: Looks = NOTHING) -> str:
    """Return the report as HTML. Every text in it is escaped, and paths are cut to the file's name."""
    cleaned = without_paths(replace(results, settings=without_private_settings(results.settings)))
    return (
        _environment()
        .get_template("index.html")
        .render(
            results=cleaned,
            several=len(cleaned.seeds) > 1,
            clustered=content.clustered(cleaned),
            folds=content.folds(cleaned),
            banner=content.banner(cleaned),
            banner_head=_banner(cleaned)[0],
            banner_rest=_banner(cleaned)[1],
            answer=content.answer(cleaned),
            in_short=_in_short(cleaned),
            sample=content.sample_text(cleaned),
            schemes=[
                {
                    "result": scheme,
                    "target": content.short_target(scheme),
                    "p": content.p_against_control(cleaned, scheme),
                }
                for scheme in cleaned.schemes
            ],
            has_control=content.has_control(cleaned),
            notes=content.column_notes(cleaned),
            reaches=content.reaches_text(cleaned),
            between_seeds=", ".join(
                f"{scheme.name} {text.decimal(scheme.sd_between_seeds, 4)}"
                for scheme in cleaned.schemes
                if scheme.sd_between_seeds is not None
            ),
            network_notes=content.network_notes(cleaned),
            pairs=cleaned.pairs,
            comparisons=[
                {
                    "seed": comparison.seed,
                    "pairs": comparison.pairs,
                    "notes": any(pair.note for pair in comparison.pairs),
                    "margins": any(pair.noninferiority or pair.superiority for pair in comparison.pairs),
                    "omnibus": content.omnibus_text(comparison.omnibus) if comparison.omnibus else None,
                }
                for comparison in cleaned.comparisons
            ],
            figures=_embedded([*figures, *looks.figures]),
            pointing=looks.pointing,
            look_notes=without_paths(looks.notes),
            cohorts=content.cohorts(cleaned),
            further=further.further_table(cleaned),
            further_explained=further.EXPLAINED,
            own=further.own_table(cleaned),
            own_explained=further.OWN_EXPLAINED,
            shortcuts=doubt.shortcut_table(cleaned),
            shortcuts_explained=doubt.EXPLAINED,
            shortcuts_left_out=doubt.left_out(cleaned.doubt) if cleaned.doubt else "",
            subgroups=doubt.subgroup_table(cleaned),
            provenance=content.provenance(cleaned),
            settings=json.dumps(cleaned.settings, indent=2, ensure_ascii=False, default=str),
        )
    )


def side_by_side(studies: TwoStudies, figures: Sequence[ReportFigure]) -> str:
    """Return two studies side by side as HTML, escaped and without paths as :func:`page`."""
    a, b = without_paths(studies.a.results), without_paths(studies.b.results)
    table = studies.table
    not_alike = [scheme.name for scheme in studies.schemes if not scheme.alike]
    provenance = dict.fromkeys(chain(dict(content.provenance(a)), dict(content.provenance(b))))
    return (
        _environment()
        .get_template("two.html")
        .render(
            a=a,
            b=b,
            banners=[
                dict(zip(("head", "rest", "synthetic"), (*_banner(one), one.synthetic), strict=True))
                for one in ([a] if content.banner(a) == content.banner(b) else [a, b])
            ],
            answer=studies.answer,
            how=studies.how,
            figures=_embedded(figures),
            headings=list(table.shown),
            right=table.right,
            rows=list(zip(*table.shown.values(), strict=True)),
            not_alike=f"{', '.join(not_alike)} {'is' if len(not_alike) == 1 else 'are'}" if not_alike else "",
            settings=without_paths(studies.settings),
            provenance=[
                (what, *(dict(content.provenance(one)).get(what, "none") for one in (a, b)))
                for what in provenance
            ],
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("cxrbench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {function.__name__: function for function in _FORMATS}
    return environment


def _banner(results: Results) -> tuple[str, str]:
    """Return the first sentence of the banner, which must be seen from afar, and the rest."""
    head, _, rest = content.banner(results).partition(". ")
    return f"{head}.", rest


def _embedded(figures: Sequence[ReportFigure]) -> dict[str, dict[str, str]]:
    return {
        figure.name: {
            "source": "data:image/png;base64," + base64.b64encode(figure.png).decode(),
            "alt": figure.alt,
            "caption": figure.caption,
        }
        for figure in figures
    }


def _in_short(results: Results) -> str:
    """Return the verdicts counted, and how many schemes differ from the control."""
    outcomes = [scheme.verdict.outcome for scheme in results.schemes]
    counted = ", ".join(
        f"{outcomes.count(outcome)} {outcome}"
        for outcome in ("pass", "fail", "inconclusive")
        if outcome in outcomes
    )
    said = f"{plural(len(outcomes), 'scheme')}, {content.seeds_text(results)}: {counted}."
    if not content.has_control(results):
        return said
    others = [name for name in results.names if name != content.CONTROL]
    differ = [name for name in others if results.difference(name, content.CONTROL).p_adjusted < content.LEVEL]
    which = f" ({', '.join(differ)})" if differ else ""
    return (
        f"{said} Different from the control, at a Holm-adjusted p below {content.LEVEL}: "
        f"{len(differ)} of {len(others)}{which}."
    )
