"""Which data sets are known, and how a folder is turned into a cohort.

The table is a plain dict filled by a decorator. The modules that ship are imported when their data set is
first asked for, so importing :mod:`cxrbench.datasets` costs next to nothing.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxrbench.errors import DatasetError
from cxrbench.text import did_you_mean

if TYPE_CHECKING:
    from cxrbench.cohort.table import Cohort

Loader = Callable[..., "Cohort"]
Recogniser = Callable[..., bool]

_SHIPPED = {
    "chestxray14": "cxrbench.datasets.chestxray14",
    "rsna-pneumonia": "cxrbench.datasets.rsna_pneumonia",
    "covid-image-collection": "cxrbench.datasets.covid_image_collection",
    "kermany": "cxrbench.datasets.kermany",
    "manifest": "cxrbench.datasets.manifest",
}
_GENERATED = ("phantom",)
_adapters: dict[str, Adapter] = {}


@dataclass(frozen=True)
class Adapter:
    """A registered data set.

    Parameters
    ----------
    name: what profiles and the command line call it.
    title: what people call it.
    marker: what its folder holds, for messages.
    loader: ``loader(root, **options) -> Cohort``.
    recognises: ``recognises(folder, **options) -> bool``: does the folder look like this data set?
    """

    name: str
    title: str
    marker: str
    loader: Loader
    recognises: Recogniser

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options that the loader takes besides the folder."""
        return tuple(inspect.signature(self.loader).parameters)[1:]


def register(name: str, *, title: str, marker: str, recognises: Recogniser) -> Callable[[Loader], Loader]:
    """Register the decorated ``load(root, **options) -> Cohort`` under ``name``; see :class:`Adapter`.

    Raises
    ------
    DatasetError: the name is taken.
    """

    def decorate(loader: Loader) -> Loader:
        taken = name in _adapters or name in _GENERATED
        if taken or (name in _SHIPPED and loader.__module__ != _SHIPPED[name]):
            raise DatasetError(f"data set {name!r} is registered already; choose another name")
        _adapters[name] = Adapter(name, title, marker, loader, recognises)
        return loader

    return decorate


def dataset_names() -> tuple[str, ...]:
    """Return the names of the data sets that lie in folders: those that ship, then those registered since."""
    return (*_SHIPPED, *(name for name in _adapters if name not in _SHIPPED))


def adapter(name: str) -> Adapter:
    """Return the adapter registered under ``name``.

    Raises
    ------
    DatasetError: unknown; the message names the nearest.
    """
    if name not in _adapters and name in _SHIPPED:
        importlib.import_module(_SHIPPED[name])
    if name in _adapters:
        return _adapters[name]
    if name in _GENERATED:
        raise DatasetError(f"{name!r} is made on the spot: it has no folder to read or check")
    known = dataset_names()
    within = [other for other in known if name and name.lower() in other]
    hint = f"; did you mean {' or '.join(within)}?" if within else did_you_mean(name, known)
    raise DatasetError(f"no data set is called {name!r}{hint} (known: {', '.join(known)})")


def load(name: str, root: Path | str, **options: Any) -> Cohort:
    """Read the data set ``name`` in the folder ``root``. No image is opened.

    Parameters
    ----------
    options: what the adapter takes, such as ``labels`` and ``file`` for ``manifest``.

    Raises
    ------
    DatasetError: unknown name or option, no such folder, files missing or not as published.
    CohortError: the table breaks the cohort contract.
    """
    found = adapter(name)
    for option in options:
        if option not in found.options:
            takes = f"takes {', '.join(found.options)}" if found.options else "takes no options"
            raise DatasetError(f"data set {name!r} has no option {option!r}; it {takes}")
    root = Path(root)
    _check_folder(root)
    return found.loader(root, **options)


def discover(data_root: Path | str, name: str, **options: Any) -> Path:
    """Find the folder of the data set ``name``: ``data_root`` itself, else the one among its direct children.

    Parameters
    ----------
    options: the loader's options; those that the recogniser does not take are ignored.

    Raises
    ------
    DatasetError: no such folder, or several; the message names them.
    """
    found = adapter(name)
    data_root = Path(data_root)
    _check_folder(data_root)
    takes = inspect.signature(found.recognises).parameters
    known = {option: value for option, value in options.items() if option in takes}
    if found.recognises(data_root, **known):
        return data_root
    children = sorted(
        child for child in data_root.iterdir() if child.is_dir() and not child.name.startswith(".")
    )
    matches = [child for child in children if found.recognises(child, **known)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = ", ".join(match.name for match in matches)
        raise DatasetError(f"several folders of {data_root} look like {name}: {names}; name one of them")
    raise DatasetError(
        f"no {name} data ({found.title}) in {data_root} or the {len(children)} folders in it; "
        f"looked for {found.marker}"
    )


def _check_folder(root: Path) -> None:
    if not root.exists():
        raise DatasetError(f"{root}: no such folder")
    if not root.is_dir():
        raise DatasetError(f"{root}: is a file; name the data set's folder")
