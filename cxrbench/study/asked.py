"""A study as a person asks for it: the options that the command line and pytest share, and what they mean.

Nothing heavy is imported at the top: ``cxrbench --help`` and every pytest session load this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxrbench.errors import ProfileError
from cxrbench.study.where import Where
from cxrbench.text import visible

if TYPE_CHECKING:
    from cxrbench.study.finished import FinishedStudy
    from cxrbench.study.profile import Profile
    from cxrbench.study.progress import StudyProgress


def _option(help: str, default: Any = None, metavar: str | None = None) -> Any:
    return field(default=default, metadata={"help": help, "metavar": metavar})


@dataclass(frozen=True)
class Asked:
    """What is asked for, in words; nothing is loaded or checked yet. Each field is an option."""

    profile: str | None = _option(
        "profile by name or .toml file (default: phantom; on the GPU, phantom-gpu)", metavar="NAME"
    )
    data_root: Path | None = _option(  # noqa: RUF009
        "the folder that holds the real data sets", metavar="DIR"
    )
    scheme: tuple[str, ...] = _option("only this scheme, a name or NAME=NOTATION; may be repeated", ())
    schemes: str | None = _option(
        "a shipped set of schemes, six or paths, instead of the profile's", metavar="SET"
    )
    seeds: str | None = _option("training seeds instead of the profile's", metavar="N[,N...]|N-N")
    network: str | None = _option(
        "a network by name, such as resnet18 or timm:NAME, instead of the profile's", metavar="NAME"
    )
    init: str | None = _option(
        "where trunks start instead of the profile's way: imagenet, formula, random, random:SEED or a file",
        metavar="START",
    )
    gpu: bool = _option("train on the GPU; fails where CUDA is missing", default=False)
    jobs: int | None = _option(
        "stages trained at a time on the CPU, each in its own process (default: one per thread, up to 4)",
        metavar="N",
    )
    devices: str | None = _option(
        "train one stage at a time on each, such as cuda:0,cuda:1", metavar="D[,D...]"
    )
    cluster: str | None = _option(
        "train on a Dask cluster: tcp://HOST:PORT, or its scheduler.json", metavar="ADDRESS"
    )
    deterministic: bool = _option("the same bits every time on a GPU too, more slowly", default=False)

    def load(self) -> Profile:
        """Return the profile with what is asked for instead of its own.

        Raises
        ------
        CxrbenchError: there is no such profile, set of schemes or network, or seeds are not whole numbers.
        """
        from cxrbench.study.profile import load_profile

        for name in ("profile", "schemes", "network", "init", "cluster"):
            if getattr(self, name) == "":
                # As from a shell variable that was not set: the default would be another study.
                raise ProfileError(f"--{name}: it names nothing; leave the option out for the default")
        seeds = read_seeds(self.seeds)
        profile = load_profile(self.profile or ("phantom-gpu" if self.gpu else "phantom"))
        if self.schemes:
            profile = profile.with_schemes(self.schemes)
        if seeds:
            profile = profile.with_seeds(seeds)
        if self.deterministic:
            profile = replace(profile, deterministic=True)
        profile = profile.with_network(self.network) if self.network else profile
        return profile.with_init(self.init) if self.init else profile

    def where(self) -> Where:
        """Return the folder and devices that are named.

        Raises
        ------
        CxrbenchError: devices are named in two ways, or one is not here.
        """
        from cxrbench.study.executor import choose_devices

        chosen = self.gpu or self.jobs is not None or self.devices is not None
        return Where(
            data_root=self.data_root,
            devices=choose_devices(self.gpu, self.jobs, self.devices) if chosen or not self.cluster else None,
            cluster=self.cluster,
        )

    def run(self, profile: Profile, out: Path, progress: StudyProgress) -> FinishedStudy:
        """Run the study of ``profile``, that of :meth:`load`, under ``out``."""
        from cxrbench.study.run import run_study

        return run_study(profile, out, schemes=self.scheme, where=self.where(), progress=progress)

    def folder_name(self) -> str:
        """Return the name of the study's folder: the profile's, and the network or start that is another.

        So no study overwrites the predictions of one with another network or other initial parameters.
        """
        profile, own = self.load(), replace(self, network=None, init=None).load()
        names = [profile.name]
        names += [profile.network] if profile.network != own.network else []
        names += [self.init] if self.init and profile.init != own.init else []
        return "+".join(re.sub(r"[^A-Za-z0-9._-]", "+", name) for name in names)


_TYPES: Mapping[str, type] = {"jobs": int, "data_root": Path}


def argparse_option(option: Field[Any]) -> dict[str, Any]:
    """Return what argparse takes for a field of :class:`Asked`."""
    settings: dict[str, Any] = {"help": option.metadata["help"], "default": option.default}
    if isinstance(option.default, bool):
        return {**settings, "action": "store_true"}
    if isinstance(option.default, tuple):
        return {**settings, "action": "append", "default": []}
    return {**settings, "metavar": option.metadata["metavar"], "type": _TYPES.get(option.name, str)}


_MANY = 10_000
"""Seeds that nobody means to train."""


def read_seeds(text: str | None) -> tuple[int, ...]:
    """Return the seeds in ``text``, such as ``0,1,2`` or ``200-219``; none where there is no text.

    Raises
    ------
    ProfileError: they are not whole numbers, or ranges of them, with commas between them; or are too many.
    """
    if text is None:
        return ()
    found: list[int] = []
    for written in text.split(","):
        # int() would take 1_0 for 10, and digits of other scripts.
        match = re.fullmatch(r"\s*(-?[0-9]+)(?:-([0-9]+))?\s*", written)
        if match is None:
            raise ProfileError(
                "seeds: write whole numbers with commas between them, such as 0,1,2, or a range, such as "
                f"200-219, not {visible(text)}"
            )
        try:
            first, last = int(match[1]), int(match[2] or match[1])
        except ValueError:
            # Python reads no number of thousands of digits.
            raise ProfileError("seeds: a number is too large") from None
        if not 0 <= last - first < _MANY:
            raise ProfileError(f"seeds: {visible(written)} must be a range upwards, of {_MANY:,} at most")
        found += range(first, last + 1)
    return tuple(found)


def write_seeds(seeds: Iterable[int]) -> str:
    """Return what :func:`read_seeds` reads as ``seeds``, a range for three and more that follow."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][-1] + 1 and runs[-1][0] >= 0:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)
