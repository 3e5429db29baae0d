"""The notation of schemes: ``init > findings + pneumonia > covid``.

``>`` is "then" and ``+`` is "pooled with". The first term is always ``init``, the starting parameters; every
other term is a role. White space has no meaning. Pooling is commutative, so the roles of a stage are kept in
alphabetical order only where stages are compared, and in the written order where they are printed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cxrbench.errors import SchemeError

INIT = "init"
_TOKEN = re.compile(r"\s*(?:(?P<word>[A-Za-z_][A-Za-z0-9_-]*)|(?P<sign>[>+]))")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")


@dataclass(frozen=True)
class Stage:
    """One training run on one or more pooled roles.

    Two stages are equal when they pool the same roles, in whatever order they were written.
    """

    roles: tuple[str, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stage) and sorted(self.roles) == sorted(other.roles)

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.roles)))

    def __str__(self) -> str:
        return " + ".join(self.roles)


@dataclass(frozen=True)
class Scheme:
    """A named chain of stages, from the initial parameters to the model that is tested."""

    name: str
    stages: tuple[Stage, ...]

    @property
    def roles(self) -> frozenset[str]:
        """Every role that some stage trains."""
        return frozenset(role for stage in self.stages for role in stage.roles)

    @property
    def notation(self) -> str:
        """The scheme as text that :func:`parse` reads back to an equal scheme."""
        return " > ".join([INIT, *(str(stage) for stage in self.stages)])

    @property
    def definition(self) -> str:
        """Name and notation, ``NAME=NOTATION``: chooses this scheme also where it is not registered."""
        return f"{self.name}={self.notation}"

    def __str__(self) -> str:
        return self.notation


def parse(name: str, notation: str) -> Scheme:
    """Read a scheme from its notation.

    Parameters
    ----------
    name: lower-case letters, digits and hyphens, starting with a letter.
    notation: such as ``"init > findings + pneumonia > covid"``.

    Raises
    ------
    SchemeError: the message says which character is wrong, and what stands before and after it.
    """
    if not _NAME.fullmatch(name):
        raise SchemeError(
            f"scheme name {name!r} must be up to 64 lower-case letters, digits and hyphens, starting with a "
            "letter"
        )
    tokens = _tokens(notation)
    first, position = tokens[0]
    end = tokens[-1][1]
    if first != INIT:
        raise _at(notation, position, f"a scheme starts with {INIT!r}, the initial parameters")
    stages: list[Stage] = []
    roles: list[str] = []
    expect_role = False
    for token, position in tokens[1:]:
        if expect_role:
            if token in (">", "+", ""):
                raise _at(notation, position, "a role is expected here")
            if token == INIT:
                raise _at(notation, position, f"{INIT!r} may only come first")
            if token in roles:
                raise _at(notation, position, f"role {token!r} is pooled with itself")
            roles.append(token)
        elif token == ">":
            if roles:
                stages.append(Stage(tuple(roles)))
            roles = []
        elif token == "+":
            if not roles:
                raise _at(notation, position, f"{INIT!r} cannot be pooled; write '{INIT} > …'")
        elif token:
            raise _at(notation, position, "'>' or '+' is expected here")
        expect_role = token in (">", "+")
    if not roles:
        raise _at(notation, end, "a scheme needs at least one stage")
    stages.append(Stage(tuple(roles)))
    return Scheme(name, tuple(stages))


def _tokens(notation: str) -> list[tuple[str, int]]:
    """Return (token, position) pairs, closed by an empty token at the end of the text."""
    tokens: list[tuple[str, int]] = []
    position = 0
    end = len(notation.rstrip())
    while position < end:
        match = _TOKEN.match(notation, position)
        if match is None:
            start = position + len(notation[position:]) - len(notation[position:].lstrip())
            raise _at(notation, start, f"unexpected character {notation[start]!r}")
        token = match["word"] or match["sign"]
        tokens.append((token, match.end() - len(token)))
        position = match.end()
    tokens.append(("", end))
    return tokens


def _at(notation: str, position: int, what: str) -> SchemeError:
    before, after = notation[:position], notation[position:]
    return SchemeError(f"{what} (character {position + 1}), between {before!r} and {after!r}")
