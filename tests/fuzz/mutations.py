"""Random damage to bytes, JSON and CSV: what a failing disk, an editor or a careless tool does to a file."""

from __future__ import annotations

import csv
import io
import json
import random
import struct
from typing import Any

VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 10**30, -(2**63), 1.5, -0.0, 1e308, 1e-308),
    *(float("nan"), float("inf"), "", "x", "../../x", "/", "\0", "0", "é\u2028", "x" * 5000),
    *([], [0], [[]], [None], ["a"], [1, 1], {}, {"a": 1}, {"": {}}),
]
CELLS = [
    *(
        "",
        " ",
        "0",
        "1",
        "-1",
        "2",
        "1.0",
        "1e0",
        "nan",
        "inf",
        "1e400",
        "9" * 400,
        "None",
        "true",
        "+",
        "0x10",
    ),
    *("\u0661", "１", "\0", "\ufeff1", "a\nb", '"', "'", ",", ";", "\t", "../x", "\u202e1", "é", "e\u0301"),
    *("1,5", "\ud800", "x" * 70000, "test", "train", "\r", "\x1a", "\x85", "\u2028", "=1+1", "1_000"),
]


def damaged_bytes(content: bytes, rng: random.Random) -> bytes:
    """Return ``content`` with bits, bytes or words changed, pieces lost, added or repeated."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        if not data:
            break
        at = rng.randrange(min(len(data), 1200) if rng.random() < 0.6 else len(data))
        match rng.randrange(8):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 2:
                del data[at : at + rng.choice((1, 2, 4, 100))]
            case 3:
                data[at:at] = rng.randbytes(rng.choice((1, 2, 4, 40)))
            case 4:
                del data[at:]
            case 5:
                number = rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 65535))
                data[at : at + 4] = struct.pack(rng.choice("<>") + "I", number)
            case 6:
                length = rng.choice((4, 512, 4096))
                data[at : at + length] = bytes(len(data[at : at + length]))
            case 7:
                other = rng.randrange(len(data))
                length = rng.choice((4, 16, 64))
                data[at : at + length] = data[other : other + length]
    return bytes(data)


def damaged_json(content: bytes, rng: random.Random) -> bytes:
    """Return JSON with one or two values changed, added or taken out; three times in ten its bytes."""
    if rng.random() < 0.3:
        return damaged_bytes(content, rng)
    value = json.loads(content)
    for _ in range(rng.choice((1, 1, 1, 2))):
        holder, key = rng.choice(list(_places(value)))
        new = rng.choice(VALUES)
        if rng.random() < 0.2:
            del holder[key]
        elif rng.random() < 0.1 and isinstance(holder, dict):
            holder[rng.choice(("more", "format", "key", "seal", "hash"))] = new
        elif rng.random() < 0.5 and isinstance(holder[key], int | float):
            # A number that could be.
            holder[key] = holder[key] + rng.choice((1, -1, 0.001)) if rng.random() < 0.8 else -holder[key]
        else:
            holder[key] = new
        if not value:
            break
    return json.dumps(value, indent=rng.choice((None, 2))).encode()


def damaged_csv(content: bytes, rng: random.Random, comments: int = 0) -> bytes:
    """Return CSV with cells, rows or columns changed, or in another encoding; one time in four, its bytes.

    comments: lines above the header, which stay.
    """
    if rng.random() < 0.25:
        return damaged_bytes(content, rng)
    *above, body = content.decode().split("\n", comments)
    rows = list(csv.reader(io.StringIO(body)))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if not rows:
            break
        i = rng.randrange(len(rows))
        if not rows[i]:
            continue
        j = rng.randrange(len(rows[i]))
        match rng.randrange(10):
            case 0 | 1 | 2 | 3:
                rows[i][j] = rng.choice((*CELLS, rng.choice(rng.choice(rows) or [""])))
            case 4:
                rows[0][rng.randrange(len(rows[0]))] = rng.choice(CELLS)
            case 5:
                del rows[i]
            case 6:
                rows.insert(i, list(rng.choice(rows)))
            case 7:
                rows[i] = rows[i][:j] if rng.random() < 0.5 else rows[i] + [rng.choice(CELLS)] * 2
            case 8:
                cell = rng.choice(CELLS)
                for row in rows[1:]:
                    if j < len(row):
                        row[j] = cell
            case 9:
                del rows[i:]
    out = io.StringIO()
    csv.writer(out, lineterminator=rng.choice(("\n", "\n", "\r\n", "\r"))).writerows(rows)
    encoding = rng.choice(("utf-8",) * 6 + ("utf-8-sig", "utf-16", "latin-1"))
    text = "".join(f"{line}\n" for line in above) + out.getvalue()
    return text.encode(encoding, "surrogatepass" if encoding == "utf-8" else "replace")


def _places(value: Any) -> Any:
    """Yield (holder, key) of every value inside ``value``."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        yield value, key
        yield from _places(item)
