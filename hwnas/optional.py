"""Optional and heavy packages, imported where they are used."""

from __future__ import annotations

import importlib
from types import ModuleType

from hwnas.errors import MissingPackage


def require(module: str, *, extra: str) -> ModuleType:
    """Import ``module``, or raise :class:`MissingPackage` naming the extra that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackage(
            f"{module} could not be imported ({error})", f'install it with: pip install "hwnas[{extra}]"'
        ) from error
