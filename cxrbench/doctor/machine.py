"""The machine and what is installed on it. Nothing heavy is imported, and torch only where it is there."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cxrbench import __version__
from cxrbench.cores import usable_cores
from cxrbench.errors import CxrbenchError
from cxrbench.text import complaint

EXTRAS: dict[str, tuple[str, ...]] = {
    "images": ("imagecodecs", "pillow", "pydicom", "simplejpeg"),
    "train": ("filelock", "safetensors", "tomlkit", "torch", "torchvision", "tqdm"),
    "timm": ("timm",),
    "cluster": ("distributed",),
    "report": ("jinja2", "matplotlib"),
    "parquet": ("pyarrow",),
    "export": ("onnx", "onnxruntime", "onnxscript"),
    "bench": ("pytest", "pytest-benchmark"),
}
"""Extra -> the packages that it adds, as pyproject.toml has them."""

_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
"""Instruction sets that matter here, as Linux names them."""


@dataclass(frozen=True)
class Extra:
    """An extra: package -> its version, and those that are not installed."""

    name: str
    versions: dict[str, str]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Torch:
    """What torch sees: the CUDA that it was built with and why there is no GPU, or the GPUs' names.

    instructions: the ones that torch's kernels use on the CPU. precision: device -> that of ``auto``.
    """

    version: str
    cuda: str
    gpus: tuple[str, ...]
    instructions: str
    precision: dict[str, str]


@dataclass(frozen=True)
class Machine:
    """The machine: cores are those that this process may use; disk: folder -> free GiB."""

    cxrbench: str
    python: str
    system: str
    cores: int
    threads: str
    instructions: tuple[str, ...]
    extras: tuple[Extra, ...]
    disk: dict[str, float] = field(default_factory=dict)


def look(folders: tuple[Path, ...]) -> Machine:
    """Return what the machine has; ``folders``: where disk space is asked for."""
    return Machine(
        cxrbench=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cores=usable_cores(),
        threads=os.environ.get("OMP_NUM_THREADS", "not limited by OMP_NUM_THREADS"),
        instructions=_instructions(),
        extras=tuple(_extra(name, packages) for name, packages in EXTRAS.items()),
        disk={str(folder): round(shutil.disk_usage(folder).free / 2**30, 1) for folder in folders},
    )


def look_at_torch() -> Torch | None:
    """Return what torch sees; None where it is not installed.

    Raises
    ------
    CxrbenchError: it is installed, and cannot be imported.
    """
    if find_spec("torch") is None or find_spec("torchvision") is None:
        return None
    try:
        import torch
    except (ImportError, OSError) as error:
        raise CxrbenchError(f"torch is installed and cannot be imported: {complaint(error)}") from None
    from cxrbench.training.device import choose_precision

    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    return Torch(
        version=torch.__version__,
        cuda=torch.version.cuda or "",
        gpus=tuple(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())),
        instructions=torch.backends.cpu.get_cpu_capability(),
        precision={device: choose_precision("auto", torch.device(device)) for device in devices},
    )


def weights() -> dict[str, Any]:
    """Return the default network's published parameters: their name, and where they should lie."""
    import torch

    from cxrbench.training.networks import DEFAULT, architecture

    published = architecture(DEFAULT).published
    assert published is not None
    path = Path(torch.hub.get_dir()) / "checkpoints" / published.name
    return {"network": DEFAULT, "file": published.name, "folder": str(path.parent), "here": path.is_file()}


def data_sets(root: Path) -> dict[str, str]:
    """Return data set -> the folder below ``root`` that holds it, or "" where none does.

    Raises
    ------
    CxrbenchError: ``root`` is no folder.
    """
    from cxrbench.datasets import adapter, dataset_names, discover

    if not root.is_dir():
        raise CxrbenchError(f"{root} is not a folder; check --data-root")
    found = {}
    for name in dataset_names():
        if adapter(name).generated:
            continue
        try:
            found[name] = str(discover(root, name))
        except CxrbenchError:
            found[name] = ""
    return found


def _extra(name: str, packages: tuple[str, ...]) -> Extra:
    versions, missing = {}, []
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            missing.append(package)
    return Extra(name, versions, tuple(missing))


def _instructions() -> tuple[str, ...]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ()
    flags = next(
        (line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features"))), []
    )
    return tuple(flag for flag in _FLAGS if flag in flags)
