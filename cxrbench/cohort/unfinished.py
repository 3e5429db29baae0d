"""A pack while it is made. What was read stays, so that one that was stopped goes on after it.

- ``pack/``       becomes the pack: its pixels so far
- ``rows.jsonl``  per image why it has no pixels, or null, and a digest of this line, all before it and all
  pixels up to here

What was damaged, or was not yet on the disk when the machine went down, breaks the chain of digests: the pack
goes on before it.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from cxrbench.files import canonical_json, move_directory

PIXELS = "pixels.npy"


class Unfinished:
    """Images that are added one after the other, and those that an earlier process has added.

    Parameters
    ----------
    folder: where it lies, alone; made where missing. Nobody else may write there meanwhile.
    key: of the pack. What was begun under another is taken away.
    total, size: how many images there will be, and their side in pixels.

    Attributes
    ----------
    reasons: per image that was added, why it has no pixels, or None.
    content: the SHA-256 of all pixels so far.
    pack: the folder that becomes the pack.

    Raises
    ------
    OSError: from here and from all methods, where the disk cannot be written.
    """

    def __init__(self, folder: Path, key: str, total: int, size: int) -> None:
        self.pack = folder / "pack"
        self.reasons: list[str | None] = []
        self.content = hashlib.sha256()
        self._folder, self._size = folder, size
        self._chain = hashlib.sha256(f"{key}\n".encode())
        self.pack.mkdir(parents=True, exist_ok=True)
        for other in self.pack.iterdir():
            if other.is_dir():
                shutil.rmtree(other)
            elif other.name != PIXELS:
                other.unlink()
        header = npy_header((total, size, size))
        self._pixels = _opened(self.pack / PIXELS)
        try:
            self._pixels.seek(len(header))
            self._rows = _opened(folder / "rows.jsonl")
        except BaseException:
            self._pixels.close()
            raise
        try:
            self._take_up()
            self._pixels.truncate()
            self._rows.truncate()
            place = self._pixels.tell()
            self._pixels.seek(0)
            self._pixels.write(header)
            self._pixels.seek(place)
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def _take_up(self) -> None:
        """Go through what is there, as far as it is whole, and stop after it."""
        start = self._rows.tell()
        for line in iter(self._rows.readline, b""):
            place = self._pixels.tell()
            try:
                reason, _ = json.loads(line)
            except (ValueError, TypeError, RecursionError):
                break
            image = b"" if reason is not None else self._pixels.read(self._size**2)
            chain = self._chain.copy()
            if _line(chain, reason, image) != line:
                self._pixels.seek(place)
                break
            self._chain = chain
            self.content.update(image)
            self.reasons.append(reason)
            start += len(line)
        self._rows.seek(start)

    def __enter__(self) -> Unfinished:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in (self._pixels, self._rows):
            # What could not be written has been reported, and would be refused here once more.
            with suppress(OSError):
                file.close()

    def __len__(self) -> int:
        return len(self.reasons)

    def add(self, image: npt.NDArray[np.uint8] | str) -> None:
        """Add an image, (size, size) and contiguous, or the reason why it has no pixels."""
        reason = image if isinstance(image, str) else None
        pixels = b"" if isinstance(image, str) else image.tobytes()
        self._pixels.write(pixels)
        self._pixels.flush()
        self._rows.write(_line(self._chain, reason, pixels))
        self._rows.flush()
        self.content.update(pixels)
        self.reasons.append(reason)

    def finish(self, shape: tuple[int, int, int], final: Path) -> None:
        """Make :attr:`pack`, with pixels of that shape, and whatever else was written there, ``final``."""
        self._pixels.seek(0)
        self._pixels.write(npy_header(shape))
        self._pixels.close()
        move_directory(self.pack, final)
        self.remove()

    def remove(self) -> None:
        """Take all of it away."""
        self.__exit__(None, None, None)
        shutil.rmtree(self._folder, ignore_errors=True)


def npy_header(shape: tuple[int, int, int]) -> bytes:
    """Return the first bytes of a NumPy file of uint8."""
    # NumPy leaves room in the header for the first number to grow, so its length does not depend on it.
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return out.getvalue()


def _opened(path: Path) -> io.BufferedRandom:
    path.touch()
    return path.open("r+b")


def _line(chain: hashlib._Hash, reason: str | None, pixels: bytes) -> bytes:
    """Add a row to the chain of digests and return the row's line."""
    chain.update(f"{canonical_json(reason)}\n".encode())
    chain.update(pixels)
    return f"{canonical_json([reason, chain.hexdigest()])}\n".encode()
