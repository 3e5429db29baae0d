"""What of a study can be looked at, and which films are chosen."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from cxrbench.look.films import KINDS, examples, kinds, typical
from cxrbench.look.kept import Missing, Scored, is_public, networks_of, pack_of, parts_of, scored
from cxrbench.study.finished import FinishedStudy
from cxrbench.training.predict import predict_logits, probabilities


def _scored(n: int = 60) -> Scored:
    random = np.random.default_rng(5)
    scores, labels = random.random(n), random.random(n) < 0.5
    return Scored(np.arange(n), labels, scores, scores >= 0.5, np.zeros(n, dtype=np.int64))


def test_the_four_kinds_are_all_films_each_once() -> None:
    found = kinds(_scored())
    assert tuple(found) == KINDS
    assert (np.sum(list(found.values()), axis=0) == 1).all()
    one = _scored()
    assert (one.labels & (one.scores >= 0.5)).tolist() == found["true positive"].tolist()


def test_typical_films_are_of_their_kind_and_not_its_extremes() -> None:
    one = _scored()
    for kind, positions in typical(one, 2).items():
        mask = kinds(one)[kind]
        assert mask[positions].all()
        assert len(positions) == 2
        of_kind = np.sort(one.scores[mask])
        assert of_kind[0] < one.scores[positions].min() <= one.scores[positions].max() < of_kind[-1]


def test_a_kind_with_one_film_shows_it_once_and_an_empty_one_none() -> None:
    labels = np.array([True, False, False])
    one = Scored(np.arange(3), labels, np.array([0.9, 0.1, 0.2]), labels, np.zeros(3, dtype=np.int64))
    found = typical(one, 2)
    assert {kind: positions.tolist() for kind, positions in found.items()} == {
        "true positive": [0],
        "false positive": [],
        "false negative": [],
        "true negative": [1, 2],
    }


def test_examples_do_not_depend_on_the_order_of_the_films() -> None:
    ids = [f"film {i}" for i in range(50)]
    chosen = {ids[i] for i in examples(ids, 6)}
    backwards = ids[::-1]
    assert {backwards[i] for i in examples(backwards, 6)} == chosen
    assert chosen != set(ids[:6])
    assert len(examples(ids[:3], 6)) == 3


def test_packs_parts_and_networks_are_those_of_the_study(tiny) -> None:
    pack = pack_of(tiny.study, "covid")
    parts = parts_of(tiny.study, "covid", pack)
    assert {part: len(rows) for part, rows in parts.items()} == {
        part: of_part.images for part, of_part in tiny.results.roles["covid"].parts.items()
    }
    found = scored(tiny.study, "findings", tiny.results.seeds[0], pack)
    assert found.rows.tolist() == parts["test"].tolist()
    ((fold, network),) = networks_of(tiny.study, "findings", tiny.results.seeds[0])
    assert fold == 0
    import torch

    images = torch.from_numpy(np.array(pack.pixels[found.rows])).unsqueeze(1)
    # The study may have predicted in bfloat16.
    logits = predict_logits(network, images, ["covid"], "float32")
    np.testing.assert_allclose(probabilities(logits[:, 0]), found.scores, atol=5e-3)


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("packs", "the packed films of role covid are not"),
        ("splits", "the split of role covid is not"),
        ("stages", "the checkpoint of control, seed"),
    ],
)
def test_what_was_deleted_is_named(tiny, tmp_path, folder: str, message: str) -> None:
    shutil.copytree(tiny.out, tmp_path / "study")
    shutil.rmtree(tmp_path / "study" / folder)
    study = FinishedStudy(tmp_path / "study", tiny.results)

    def look() -> None:
        pack = pack_of(study, "covid")
        parts_of(study, "covid", pack)
        list(networks_of(study, "control", tiny.results.seeds[0]))

    with pytest.raises(Missing, match=message):
        look()


def test_only_what_is_declared_public_is_public(tiny) -> None:
    assert is_public(tiny.study, "covid")
    for dataset in ("manifest", "no such data set"):
        roles = {"covid": {"dataset": dataset}}
        results = replace(tiny.results, settings={**tiny.results.settings, "roles": roles})
        assert not is_public(replace(tiny.study, results=results), "covid")
