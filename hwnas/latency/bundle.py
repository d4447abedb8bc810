"""The bundle: everything to be timed, in one zip file that a bare device can read with ``measure.py``.

It holds ``manifest.json``, ``reference.onnx`` (timed in between, see ``reference.py``), ``kernels/*.onnx`` (one a
latency key) and ``nets/*.onnx`` (whole nets that calibrate and test the model). How a key becomes ONNX is passed in:
this layer knows no exporter.
"""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwnas.errors import HwnasError, TableError
from hwnas.files import write_with
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import OpGraph
from hwnas.ir.serialize import genotype_from_dict, genotype_to_dict
from hwnas.latency.keys import LatencyKey, keys_of, parse_key
from hwnas.latency.measure import BUNDLE_SCHEMA, REFERENCE, MeasureError, read_manifest
from hwnas.latency.plan import Plan
from hwnas.latency.reference import reference_model
from hwnas.progress import Progress
from hwnas.skeletons.base import expand

ExportOps = Callable[[Sequence[LatencyKey]], Iterable[bytes]]
"""Keys → one ONNX model each, in order; many at once, since exporting is slow to start."""
Assemble = Callable[[OpGraph, Mapping[str, bytes]], bytes]
"""An op graph and the exported fragment of each of its keys (by text) → one ONNX model of the whole net."""


def _as_it_is(model: bytes) -> bytes:
    return model


@dataclass(frozen=True)
class ModelForm:
    """What becomes of the exported models before they go into a bundle: they are quantized, or take more images."""

    graphs: str = "fp32"
    """The form's name, as in ``measure.Adapter.graphs``."""
    batch: int = 1
    kernel: Callable[[bytes], bytes] = _as_it_is
    net: Callable[[bytes], bytes] = _as_it_is


FLOAT = ModelForm()
CHUNK = 1000
"""Kernels exported in one call, between looks at the clock."""


@dataclass(frozen=True)
class Net:
    """A whole net of a bundle; ``role`` is ``calibration`` or ``holdout``."""

    name: str
    role: str
    genotype: Genotype


@dataclass(frozen=True)
class Bundle:
    """What a bundle says it holds. ``planned`` counts the kernels and nets that were wanted."""

    path: Path
    space: str
    size_hw: tuple[int, int]
    classes: int
    keys: Mapping[str, LatencyKey]
    nets: tuple[Net, ...]
    planned: Mapping[str, int]
    fingerprint: str
    graphs: str = "fp32"
    """The form of its models, as in :class:`ModelForm`."""
    batch: int = 1

    def graph(self, net: Net) -> OpGraph:
        """The op graph of one of its nets."""
        return expand(net.genotype, (3, *self.size_hw), self.classes)


def write_bundle(
    plan: Plan,
    path: Path,
    export_ops: ExportOps,
    assemble: Assemble,
    progress: Progress,
    *,
    seconds: float = float("inf"),
    form: ModelForm = FLOAT,
) -> Bundle:
    """Export the plan's kernels in their order and its nets; what ``seconds`` do not suffice for is left out.

    A time limit cuts kernels and nets alike: two thirds of it go to kernels. Keys that a net needs are always exported.
    """
    write_with(path, lambda beside: _fill(plan, beside, _Exports(export_ops, assemble, form), progress, seconds))
    return read_bundle(path)


def read_bundle(path: Path) -> Bundle:
    """Open a bundle; a damaged or truncated one is a TableError."""
    try:
        manifest = read_manifest(path)
        return Bundle(
            path=path,
            space=str(manifest["space"]),
            size_hw=(int(manifest["size_hw"][0]), int(manifest["size_hw"][1])),
            classes=int(manifest["classes"]),
            keys={str(item["name"]): parse_key(item["key"]) for item in manifest["kernels"]},
            nets=tuple(
                Net(str(item["name"]), str(item["role"]), genotype_from_dict(item["genotype"]))
                for item in manifest["nets"]
            ),
            planned=dict(manifest["planned"]),
            fingerprint=str(manifest["fingerprint"]),
            graphs=str(manifest.get("graphs", "fp32")),
            batch=int(manifest.get("batch", 1)),
        )
    except MeasureError as error:
        raise TableError(str(error), "make it again with `hwnas profile`") from error
    except (KeyError, TypeError, IndexError, ValueError) as error:
        said = error.message if isinstance(error, HwnasError) else error
        raise TableError(f"the manifest of the bundle {path} is damaged: {said}", "make the bundle again") from error


