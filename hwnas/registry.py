"""Named things that plug in: ops, skeletons, spaces, data sets, strategies, engines.

A registry imports every module of its package, and every entry point of its group, on first use; each of those
modules registers what it holds. Registering a name twice, or asking for one that does not exist, is an error.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from hwnas.errors import HwnasError

T = TypeVar("T")


class Registry(Generic[T]):
    """A mapping from name to value, filled by the modules of ``package`` and by entry points of the same name."""

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._items: dict[str, T] = {}
        self._loaded = False

    def register(self, name: str, value: T) -> T:
        """Add ``value`` under ``name`` and return it; a name that is taken is a bug of the caller's."""
        if name in self._items:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._items[name] = value
        return value

    def get(self, name: str) -> T:
        """The value called ``name``; an unknown name is a :class:`HwnasError` that offers the nearest ones."""
        self._load()
        if name in self._items:
            return self._items[name]
        near = difflib.get_close_matches(str(name), self._items, n=3)
        offer = f"did you mean {', '.join(near)}?" if near else f"there are: {', '.join(self.names())}"
        raise HwnasError(f"unknown {self.kind} {name!r}", offer)

    def names(self) -> list[str]:
        """All names, sorted."""
        self._load()
        return sorted(self._items)

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._items

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True  # set first: the modules imported below may ask this registry
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__, self.package + "."):
            importlib.import_module(module.name)
        for point in entry_points(group=self.package):
            point.load()
