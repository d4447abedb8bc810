"""What the values of a manifest must be, so that whoever reads one need not ask: it may come from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwnas.exporters.artifact import Manifest

TEXTS = ("name", "engine", "engine_version", "precision", "entry", "genotype_fingerprint", "weights_fingerprint")
MAPPINGS = ("input", "output", "device", "quantization", "measured")
RANKS = {"logits": 4, "labels": 3}
"""Kind of an output → how many sizes its shape has."""


def check_values(manifest: Manifest) -> None:
    """A TypeError that names the first value that is none of its kind."""
    for name in TEXTS:
        _check(isinstance(getattr(manifest, name), str), name, getattr(manifest, name))
    for name in MAPPINGS:
        _check(isinstance(getattr(manifest, name), Mapping), name, getattr(manifest, name))
    for file, facts in {**manifest.files, **manifest.runner}.items():
        _check(isinstance(facts.sha256, str) and isinstance(facts.bytes, int), file, facts)
    for each in manifest.classes:
        _check(_are_whole(each.color, 3), f"colour of {each.name}", each.color)
    for name in ("name", "dtype", "layout"):
        _check(isinstance(manifest.input.get(name), str), f"input {name}", manifest.input.get(name))
    for name in ("name", "dtype", "kind"):
        _check(isinstance(manifest.output.get(name), str), f"output {name}", manifest.output.get(name))
    kind, shape = manifest.output["kind"], manifest.output.get("shape")
    _check(kind in RANKS, "output kind", kind)
    _check(_are_whole(shape, RANKS[kind]), "output shape", shape)
    _check(_are_whole(manifest.input.get("shape"), 4), "input shape", manifest.input.get("shape"))
    latency, miou = manifest.measured.get("latency", {}), manifest.measured.get("miou")
    _check(isinstance(latency, Mapping), "measured latency", latency)
    _check(miou is None or isinstance(miou, int | float), "measured miou", miou)


def _check(fits: bool, name: str, value: object) -> None:
    if not fits:
        raise TypeError(f"its {name} is {value!r}")


def _are_whole(values: Any, count: int) -> bool:
    """Whether these are so many whole numbers."""
    return isinstance(values, list | tuple) and len(values) == count and all(isinstance(each, int) for each in values)
