"""Films in the report: examples, where the networks look, and how often that is where a reader drew a box.

All of it comes from what a study keeps besides its results. Whatever is not there is said, and the rest
of the report does without. Of a data set that is not declared public no film is shown unless that is asked
for. No identifier is shown in any case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cxrbench.cohort.boxes import BOX_PLACES, Box, parse_boxes
from cxrbench.errors import CxrbenchError
from cxrbench.report.content import CONTROL
from cxrbench.report.figures.figure import ReportFigure, render
from cxrbench.report.figures.films import Looked, Strip, draw_looked, draw_strips
from cxrbench.report.text import count
from cxrbench.text import plural

if TYPE_CHECKING:
    from cxrbench.cohort.pack import Pack
    from cxrbench.look.kept import Rows, Scored
    from cxrbench.look.pointing import Pointing
    from cxrbench.study.finished import FinishedStudy
    from cxrbench.study.results import RoleResult

NAMES = ("films", "odd", "looks")
PER_PART = 6
PER_KIND = 2
MOST_POINTED = 500
"""Films with boxes that the pointing game is played with at most: a large study on a slow machine."""


@dataclass(frozen=True)
class Looks:
    """What can be seen of a study.

    pointing: scheme -> its pointing game. notes: what is not shown, and why.
    """

    figures: tuple[ReportFigure, ...] = ()
    pointing: Mapping[str, Pointing] | None = None
    notes: tuple[str, ...] = ()

    def __add__(self, other: Looks) -> Looks:
        return Looks(self.figures + other.figures, self.pointing or other.pointing, self.notes + other.notes)


NOTHING = Looks()


def look(study: FinishedStudy, private_films: bool = False) -> Looks:
    """Return the films of ``study`` that there are to be seen.

    Parameters
    ----------
    private_films: whether those of data sets that are not declared public are shown too.
    """
    try:
        from cxrbench.look import kept
    except ModuleNotFoundError as error:
        return Looks(notes=(f"No film is shown: {error.name} is not installed.",))
    shown = {name: private_films or kept.is_public(study, name) for name in study.results.cohorts}
    notes = tuple(
        f"The films of {'role' if name in study.results.roles else 'further test'} {name} are of a data set "
        "that is not declared public, and are not shown."
        for name, is_shown in shown.items()
        if not is_shown
    )
    return Looks(notes=notes) + _examples(study, shown) + _where(study, shown[study.results.target])


def _examples(study: FinishedStudy, shown: Mapping[str, bool]) -> Looks:
    """Return films of every role and part and further test, and pictures that may not be radiographs."""
    from cxrbench.look import films, kept

    strips: list[Strip] = []
    odd: list[Strip] = []
    notes: list[str] = []
    for name, cohort in study.results.cohorts.items():
        if not shown[name]:
            continue
        try:
            pack = kept.pack_of(study, name)
            parts = kept.parts_of(study, name, pack)
        except kept.Missing as error:
            notes.append(f"No example film: {error}.")
            continue
        for part, rows in parts.items():
            if len(rows) == 0:
                continue
            chosen = rows[films.examples(pack.table.loc[rows, "image_id"].tolist(), PER_PART)]
            words = [_labels(pack, row, cohort.labels) for row in chosen]
            kind = "further test" if name in study.results.tests else part
            title = f"{name}, {kind}: {len(chosen)} of {plural(len(rows), 'film')}"
            strips.append(Strip(title, list(pack.pixels[chosen]), words))
        if cohort.odd_pictures:
            odd.append(_odd(name, pack))
    figures = []
    if strips:
        titles = "; ".join(strip.title for strip in strips)
        figures.append(
            ReportFigure(
                "films",
                "Films of every role, part and further test as the networks see them, drawn by lot, with "
                f"what their labels say.{_dropped(study.results.roles)}",
                f"Example films. {titles}.",
                render(draw_strips(strips, PER_PART)),
            )
        )
    if odd:
        said = "Pictures that may not be radiographs. They are trained on and tested like the others."
        figures.append(ReportFigure("odd", said, said, render(draw_strips(odd, PER_PART))))
    return Looks(tuple(figures), notes=tuple(notes))


def _dropped(roles: Mapping[str, RoleResult]) -> str:
    dropped = {
        role: of_role.duplicates_dropped for role, of_role in roles.items() if of_role.duplicates_dropped
    }
    if not dropped:
        return ""
    counted = ", ".join(f"{role} {count(number)}" for role, number in dropped.items())
    return f" Copies of test films, left out after the split, are still among them ({counted})."


def _odd(role: str, pack: Pack) -> Strip:
    from cxrbench.radiograph import picture_faults

    found = ((row, faults) for row in range(len(pack)) if (faults := picture_faults(pack.pixels[row])))
    odd = list(islice(found, PER_PART))
    return Strip(
        f"{role}: pictures that may not be radiographs",
        [pack.pixels[row] for row, _ in odd],
        [faults[0] for _, faults in odd],
    )


def _labels(pack: Pack, row: int, labels: Sequence[str]) -> str:
    """Return what a film's labels say, in a word or two."""
    values = pack.table.loc[row, list(labels)].to_numpy(dtype=np.float64)
    if len(labels) == 1:
        return "positive" if values[0] == 1 else "negative" if values[0] == 0 else "not known"
    present = [label for label, value in zip(labels, values, strict=True) if value == 1]
    if not present:
        return "no finding"
    return present[0] if len(present) == 1 else f"{present[0]} +{len(present) - 1}"


