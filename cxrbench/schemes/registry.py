"""The schemes by name: two readings of the study's six, and a user's own.

A registry is a value. :data:`SIX` is never changed; :meth:`Registry.add` gives a new one, so that a scheme
registered for one study is not seen by the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cxrbench.errors import SchemeError
from cxrbench.schemes.notation import Scheme, Stage, parse
from cxrbench.text import did_you_mean


class _UnknownSchemeError(SchemeError, KeyError):
    """No scheme of that name; also a KeyError, so that ``in`` and ``get`` work as for every mapping."""

    __str__ = Exception.__str__  # KeyError's would put the message in quotation marks.


@dataclass(frozen=True)
class Registry(Mapping[str, Scheme]):
    """Schemes by name, in the order in which they were added."""

    schemes: Mapping[str, Scheme]

    def __getitem__(self, name: str) -> Scheme:
        try:
            return self.schemes[name]
        except KeyError:
            raise _UnknownSchemeError(
                f"no scheme {name!r}{did_you_mean(name, self.schemes)} (known: {', '.join(self.schemes)})"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.schemes)

    def __len__(self) -> int:
        return len(self.schemes)

    def add(self, name: str, notation: str) -> Registry:
        """Return a registry with one more scheme.

        Raises
        ------
        SchemeError: the notation is wrong, or the name is already that of another scheme.
        """
        scheme = parse(name, notation)
        if name in self.schemes and self.schemes[name] != scheme:
            raise SchemeError(f"scheme {name!r} is registered already as {self.schemes[name].notation!r}")
        return Registry(MappingProxyType({**self.schemes, name: scheme}))

    def define(self, text: str) -> tuple[Registry, Scheme]:
        """Read one scheme as users choose it: a name, or ``NAME=NOTATION`` for one that is not registered.

        Returns the scheme, and a registry that holds it.

        Raises
        ------
        SchemeError: the name is not registered (the message gives the nearest one), or see :meth:`add`.
        """
        name, equals, notation = (part.strip() for part in text.partition("="))
        registry = self.add(name, notation) if equals else self
        return registry, registry[name]

    def for_target(self, role: str) -> Registry:
        """Return the schemes with ``role`` in the place of :data:`TARGET`, which the shipped sets train."""

        def swapped(stage: Stage) -> Stage:
            return Stage(tuple(role if each == TARGET else each for each in stage.roles))

        return Registry(
            MappingProxyType(
                {
                    name: Scheme(name, tuple(swapped(stage) for stage in scheme.stages))
                    for name, scheme in self.schemes.items()
                }
            )
        )

    def select(self, chosen: tuple[str, ...]) -> tuple[Scheme, ...]:
        """Return the chosen schemes, each once, or all of them where none is chosen.

        Each is a name or ``NAME=NOTATION``; see :meth:`define`.
        """
        registry, schemes = self, {}
        for text in chosen or tuple(self):
            registry, scheme = registry.define(text)
            schemes[scheme.name] = scheme
        return tuple(schemes.values())


TARGET = "covid"
"""What the shipped sets call the target; a profile may have another (:meth:`Registry.for_target`)."""

SIX = (
    Registry(MappingProxyType({}))
    .add("control", "init > covid")
    .add("findings", "init > findings > covid")
    .add("pneumonia", "init > pneumonia > covid")
    .add("sequential", "init > findings > pneumonia > covid")
    .add("pooled-supplement", "init > findings + pneumonia > covid")
    .add("pooled-all", "init > findings + pneumonia + covid")
)
"""Our reading of the six schemes of Fricks et al. 2021: the abstract gives their number, not their list."""

PATHS = (
    Registry(MappingProxyType({}))
    .add("control", "init > covid")
    .add("pooled-findings", "init > findings + covid")
    .add("pooled-pneumonia", "init > pneumonia + covid")
    .add("findings", "init > findings > covid")
    .add("findings-pooled-findings", "init > findings > findings + covid")
    .add("findings-pooled-pneumonia", "init > findings > pneumonia + covid")
)
"""A second reading: two starts, ``init`` and ``init > findings``, times three second phases, the target alone
or pooled with either supplemental set. What speaks for it: docs/paper.md."""

SETS: Mapping[str, Registry] = MappingProxyType({"six": SIX, "paths": PATHS})
"""The sets of schemes that ship, by the name that a profile or ``--schemes`` gives."""


def scheme_set(name: str) -> Registry:
    """Return a shipped set by its name.

    Raises
    ------
    SchemeError: there is no such set.
    """
    if name not in SETS:
        raise SchemeError(f"no set of schemes {name!r}{did_you_mean(name, SETS)} (known: {', '.join(SETS)})")
    return SETS[name]
