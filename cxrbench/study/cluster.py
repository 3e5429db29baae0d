"""Places on the workers of a Dask cluster: one stage at a time on each.

The workers must see the study's folder, the data that the profile names and cxrbench itself under the same
paths as this machine. They are given the images of a stage by the pack's path, never by their pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxrbench.errors import CxrbenchError
from cxrbench.study.executor import Place, Places, alike, call, threads_each
from cxrbench.text import complaint

if TYPE_CHECKING:
    import torch

    from cxrbench.training.config import Precision

RESOURCE = "cxrbench-stage"
"""Every worker has one of it, and so trains one stage at a time, however many threads it has."""


def cluster_places(address: str, devices: Sequence[torch.device] | None) -> Places:
    """Return one place for each worker that the cluster has now.

    Parameters
    ----------
    address: of the scheduler, or its scheduler file (anything that ends in ``.json``).
    devices: the one device that every worker uses, by default its CPU. Each stage has as many threads there
        as it would have on this machine.

    Raises
    ------
    CxrbenchError: several devices are given, no scheduler answers, it has no worker, or its workers are not
        alike.
    """
    import torch

    if devices and len(devices) > 1:
        raise CxrbenchError(
            "on a cluster every worker uses one device: name one with --devices, and leave --jobs out"
        )
    device = devices[0] if devices else torch.device("cpu")
    with _connected(address) as client:
        workers = list(client.scheduler_info(n_workers=-1)["workers"])
        if not workers:
            raise CxrbenchError(f"the Dask cluster at {address} has no worker: start some with `dask worker`")
        asked = [client.submit(_describe, device, workers=[worker], pure=False) for worker in workers]
        described = client.gather(asked)
    description = alike({worker: each for worker, (each, _) in zip(workers, described, strict=True)})
    threads = threads_each() if device.type == "cpu" else None
    return Places(
        description if threads is None else {**description, "threads": threads},
        described[0][1],
        len(workers),
        partial(open_workers, address, device, threads, len(workers)),
    )


@contextmanager
def open_workers(
    address: str, device: torch.device, threads: int | None, count: int
) -> Iterator[Sequence[Place]]:
    """Yield ``count`` places on the cluster's workers; a stage whose worker dies goes on at another.

    Where the block ends in an error, what has not begun is cancelled; what a worker has begun it ends.

    Raises
    ------
    CxrbenchError: no scheduler answers at ``address``, or several workers died of one stage.
    """
    with _connected(address) as client:
        client.register_plugin(_stage_worker())
        executor = client.get_executor(pure=False, resources={RESOURCE: 1})
        try:
            yield [partial(_submit, executor, device, threads)] * count
        except BaseException:
            executor.shutdown(wait=False)
            raise


def _submit(executor: Any, device: torch.device, threads: int | None, work: Any) -> Any:
    return executor.submit(call, work, device, threads)


def _describe(device: torch.device) -> tuple[dict[str, str | int], Precision]:
    """Return how this worker describes the device, and the precision that is fast on it."""
    from cxrbench.training.device import choose_precision, describe_device

    description = describe_device(device)
    # How many the worker has does not matter: a stage sets its own number.
    description.pop("threads", None)
    return description, choose_precision("auto", device)


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Yield a client of the scheduler at ``address``, or of the one that a scheduler file names."""
    try:
        from distributed import Client, KilledWorker
        from distributed.comm.core import CommClosedError
    except ImportError:
        raise CxrbenchError(
            "a Dask cluster needs the package distributed: pip install 'cxrbench[cluster]'"
        ) from None
    where = {"address": address}
    if address.endswith(".json"):
        # Dask would wait for it forever.
        if not Path(address).is_file():
            raise CxrbenchError(f"there is no scheduler file {address}; `dask scheduler` writes one")
        where = {"scheduler_file": address}
    try:
        client = Client(**where, set_as_default=False)  # type: ignore[no-untyped-call]
    except (TimeoutError, OSError, ValueError) as error:
        raise CxrbenchError(f"no Dask scheduler answers at {address}: {complaint(error)}") from None
    try:
        with client:
            yield client
    except KilledWorker as error:
        raise CxrbenchError(
            f"several Dask workers died of one task ({complaint(error)}): they may have too little memory. "
            "What is finished is kept"
        ) from error
    except (CancelledError, CommClosedError) as error:
        raise CxrbenchError(
            f"the connection to the Dask cluster at {address} was lost ({complaint(error)}). What is "
            "finished is kept"
        ) from error


def _stage_worker() -> Any:
    from distributed import WorkerPlugin

    class StageWorker(WorkerPlugin):
        """Gives every worker, also one that joins later, its one place for a stage."""

        name = RESOURCE

        async def setup(self, worker: Any) -> None:
            await worker.set_resources(**{RESOURCE: 1})

    return StageWorker()