def _where(study: FinishedStudy, shown: bool) -> Looks:
    """Return where control and best look: at some films, and in the pointing game."""
    from cxrbench.look import films, kept
    from cxrbench.look.pointing import pointing_game

    results = study.results
    seed = results.seeds[0]
    names = _control_and_best(study)
    try:
        pack = kept.pack_of(study, results.target)
        scored = {name: kept.scored(study, name, seed, pack) for name in names}
        best = scored[names[-1]]
        boxes = _boxes(study, pack, best.rows)
        boxed = np.flatnonzero([bool(of_film) for of_film in boxes] & best.labels)
        ids = pack.table.loc[best.rows[boxed], "image_id"].tolist()
        boxed = np.sort(boxed[films.examples(ids, MOST_POINTED)])
        chosen = films.typical(best, PER_KIND) if shown else {}
        wanted = np.unique(np.concatenate([boxed, *chosen.values()]))
        if len(wanted) == 0:
            return Looks()
        maps = {name: _maps(study, name, seed, pack, scored[name], wanted) for name in names}
    except kept.Missing as error:
        return Looks(notes=(f"Where the networks look is not shown: {error}.",))
    except CxrbenchError as error:
        # Of a network without such maps.
        return Looks(notes=(f"Where the networks look is not shown: {error}.",))
    pointing = None
    if len(boxed):
        at = np.searchsorted(wanted, boxed)
        pointing = {name: pointing_game(maps[name][at], [boxes[i] for i in boxed]) for name in names}
    figures: tuple[ReportFigure, ...] = ()
    if chosen:
        looked = [
            Looked(
                kind,
                pack.pixels[best.rows[i]],
                [maps[name][np.searchsorted(wanted, i)] for name in names],
                [float(scored[name].scores[i]) for name in names],
                [bool(scored[name].called[i]) for name in names],
                boxes[i],
            )
            for kind, positions in chosen.items()
            for i in positions
        ]
        figures = (_figure(looked, names, seed, results.roles[results.target].labels[0]),)
    return Looks(figures, pointing)


def _control_and_best(study: FinishedStudy) -> list[str]:
    """Return the control and the best other scheme; of a study without a control, the best alone."""
    others = [scheme for scheme in study.results.schemes if scheme.name != CONTROL]
    best = [max(others, key=lambda scheme: scheme.auc).name] if others else []
    return [*([CONTROL] if CONTROL in study.results.names else []), *best]


def _boxes(study: FinishedStudy, pack: Pack, rows: Rows) -> list[list[Box]]:
    """Return the boxes of each film; none where films were cropped, so that theirs lie elsewhere."""
    settings = study.results.settings.get("roles", {}).get(study.results.target, {})
    if BOX_PLACES not in pack.table or settings.get("crop"):
        return [[] for _ in rows]
    return [parse_boxes(text) for text in pack.table.loc[rows, BOX_PLACES]]


def _maps(
    study: FinishedStudy, scheme: str, seed: int, pack: Pack, scored: Scored, wanted: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Return the maps of the films at ``wanted``, each by the network of its fold."""
    from cxrbench.look.activation import activation_maps
    from cxrbench.look.kept import networks_of

    found: npt.NDArray[np.float32] | None = None
    for fold, network in networks_of(study, scheme, seed):
        own = scored.fold[wanted] == fold
        if not own.any():
            continue
        maps = activation_maps(network, study.results.target, pack.pixels[scored.rows[wanted[own]]])
        if found is None:
            found = np.zeros((len(wanted), *maps.shape[1:]), dtype=np.float32)
        found[own] = maps
    assert found is not None
    return found


def _figure(looked: Sequence[Looked], names: Sequence[str], seed: int, label: str) -> ReportFigure:
    cells = "×".join(map(str, looked[0].maps[0].shape))
    boxes = " Yellow boxes are where readers marked the finding." if any(one.boxes for one in looked) else ""
    return ReportFigure(
        "looks",
        f"Class activation maps of {label} on test films, with the score and the call of each network. An "
        "orange place speaks more for the label than the average place of these films, a violet one less. "
        f"The kinds of films are those of {names[-1]} at its Youden threshold, and of each kind they are "
        f"spread evenly over its scores; seed {seed}. A map has {cells} places and is drawn smoothed.{boxes}",
        f"Films and class activation maps of {' and '.join(names)}: "
        + "; ".join(
            f"{one.kind}: "
            + ", ".join(f"{name} {score:.2f}" for name, score in zip(names, one.scores, strict=True))
            for one in looked
        ),
        render(draw_looked(looked, names)),
    )
