"""The schemes by name: the six of the study, and a user's own.

A registry is a value. :data:`SIX` is never changed; :meth:`Registry.add` gives a new one, so that a scheme
registered for one study is not seen by the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cxrbench.errors import SchemeError
from cxrbench.schemes.notation import Scheme, parse
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

    def select(self, chosen: tuple[str, ...]) -> tuple[Scheme, ...]:
        """Return the chosen schemes, each once, or all of them where none is chosen.

        Each is a name or ``NAME=NOTATION``; see :meth:`define`.
        """
        registry, schemes = self, {}
        for text in chosen or tuple(self):
            registry, scheme = registry.define(text)
            schemes[scheme.name] = scheme
        return tuple(schemes.values())


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
