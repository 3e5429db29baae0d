"""Damage image files at random, read them, and count what comes of it. Run in a process of its own:

python fuzz_images.py SEED COUNT FOLDER

FOLDER holds whole files. Each mutation is read as a picture, as a square and for its header. Prints one line
of JSON: outcomes by format, the slowest read in seconds, the largest memory in MiB, and what was neither a
picture nor a refusal in one line.
"""

import json
import random
import sys
import zlib
from functools import partial
from pathlib import Path

from tally import Tally

from cxrbench.errors import RadiographError
from cxrbench.radiograph import read, read_header, read_square


def mutated(raw: bytes, other: bytes, rng: random.Random) -> bytes:
    """Return ``raw`` damaged in one to four ways, half of the PNGs with check values that fit again."""
    data = bytearray(raw)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        size = len(data)
        if size < 8:
            break
        # Headers decide the most, and are the smallest part.
        at = rng.randrange(min(size, 700)) if rng.random() < 0.6 else rng.randrange(size)
        match rng.randrange(9):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))
            case 2:
                data[at : at + 4] = rng.choice(
                    (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\0\0", b"\x7f\xff\xff\xff")
                )
            case 3:
                del data[at : at + rng.randint(1, 64)]
            case 4:
                data[at:at] = rng.randbytes(rng.randint(1, 64))
            case 5:
                del data[at:]
            case 6:
                data[at:] = bytes(size - at)
            case 7:
                start = rng.randrange(len(other))
                data[at : at + 100] = other[start : start + 100]
            case 8:
                piece = data[at : at + rng.randint(1, 200)]
                data[at:at] = piece * rng.randint(1, 20)
    return checked(bytes(data)) if data.startswith(b"\x89PNG") and rng.random() < 0.5 else bytes(data)


def checked(data: bytes) -> bytes:
    """Return a PNG with the CRC of each chunk made anew, as far as its chunks can be followed."""
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            break
        parts += [data[at:end], zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")]
        at = end + 4
    return b"".join([*parts, data[at:]])


def outcome(function, path: Path) -> str:
    try:
        function(path)
    except RadiographError as error:
        return "refused" if error.reason and len(str(error).splitlines()) == 1 else f"reason {error.reason!r}"
    except BaseException as error:
        return f"raised {type(error).__name__}: {error}"[:300]
    return "read"


def main(seed: int, count: int, folder: Path) -> None:
    rng = random.Random(seed)
    whole = {path: path.read_bytes() for path in sorted(folder.iterdir())}
    sources = list(whole)
    tally = Tally("read", "refused")
    for number in range(count):
        source, other = rng.choice(sources), rng.choice(sources)
        path = folder.parent / f"mutated{source.suffix}"
        path.write_bytes(mutated(whole[source], whole[other], rng))
        for name, function in (
            ("read", read),
            ("square", lambda file: read_square(file, 16)),
            ("header", read_header),
        ):
            tally.add(
                f"{number} {source.name} {name}",
                source.suffix[1:],
                partial(outcome, function, path),
                counted=name == "read",
            )
    print(json.dumps(tally.result()))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
