"""Damage the tables and lists of data sets at random, load them, and count what comes of it.

Run in a process of its own:

python fuzz_tables.py SEED COUNT FIXTURES FOLDER

FIXTURES holds a tree of every data set; copies are damaged in FOLDER. Prints one line of JSON: outcomes by
data set, the slowest load in seconds, the largest memory in MiB, and what was neither a cohort nor a refusal
in one line.
"""

import gzip
import json
import random
import shutil
import sys
from functools import partial
from pathlib import Path

from tally import Tally, outcome

from cxrbench.datasets import adapter, dataset_names, load

TABLES = (".csv", ".tsv", ".txt", ".xml", ".json", ".gz")
# Trees besides those that are named as their data set, and the options that they need.
OTHERS = {
    "other-layouts/chestxray14": ("chestxray14", {}),
    "other-layouts/vindr-cxr": ("vindr-cxr", {}),
    "other-layouts/openi": ("openi", {"laterals": True}),
}
PIECES = [
    b"",
    b",",
    b";",
    b"\t",
    b"\n",
    b"\r\n",
    b'"',
    b"'",
    b"[",
    b"]",
    b"{",
    b"}",
    b"<",
    b"&a;",
    b"nan",
    b"NULL",
    b"-1",
    b"1e9",
    b"inf",
    b"9" * 400,
    b"0" * 50,
    b"..",
    b"/",
    b"\\",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    "é\u2028\u00a0".encode(),
    b"  ",
]


def mutated(raw: bytes, rng: random.Random) -> bytes:
    """Return a table damaged in one to three ways."""
    data = bytearray(raw)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data) + 1)
        lines = bytes(data).split(b"\n")
        match rng.randrange(6):
            case 0:
                data[at:at] = rng.choice(PIECES)
            case 1:
                data[at : at + rng.randint(1, 20)] = rng.choice(PIECES)
            case 2:
                lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
                data = bytearray(b"\n".join(lines))
            case 3:
                lines.pop(rng.randrange(len(lines)))
                data = bytearray(b"\n".join(lines))
            case 4:
                rng.shuffle(lines)
                data = bytearray(b"\n".join(lines))
            case 5:
                del data[at:]
    return bytes(data)


def damaged(path: Path, rng: random.Random) -> bytes:
    """Return a file's content damaged: of a compressed one, mostly what is in it."""
    raw = path.read_bytes()
    if path.suffix == ".gz" and rng.random() < 0.8:
        return gzip.compress(mutated(gzip.decompress(raw), rng))
    return mutated(raw, rng)


def main(seed: int, count: int, fixtures: Path, folder: Path) -> None:
    rng = random.Random(seed)
    trees = {name: (name, {}) for name in dataset_names() if not adapter(name).generated} | OTHERS
    tables = {}
    for tree in trees:
        copy = Path(shutil.copytree(fixtures / tree, folder / tree))
        found = sorted(path for path in copy.rglob("*") if path.suffix in TABLES)
        # Some data sets are folders and names alone.
        if found:
            tables[tree] = found
    tally = Tally("read", "refused")
    for number in range(count):
        tree = rng.choice(sorted(tables))
        name, options = trees[tree]
        path = rng.choice(tables[tree])
        whole = path.read_bytes()
        path.write_bytes(damaged(path, rng))
        loading = partial(load, name, folder / tree, **options)
        tally.add(f"{number} {tree} {path.name}", name, partial(outcome, loading))
        path.write_bytes(whole)
    print(json.dumps(tally.result()))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