@dataclass(frozen=True)
class _Exports:
    export_ops: ExportOps
    assemble: Assemble
    form: ModelForm


def _fill(plan: Plan, path: Path, exports: _Exports, progress: Progress, seconds: float) -> None:
    start = time.monotonic()
    nets = [(role, net, expand(net, (3, *plan.size_hw), plan.classes)) for role, net in plan.nets]
    needed = frozenset(key.text for _, _, graph in nets for key in keys_of(graph).values())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        writer = _Writer(archive, exports, needed)
        with progress.task("exporting kernels", len(plan.keys)) as task:
            for first in range(0, len(plan.keys), CHUNK):
                if first and time.monotonic() - start > seconds * 2 / 3:
                    break
                writer.add(plan.keys[first : first + CHUNK])
                task.update(len(writer.kernels))
        with progress.task("assembling nets", len(nets)) as task:
            for done, (role, genotype, graph) in enumerate(nets, start=1):
                if done > 2 and time.monotonic() - start > seconds:
                    break
                writer.add_net(role, genotype, graph)
                task.update(done)
        archive.writestr(REFERENCE, reference_model())
        manifest = writer.manifest(plan)
        archive.writestr("manifest.json", json.dumps(manifest, indent=1))


class _Writer:
    """Collects what goes into the archive. Of the kernels' models only those that nets ``needed`` stay in memory."""

    def __init__(self, archive: zipfile.ZipFile, exports: _Exports, needed: frozenset[str]) -> None:
        self.archive = archive
        self.exports = exports
        self.needed = needed
        self.there: set[str] = set()
        self.fragments: dict[str, bytes] = {}
        self.kernels: list[dict[str, Any]] = []
        self.nets: list[dict[str, Any]] = []

    def add(self, keys: Sequence[LatencyKey]) -> None:
        """Export the keys that are not there yet."""
        missing = [key for key in dict.fromkeys(keys) if key.text not in self.there]
        for key, model in zip(missing, self.exports.export_ops(missing) if missing else (), strict=True):
            name = f"k{len(self.kernels):05d}"
            self.there.add(key.text)
            if key.text in self.needed:
                self.fragments[key.text] = model
            self.kernels.append({"name": name, "key": key.text, "file": f"kernels/{name}.onnx"})
            self.archive.writestr(f"kernels/{name}.onnx", self.exports.form.kernel(model))

    def add_net(self, role: str, genotype: Genotype, graph: OpGraph) -> None:
        keys = list(keys_of(graph).values())
        self.add(keys)
        name = f"n{len(self.nets):04d}"
        file = f"nets/{name}.onnx"
        net = self.exports.assemble(graph, {key.text: self.fragments[key.text] for key in keys})
        self.archive.writestr(file, self.exports.form.net(net))
        self.nets.append({"name": name, "role": role, "file": file, "genotype": genotype_to_dict(genotype)})

    def manifest(self, plan: Plan) -> dict[str, Any]:
        if not self.kernels:
            raise TableError("the plan has no kernels, so there is nothing to measure")
        document: dict[str, Any] = {
            "schema_version": BUNDLE_SCHEMA,
            "space": plan.space,
            "size_hw": list(plan.size_hw),
            "classes": plan.classes,
            "graphs": self.exports.form.graphs,
            "batch": self.exports.form.batch,
            "planned": {"kernels": len(plan.keys), "nets": len(plan.nets)},
            "kernels": self.kernels,
            "nets": self.nets,
        }
        digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
        return {**document, "fingerprint": digest[:32]}
