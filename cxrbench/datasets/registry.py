"""Which data sets are known, what is known of each, and how a folder is turned into a cohort.

The table is a plain dict filled by a decorator. The modules that ship, and those that an installed package
names under the entry point group ``cxrbench.datasets``, are imported when their data set is first asked for,
so importing :mod:`cxrbench.datasets` costs next to nothing.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cxrbench.errors import DatasetError
from cxrbench.text import complaint, did_you_mean

if TYPE_CHECKING:
    from cxrbench.cohort.table import Cohort

Loader = Callable[..., "Cohort"]
Recogniser = Callable[..., bool]

GROUP = "cxrbench.datasets"
"""The entry point group in which an installed package names its data sets."""

_SHIPPED = {
    "phantom": "cxrbench.datasets.phantom.adapter",
    "chestxray14": "cxrbench.datasets.chestxray14",
    "rsna-pneumonia": "cxrbench.datasets.rsna_pneumonia",
    "covid-image-collection": "cxrbench.datasets.covid_image_collection",
    "kermany": "cxrbench.datasets.kermany",
    "manifest": "cxrbench.datasets.manifest",
    "chexpert": "cxrbench.datasets.chexpert",
    "mimic-cxr-jpg": "cxrbench.datasets.mimic_cxr_jpg",
    "padchest": "cxrbench.datasets.padchest",
    "vindr-cxr": "cxrbench.datasets.vindr_cxr",
    "siim-covid19": "cxrbench.datasets.siim_covid19",
    "covidx": "cxrbench.datasets.covidx",
    "openi": "cxrbench.datasets.openi",
    "nlm-tuberculosis": "cxrbench.datasets.nlm_tuberculosis",
    "midrc-ricord-1c": "cxrbench.datasets.midrc_ricord_1c",
    "bimcv-covid19": "cxrbench.datasets.bimcv_covid19",
}
_GIVEN = ("seed", "device", "links", "max_pixels")
"""Parameters of a loader that are not options: a study gives them to every data set that takes them."""

_adapters: dict[str, Adapter] = {}


@dataclass(frozen=True)
class Adapter:
    """A registered data set and what is known of it.

    Parameters
    ----------
    name: what profiles and the command line call it.
    title: what people call it.
    marker: what its folder holds, for messages.
    loader: ``loader(root, **options) -> Cohort``; of generated images ``loader(**options) -> Cohort``, which
        may also take ``seed`` (the profile's ``data_seed``) and ``device`` (where to draw, ``"cpu"`` or
        ``"cuda"``).
    recognises: ``recognises(folder, **options) -> bool``: does the folder look like this data set? None where
        the images are generated and there is no folder.
    public: whether anybody can get the same data, so its patient ids are not secret. What is not declared
        public is private.
    synthetic: whether its images are made by a program, so that a result says nothing about patients.
    licence: under which its images may be used, in a few words; "" where it is not stated.
    page: its page in the documentation, relative to ``docs/``; "" where there is none.
    findings: label as the data set spells it -> the finding's common name, for labels that the vocabulary
        (``cxrbench.datasets.vocabulary``) does not know, or knows as something else.
    check: called with the options before anything is read; raises DatasetError where one cannot be.
    """

    name: str
    title: str
    marker: str
    loader: Loader
    recognises: Recogniser | None
    public: bool = False
    synthetic: bool = False
    licence: str = ""
    page: str = ""
    findings: Mapping[str, str] = field(default_factory=dict)
    check: Callable[..., object] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "findings", MappingProxyType(dict(self.findings)))

    @property
    def generated(self) -> bool:
        """Whether the images are generated: there is no folder to look for."""
        return self.recognises is None

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options that the loader takes."""
        names = tuple(self._parameters) if self.generated else tuple(self._parameters)[1:]
        return tuple(name for name in names if name not in _GIVEN)

    @property
    def _parameters(self) -> dict[str, inspect.Parameter]:
        return {
            name: parameter
            for name, parameter in inspect.signature(self.loader).parameters.items()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        }


def register(
    name: str,
    *,
    title: str,
    marker: str = "",
    recognises: Recogniser | None,
    public: bool = False,
    synthetic: bool = False,
    licence: str = "",
    page: str = "",
    findings: Mapping[str, str] = MappingProxyType({}),
    check: Callable[..., object] | None = None,
) -> Callable[[Loader], Loader]:
    """Register the decorated ``load(root, **options) -> Cohort`` under ``name``; see :class:`Adapter`.

    Raises
    ------
    DatasetError: the name is taken.
    """

    def decorate(loader: Loader) -> Loader:
        if name in _adapters or (name in _SHIPPED and loader.__module__ != _SHIPPED[name]):
            raise DatasetError(f"data set {name!r} is registered already; choose another name")
        _adapters[name] = Adapter(
            name, title, marker, loader, recognises, public, synthetic, licence, page, findings, check
        )
        return loader

    return decorate


def dataset_names() -> tuple[str, ...]:
    """Return the names of the data sets: those that ship, those of installed packages, the others."""
    return tuple(dict.fromkeys((*_SHIPPED, *_installed(), *_adapters)))


