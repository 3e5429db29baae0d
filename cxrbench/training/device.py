"""The device of a run: how it is chosen, described and waited for."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from cxrbench.errors import TrainingError
from cxrbench.text import complaint
from cxrbench.training.config import Precision, PrecisionChoice


def choose_device(gpu: bool) -> torch.device:
    """Return the CPU, or the current CUDA device where ``gpu`` is asked for.

    Raises
    ------
    TrainingError: a GPU is asked for and CUDA is missing. There is no silent way back to the CPU.
    """
    if not gpu:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        built = torch.version.cuda or "no CUDA"
        raise TrainingError(
            f"a GPU is asked for and torch {torch.__version__} (built with {built}) finds none; "
            "check the driver with nvidia-smi, or leave out --gpu"
        )
    return torch.device("cuda", torch.cuda.current_device())


def choose_precision(wanted: PrecisionChoice, device: torch.device) -> Precision:
    """Return ``wanted``; for ``"auto"`` bfloat16 where ``device`` computes in it, else float32.

    A processor without such instructions imitates bfloat16, and trains in it several times as slowly as in
    float32.
    """
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        # torch 2.9 has no public function for this; these two are in every version that is supported.
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bfloat16" if fast else "float32"


def describe_device(device: torch.device) -> dict[str, str | int]:
    """Return what speed and bits depend on: the device's name, and the number of threads on a CPU."""
    if device.type == "cuda":
        capability = ".".join(str(n) for n in torch.cuda.get_device_capability(device))
        return {"type": "cuda", "name": torch.cuda.get_device_name(device), "capability": capability}
    return {
        "type": "cpu",
        "name": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "threads": torch.get_num_threads(),
    }


def fast_kernels(device: torch.device) -> AbstractContextManager[None]:
    """Return a context in which cuDNN tries its algorithms and keeps the fastest for each shape.

    Inside :func:`deterministic` it tries none. On the CPU nothing changes: the kernels that are used there
    give the same bits in every run.
    """
    if device.type != "cuda":
        return nullcontext()
    same = torch.are_deterministic_algorithms_enabled()
    tf32 = torch.backends.cudnn.allow_tf32
    return torch.backends.cudnn.flags(enabled=True, benchmark=not same, deterministic=same, allow_tf32=tf32)


@contextmanager
def deterministic(device: torch.device, wanted: bool) -> Iterator[None]:
    """Let a GPU take only algorithms that give the same bits every time, where that is ``wanted``.

    A CPU's always do. An operation that has no such algorithm raises RuntimeError.
    """
    if not wanted or device.type != "cuda":
        yield
        return
    # cuBLAS reads it once, when it is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that was asked of it, so that a clock read next is honest."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def memory_errors(doing: str, advice: str) -> Iterator[None]:
    """Turn the device's "out of memory" into one line: while ``doing`` what, and what to do about it.

    Raises
    ------
    TrainingError: memory ran out inside.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise TrainingError(f"{doing}: out of memory ({complaint(error)}); {advice}") from None
    except RuntimeError as error:
        # On the CPU torch has no class of its own for it.
        if "DefaultCPUAllocator" not in str(error):
            raise
        raise TrainingError(f"{doing}: out of memory ({complaint(error)}); {advice}") from None
