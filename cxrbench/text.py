"""Text for people: one line, the nearest name, the first few of many."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from difflib import get_close_matches

NOTHING = ("nan", "none", "null", "nat", "#n/a", "<na>")
"""What programs write for nothing, in lower case, and nobody is called. ``NA`` may be somebody's initials."""

SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
"""What tables have between their cells where it is no comma."""

NAMED = 10
"""How many of many things a message names."""

_DECIMAL = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,3})?", re.ASCII)


def plain_number(text: str) -> float | None:
    """Return the number that a person reads in ``text``, NaN and infinity spelt out among them, or None.

    ``float`` also reads ``0_9`` as 9, and digits of every script.
    """
    if "_" in text or not text.isascii():
        return None
    try:
        return float(text)
    except ValueError:
        return None


def exact_number(text: str) -> Decimal | None:
    """Return the decimal number that is written in ``text``, none of its digits rounded off, or None."""
    return Decimal(text) if _DECIMAL.fullmatch(text) else None


def visible(name: str) -> str:
    """Return ``name``, in quotation marks where blanks or unprintable characters would not be seen."""
    return name if name and name == name.strip() and name.isprintable() else repr(name)


def one_line(text: str) -> str:
    """Return ``text`` as one line of printable characters, so that no text from a file steers a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def complaint(error: BaseException, longest: int = 200) -> str:
    """Return what a library says in ``error`` as one line of at most ``longest`` characters."""
    text = one_line(str(error)) or type(error).__name__
    return text if len(text) <= longest else text[: longest - 3] + "..."


def plural(number: int, noun: str) -> str:
    """Return ``1 image`` or ``2,000 images``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def first_of(names: Sequence[str], separator: str = ", ", shown: int = NAMED) -> str:
    """Return the first of ``names``, and how many more there are: ``a, b and 3 more``."""
    text = separator.join(names[:shown])
    more = len(names) - shown
    return f"{text} and {more:,} more" if more > 0 else text


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'control'?"``, the nearest of ``known``; nothing where none is near."""
    near = get_close_matches(str(name), list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
