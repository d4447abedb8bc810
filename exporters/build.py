"""From a network to an artifact: ONNX, engine file, manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas import __version__
from hwnas.data.base import ClassInfo
from hwnas.errors import ArtifactError
from hwnas.exporters.artifact import GENOTYPE, MANIFEST, Artifact, FileFacts, Manifest, facts_of, write_manifest
from hwnas.exporters.blame import blamed
from hwnas.exporters.ends import Ends
from hwnas.exporters.engine import Engine, check_precision, engine_named
from hwnas.exporters.onnx_export import OPSET, network_as_onnx, onnx_bytes
from hwnas.exporters.tensorrt_engine import TensorRtEngine, compute_capability
from hwnas.files import write_bytes
from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.serialize import save_genotype
from hwnas.latency.measure import device_fingerprint

if TYPE_CHECKING:
    from onnx import ModelProto

    from hwnas.compiler.network import Network
    from hwnas.ir.genotype import Genotype


def export_artifact(
    network: Network,
    genotype: Genotype,
    directory: Path,
    *,
    engine: str = "onnxruntime",
    precision: str = "fp32",
    argmax: bool = False,
    preprocess: bool = False,
    batch: int | None = 1,
    model: ModelProto | None = None,
    quantization: Mapping[str, Any] | None = None,
    targets: Sequence[str] = (),
    classes: Sequence[ClassInfo] = (),
    trained: bool = True,
) -> Artifact:
    """Export ``network`` (compiled from ``genotype``) for ``engine`` into ``directory``, with its manifest.

    ``argmax``, ``preprocess`` and ``batch`` are the graph's :class:`~hwnas.exporters.ends.Ends`. ``model`` is the
    network for one normalised image to logits, if it was exported before or quantized, which ``int8`` needs;
    ``quantization`` says how. ``targets`` are the GPUs that a device bound engine is for, else the one here.
    ``classes`` must be as many as the network's. The old manifest is removed first, so that a directory left half
    written is never taken for an artifact.
    """
    graph, ends = network.graph, Ends(argmax, preprocess, batch)
    if classes and len(classes) != graph.shape(graph.output)[0]:
        raise ArtifactError(f"the network has {graph.shape(graph.output)[0]} classes, not {len(classes)}")
    check_precision(engine, precision)
    backend = engine_named(engine)
    bound_to = _targets(backend, targets)
    fingerprints = {"genotype": fingerprint(genotype), "weights": weights_fingerprint(network)}
    onnx_path = directory / "model.onnx"
    finished = _labelled(ends.put_on(model if model is not None else network_as_onnx(network)), fingerprints)
    (directory / MANIFEST).unlink(missing_ok=True)
    write_bytes(onnx_path, finished)
    save_genotype(genotype, directory / GENOTYPE)
    named = {"targets": targets} if isinstance(backend, TensorRtEngine) else {}
    try:
        entry = backend.build(onnx_path, precision=precision, out_dir=directory, **named)
    except ArtifactError as error:
        raise blamed(error, onnx_path, graph) from error
    manifest = Manifest(
        name=genotype.name,
        engine=engine,
        engine_version=backend.available().version,
        precision=precision,
        opset=OPSET,
        entry=entry.relative_to(directory).as_posix(),
        files=_facts_of({onnx_path, *_files_of(entry, directory), directory / GENOTYPE}, directory),
        genotype_fingerprint=fingerprints["genotype"],
        weights_fingerprint=fingerprints["weights"],
        input=ends.describe_input(graph.shape(graph.input)),
        output=ends.describe_output(graph.shape(graph.output)),
        quantization=quantization or {},
        targets=bound_to,
        classes=tuple(classes),
        device=device_fingerprint(),
        trained=trained,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        hwnas_version=__version__,
    )
    write_manifest(directory, manifest)
    return Artifact(entry, manifest)


def _targets(backend: Engine, targets: Sequence[str]) -> tuple[str, ...]:
    """The GPUs that an engine's file is bound to, checked: the one here where none is named, none for most engines."""
    if isinstance(backend, TensorRtEngine):
        backend.check_targets(targets)
        return tuple(targets) or (compute_capability(),)
    if targets:
        raise ArtifactError(f"files of {backend.name} are not bound to a GPU", "leave --target out")
    return ()


def _labelled(model: ModelProto, fingerprints: Mapping[str, str]) -> bytes:
    """The model's file; its metadata say of which genotype and weights it is."""
    for key, value in fingerprints.items():
        model.metadata_props.add(key=f"hwnas.{key}", value=value)
    return onnx_bytes(model)


def _facts_of(paths: Iterable[Path], directory: Path) -> dict[str, FileFacts]:
    return {path.relative_to(directory).as_posix(): facts_of(path) for path in paths}


def _files_of(entry: Path, directory: Path) -> list[Path]:
    """The engine's files: an entry that lies in a folder of its own is not alone there."""
    return [entry] if entry.parent == directory else [path for path in entry.parent.iterdir() if path.is_file()]


def weights_fingerprint(network: Network) -> str:
    """Hex SHA-256 of a network's tensors and their names, whatever file they came from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