def adapter(name: str) -> Adapter:
    """Return the adapter registered under ``name``.

    Raises
    ------
    DatasetError: unknown (the message names the nearest), or the package that names it cannot be imported or
        does not register it.
    """
    if name not in _adapters and name in _SHIPPED:
        importlib.import_module(_SHIPPED[name])
    elif name not in _adapters and (entry := _installed().get(name)):
        _import(entry)
    if name in _adapters:
        return _adapters[name]
    known = dataset_names()
    within = [other for other in known if name and name.lower() in other]
    hint = f"; did you mean {' or '.join(within)}?" if within else did_you_mean(name, known)
    raise DatasetError(f"no data set is called {name!r}{hint} (known: {', '.join(known)})")


def load(
    name: str,
    root: Path | str | None = None,
    *,
    seed: int = 0,
    device: str = "cpu",
    links: bool = False,
    max_pixels: int = 0,
    crop: bool = False,
    **options: Any,
) -> Cohort:
    """Read the data set ``name`` in the folder ``root``, or generate it. No image is opened.

    Parameters
    ----------
    root: the folder; None for a data set that is generated.
    seed, device: of generated images, and where they are drawn; others have no use for them.
    links: whether files may be links that lead out of the folder.
    max_pixels: pictures of more are refused before they are decoded (0: the reader's own limit).
    crop: whether dark and white borders around the film are cut off.
    options: what the adapter takes, such as ``labels`` and ``file`` for ``manifest``.

    Raises
    ------
    DatasetError: unknown name or option, no such folder, files missing, not as published, or no files of this
        folder.
    CohortError: the table breaks the cohort contract.
    """
    found = adapter(name)
    check_options(found, options)
    given = {"seed": seed, "device": device}
    takes = inspect.signature(found.loader).parameters
    options |= {key: value for key, value in given.items() if key in takes}
    if found.generated:
        return found.loader(**options)
    if root is None:
        raise DatasetError(f"data set {name!r} is read from a folder; name the folder")
    root = Path(root)
    _check_folder(root)
    # Imported here: it needs pandas, and a list of names does not.
    from cxrbench.cohort.table import FilePixels
    from cxrbench.datasets.folder import check_files, check_tables

    check_tables(root)
    cohort = found.loader(root, **options)
    check_files(root, cohort.table["path"], links=links)
    if (max_pixels or crop) and isinstance(cohort.pixels, FilePixels):
        cohort = replace(cohort, pixels=replace(cohort.pixels, max_pixels=max_pixels, crop=crop))
    return cohort


def check_options(found: Adapter, options: Mapping[str, Any]) -> None:
    """Refuse options that the data set does not have, or whose values cannot be, before anything is read.

    Raises
    ------
    DatasetError: the message names the nearest option.
    """
    kinds = [parameter.kind for parameter in inspect.signature(found.loader).parameters.values()]
    # A loader with **kwargs has options of its own, and `check` to look at them.
    any_other = inspect.Parameter.VAR_KEYWORD in kinds
    for option in options:
        if option in _GIVEN or not (any_other or option in found.options):
            takes = f"takes {', '.join(found.options)}" if found.options else "takes no options"
            raise DatasetError(
                f"data set {found.name!r} has no option {option!r}{did_you_mean(option, found.options)} "
                f"(it {takes})"
            )
    if found.check is not None:
        found.check(**options)


def discover(data_root: Path | str, name: str, **options: Any) -> Path:
    """Find the folder of the data set ``name``: ``data_root`` itself, else the one among its direct children.

    Parameters
    ----------
    options: the loader's options; those that the recogniser does not take are ignored.

    Raises
    ------
    DatasetError: no such folder, or several (the message names them); or the data set is generated.
    """
    found = adapter(name)
    recognises = found.recognises
    if recognises is None:
        raise DatasetError(f"{name!r} is generated: it has no folder to read or check")
    if found.check is not None:
        found.check(**options)
    data_root = Path(data_root)
    _check_folder(data_root)
    takes = inspect.signature(recognises).parameters
    known = {option: value for option, value in options.items() if option in takes}
    if recognises(data_root, **known):
        return data_root
    children = sorted(
        child for child in data_root.iterdir() if child.is_dir() and not child.name.startswith(".")
    )
    matches = [child for child in children if recognises(child, **known)]
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


def _installed() -> dict[str, EntryPoint]:
    """Return the data sets that installed packages name; those that ship come first where names agree."""
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in _SHIPPED}


def _import(entry: EntryPoint) -> None:
    """Import what registers the data set that an entry point names: a module, or the function in it.

    Raises
    ------
    DatasetError
    """
    where = f"data set {entry.name!r}: {entry.value!r}, named by the entry point group {GROUP!r},"
    try:
        entry.load()
    except DatasetError:
        raise
    except Exception as error:  # Somebody else's module may fail in any way.
        raise DatasetError(f"{where} cannot be imported: {complaint(error)}") from error
    if entry.name not in _adapters:
        raise DatasetError(
            f"{where} does not register it; decorate its loader with @register({entry.name!r}, ...)"
        )
