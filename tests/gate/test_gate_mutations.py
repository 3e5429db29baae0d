"""Results and baselines with one value changed: the gate refuses them in one line, or judges honestly.

A change by hand breaks the record's seal. Those that matter are sealed anew, as by a program that writes
nonsense: then the ranges, and the rules between fields, are all that stands between the file and a verdict.
"""

from __future__ import annotations

import copy
import json
import math
from xml.etree import ElementTree

import numpy as np
import pytest

from cxrbench.errors import CxrbenchError
from cxrbench.files import digest
from cxrbench.gate.baseline import load_baseline, save_baseline
from cxrbench.gate.formats import as_json, as_junit
from cxrbench.gate.rules import gate
from cxrbench.report.gate import gate_markdown, gate_text
from cxrbench.study.finished import FinishedStudy

DELETED = object()
VALUES = (
    *(None, "x", "", "../x", "\x1b\x00", -1, 0, 1, 2, 0.5, -0.5, 10**400, 1e308, -1e308, True, False),
    *(math.nan, math.inf, -math.inf, [], {}, [1], {"a": 1}, DELETED),
)


def places(value, where=()):
    """Yield the path of every value within ``value``."""
    if where:
        yield where
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*where, key))


def mutated(content, where, value):
    changed = copy.deepcopy(content)
    at = changed
    for key in where[:-1]:
        at = at[key]
    if value is DELETED:
        del at[where[-1]]
    else:
        at[where[-1]] = value
    return changed


def sealed(content):
    """Return ``content`` with the seal that belongs to it, where it has a JSON text at all."""
    try:
        return {**content, "seal": digest({key: value for key, value in content.items() if key != "seal"})}
    except (TypeError, ValueError):
        return content


@pytest.fixture
def sides(made_up, tmp_path):
    """A study that is far worse than its baseline in every scheme."""
    good = {"control": [(0.2, 1), (0.2, 2)], "findings": [(0.3, 3), (0.3, 4)]}
    bad = {"control": [(6.0, 5), (6.0, 6)], "findings": [(6.0, 7), (6.0, 8)]}
    save_baseline(made_up(tmp_path / "before", good, images=80), tmp_path / "baseline")
    return made_up(tmp_path / "now", bad, images=80).folder, tmp_path / "baseline"


def judged(study, baseline):
    """Return the gate's outcome; every way of showing it must hold."""
    report = gate(FinishedStudy.open(study), load_baseline(baseline))
    json.loads(as_json(report))
    ElementTree.fromstring(as_junit(report, True).partition("\n")[2])
    for text in (gate_text(report), gate_markdown(report)):
        assert "nan" not in text.split("note: ")[0].lower()
        assert all(c.isprintable() or c == "\n" for c in text)
    return report.outcome


def check(sides, count, seed):
    study, baseline = sides
    assert judged(study, baseline) == "fail"
    files = (study / "results.json", baseline / "results.json", baseline / "baseline.json")
    originals = [file.read_text(encoding="utf-8") for file in files]
    contents = [json.loads(text) for text in originals]
    all_places = [list(places(content)) for content in contents]
    random = np.random.default_rng(seed)
    refusals = []
    for number in range(count):
        which = int(random.choice(3, p=[0.55, 0.35, 0.1]))
        where = all_places[which][random.integers(len(all_places[which]))]
        value = VALUES[random.integers(len(VALUES))]
        changed = mutated(contents[which], where, value)
        if number % 4:
            changed = sealed(changed)
        elif changed == contents[which]:
            continue
        files[which].write_text(json.dumps(changed), encoding="utf-8")
        said = f"{files[which].name} {'.'.join(map(str, where))} = {value!r}"
        try:
            outcome = judged(study, baseline)
        except CxrbenchError as error:
            refusals.append(str(error))
        except Exception as error:
            raise AssertionError(f"{said}: {error!r}") from error
        else:
            # The scores are what they were: whatever else a file says, it is no pass.
            assert outcome != "pass", said
            assert number % 4, f"{said}: changed by hand, and used"
        files[which].write_text(originals[which], encoding="utf-8")
    assert all("\n" not in refusal for refusal in refusals)
    return len(refusals)


def test_a_hundred_changed_values(sides):
    assert check(sides, 100, seed=1) > 50


@pytest.mark.nightly
def test_two_thousand_changed_values(sides):
    assert check(sides, 2000, seed=2) > 1000
