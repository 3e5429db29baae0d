"""Two studies side by side."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cxrbench.report import write_side_by_side
from cxrbench.report.two import Difference, SchemeTwice, TwoStudies, two_studies
from cxrbench.statistics import compare

MakeStudy = Callable[..., Any]


def test_the_same_films_are_compared_in_pairs(make_study: MakeStudy) -> None:
    a, b = make_study(names=("control", "findings")), make_study(names=("findings", "sequential"))
    # The scores of a scheme are the same in both; B's findings are given those of its sequential.
    (findings, sequential) = b.results.schemes
    swapped = replace(findings, auc=sequential.auc, seeds=sequential.seeds, ci_low=0.84, ci_high=0.88)
    b = replace(b, results=replace(b.results, schemes=(swapped, sequential)))
    found = two_studies(a, b)
    assert found.paired
    assert [(scheme.name, scheme.a is None, scheme.b is None) for scheme in found.schemes] == [
        ("control", False, True),
        ("findings", False, False),
        ("sequential", True, False),
    ]
    of_a, of_b = a.by_seed("findings")[0], b.by_seed("findings")[0]
    ((before,), (now,)) = of_a.scores.values(), of_b.scores.values()
    pair = compare(of_a.labels, now, before, groups=of_a.patients)
    difference = found.schemes[1].difference
    assert difference is not None
    assert difference.value == pytest.approx(pair.difference)
    assert (difference.ci_low, difference.ci_high) == pytest.approx((pair.ci_low, pair.ci_high))
    assert difference.p_value == pytest.approx(pair.p_value)
    assert found.schemes[0].difference is None


def test_different_films_are_compared_as_independent(make_study: MakeStudy) -> None:
    a, b = make_study(names=("control",)), make_study(names=("control",))
    (scheme,) = b.results.schemes
    scheme = replace(scheme, notation="init > findings > covid")
    b = replace(b, results=replace(b.results, sample="another", schemes=(scheme,)))
    found = two_studies(a, b)
    assert not found.paired
    (scheme,) = found.schemes
    assert not scheme.alike
    assert scheme.difference is not None
    assert scheme.difference.value == 0
    assert scheme.difference.ci_high == pytest.approx(1.959964 * 0.0081 * 2**0.5, rel=1e-5)
    assert scheme.difference.p_value == pytest.approx(1)
    assert found.table.shown["scheme"] == ["control (not alike)"]


def _with(make_study: MakeStudy, *found: tuple[str, float, float] | None) -> TwoStudies:
    study = make_study(names=("control",))
    schemes = tuple(
        SchemeTwice(one[0], None, None, Difference(one[1], 0, 0, one[2], one[2]))
        if one
        else SchemeTwice("other", None, None)
        for one in found
    )
    return TwoStudies(study, study, schemes, True, ())


def test_the_answer_says_what_is_sure_and_no_more(make_study: MakeStudy) -> None:
    assert _with(make_study, None).answer == (
        "The two studies have no scheme in common, so nothing can be compared."
    )
    assert _with(make_study, ("control", 0.1, 0.2)).answer == (
        "No AUC differs for certain between A and B (1 scheme compared)."
    )
    assert _with(make_study, ("a", 0.1, 0.01), ("b", -0.1, 0.001), ("c", 0.3, 0.06), None).answer == (
        "B is better with a and worse with b than A (Holm-adjusted p below 0.05); 1 other scheme cannot be "
        "told apart."
    )


def test_p_values_are_adjusted_over_the_schemes(make_study: MakeStudy) -> None:
    a = make_study(names=("control", "findings"))
    schemes = []
    for scheme, shift in zip(a.results.schemes, (0.02, 0.03), strict=True):
        (seed,) = scheme.seeds
        curve = replace(seed.curve, auc=seed.curve.auc + shift, ci_high=0.95)
        seeds = (replace(seed, curve=curve),)
        schemes.append(replace(scheme, auc=scheme.auc + shift, ci_high=0.95, seeds=seeds))
    b = replace(a, results=replace(a.results, sample="another", schemes=tuple(schemes)))
    first, second = (scheme.difference for scheme in two_studies(a, b).schemes)
    assert second.p_adjusted == pytest.approx(2 * second.p_value)
    assert first.p_adjusted == pytest.approx(max(first.p_value, second.p_adjusted))


def test_the_page_is_written_with_its_tables_and_nothing_of_the_machine(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    a = make_study(title="A & B </title><script>alert(1)</script> /home/jane.doe/study")
    b = make_study(names=("control", "sequential"), synthetic=False)
    index = write_side_by_side(a, b, tmp_path / "both")
    html = index.read_text(encoding="utf-8")
    assert {path.relative_to(tmp_path / "both").as_posix() for path in (tmp_path / "both").rglob("*.*")} == {
        "index.html",
        "figures/two.png",
        "tables/schemes.csv",
        "tables/schemes.tex",
    }
    assert "<script" not in html
    assert "jane.doe" not in html
    assert "Synthetic radiographs." in html
    assert "Labels go with source and view." in html
    text = re.sub(r"base64,[\w+/=]+", "", html)
    assert str(a.folder) not in text
    assert "profile</th><td>phantom</td><td>hospital</td>" in text
    assert not re.search(r"https?://|@import|url\(", text)
