"""An exported engine on disk: its files and the manifest ``hwnas.json`` beside them, which says what they are.

The manifest is written last and holds the SHA-256 of every file, so an artifact that is half written, truncated or
tampered with is refused. Building one is in ``build``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwnas.data.base import ClassInfo
from hwnas.errors import ArtifactError, HwnasError
from hwnas.exporters.engine import Session, engine_named
from hwnas.exporters.manifest_values import check_values
from hwnas.files import read_json, sha256_of, write_json

MANIFEST = "hwnas.json"
GENOTYPE = "genotype.json"
"""Beside the manifest: what was exported."""
FORMAT = "hwnas-artifact"
SCHEMA_VERSION = 1
BARE = {".onnx": "onnxruntime", ".xml": "openvino"}
"""Engine files that are opened without a manifest, and by which engine."""


@dataclass(frozen=True)
class FileFacts:
    """What a file of an artifact must be."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """Everything about an artifact but its files' contents. Mappings are JSON."""

    name: str
    engine: str
    engine_version: str
    precision: str
    opset: int
    entry: str
    """The file that the engine opens."""
    files: Mapping[str, FileFacts]
    """By path relative to the manifest."""
    genotype_fingerprint: str
    weights_fingerprint: str
    input: Mapping[str, Any]
    """``name``, ``shape`` (N, C, H, W) or (N, H, W, C), as ``layout`` says, N = -1 for any; ``dtype``, ``mean``,
    ``std``, ``resize``, …"""
    output: Mapping[str, Any]
    """``name``, ``shape``, ``dtype``, ``layout``, ``kind`` (``logits`` or ``labels``), ``upsampling``."""
    classes: tuple[ClassInfo, ...] = ()
    device: Mapping[str, Any] = field(default_factory=dict)
    """The machine that it was exported on. ONNX files run on any."""
    trained: bool = True
    quantization: Mapping[str, Any] = field(default_factory=dict)
    """How int8 was made: calibration ``method`` and ``images``, ``float_nodes`` that were left in float."""
    targets: tuple[str, ...] = ()
    """GPUs that the engine's file was built for (``sm86``); empty: it runs on any machine."""
    measured: Mapping[str, Any] = field(default_factory=dict)
    """What was measured of it since: ``latency`` with its ``contract``, ``miou``."""
    runner: Mapping[str, FileFacts] = field(default_factory=dict)
    """The program beside it, as it was written: by path relative to the manifest. Users may change it."""
    created: str = ""
    hwnas_version: str = ""

    @property
    def size_hw(self) -> tuple[int, int]:
        """Of the images that it takes."""
        shape = self.input["shape"]
        height, width = shape[1:3] if self.input.get("layout") == "NHWC" else shape[2:]
        return height, width

    def to_dict(self) -> dict[str, Any]:
        """A JSON document."""
        document = dataclasses.asdict(
            dataclasses.replace(
                self,
                files=_facts_document(self.files),
                runner=_facts_document(self.runner),
                input=dict(self.input),
                output=dict(self.output),
                device=dict(self.device),
                quantization=dict(self.quantization),
                measured=dict(self.measured),
            )
        )
        return {"format": FORMAT, "schema_version": SCHEMA_VERSION, **document}

    @classmethod
    def from_dict(cls, document: Any, path: Path) -> Manifest:
        """The inverse of :meth:`to_dict`; a document that is no manifest is an ArtifactError naming ``path``."""
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise ArtifactError(f"{path} is not a manifest of hwnas", "give the folder that `hwnas export` wrote")
        version = document.get("schema_version")
        if version != SCHEMA_VERSION:
            raise ArtifactError(
                f"{path} has schema version {version!r}, this hwnas reads {SCHEMA_VERSION}", "update hwnas"
            )
        values = {key: value for key, value in document.items() if key not in ("format", "schema_version")}
        try:
            for name in ("files", "runner"):
                values[name] = {str(file): FileFacts(**facts) for file, facts in values.get(name, {}).items()}
            values["classes"] = tuple(ClassInfo(str(c["name"]), tuple(c["color"])) for c in values["classes"])
            values["targets"] = tuple(values.get("targets", ()))
            manifest = cls(**values)
            check_values(manifest)
        except (KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(f"the manifest {path} is damaged ({error})", "export the network again") from error
        if manifest.entry not in manifest.files:
            raise ArtifactError(
                f"the manifest {path} names no file for its entry {manifest.entry!r}", "export it again"
            )
        return manifest


@dataclass(frozen=True)
class Artifact:
    """An engine file that was checked against its manifest, or a bare one (``manifest`` None, no promises)."""

    path: Path
    manifest: Manifest | None = None

    @property
    def engine(self) -> str:
        return self.manifest.engine if self.manifest else BARE.get(self.path.suffix, "onnxruntime")

    @property
    def precision(self) -> str:
        return self.manifest.precision if self.manifest else "unknown"

    def open(self, *, threads: int = 1) -> AbstractContextManager[Session]:
        """A session of its engine; a package that is missing is a MissingPackage, another GPU an ArtifactError."""
        if self.manifest is not None:
            check_device(self.manifest)
        return engine_named(self.engine).open(self.path, threads=threads)


def check_device(manifest: Manifest) -> None:
    """Refuse an engine that was built for other GPUs than the one here."""
    if not manifest.targets:
        return
    from hwnas.exporters import tensorrt_engine

    here = tensorrt_engine.compute_capability()
    if here not in manifest.targets:
        raise ArtifactError(
            f"the engine {manifest.name} was built for {', '.join(manifest.targets)}, and the GPU here is "
            f"{here or 'none'}",
            f"export it for this one: --target {here}" if here else "open it on a machine with such a GPU",
        )


def _facts_document(files: Mapping[str, FileFacts]) -> Any:
    return {name: dataclasses.asdict(facts) for name, facts in sorted(files.items())}


def facts_of(path: Path) -> FileFacts:
    """Hash and size of a file."""
    return FileFacts(sha256_of(path), path.stat().st_size)


def write_manifest(directory: Path, manifest: Manifest) -> Path:
    """Write ``hwnas.json`` into ``directory``, beside and renamed; returns its path."""
    path = directory / MANIFEST
    write_json(path, manifest.to_dict())
    return path


def record_measured(artifact: Artifact, measured: Mapping[str, Any]) -> Artifact:
    """Add what was measured (JSON) to the manifest on disk; a bare ONNX file has none and is returned as it is."""
    if artifact.manifest is None:
        return artifact
    manifest = dataclasses.replace(artifact.manifest, measured={**artifact.manifest.measured, **measured})
    write_manifest(root_of(artifact), manifest)
    return Artifact(artifact.path, manifest)


def open_artifact(path: Path) -> Artifact:
    """The artifact in a folder, or of a file: ``hwnas.json`` itself, or an engine file.

    Every file is hashed; one that is missing, truncated or altered is an ArtifactError that says which and how. An
    ``.onnx`` file, or an ``.xml`` of OpenVINO, that no manifest names is opened as it is.
    """
    if not path.exists():
        raise ArtifactError(f"there is no artifact {path}", "export one with `hwnas export`")
    folder = path if path.is_dir() else path.parent
    manifest_path = folder / MANIFEST
    if manifest_path.is_file():
        manifest = read_manifest(manifest_path)
        if path.is_dir() or path.name == MANIFEST or path.name in manifest.files:
            _check_files(folder, manifest)
            return Artifact(folder / manifest.entry, manifest)
    if path.is_file() and path.suffix in BARE:
        return Artifact(path)
    if path.is_dir():
        raise ArtifactError(f"the folder {path} has no {MANIFEST}", "it is no artifact, or was written only in part")
    raise ArtifactError(f"{path} is neither an artifact nor an engine file", f"give a folder that holds {MANIFEST}")


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file, whose artifact is not looked at; one that is missing or damaged is an ArtifactError."""
    try:
        document = read_json(path, "manifest")
    except HwnasError as error:
        raise ArtifactError(error.message, "export the network again") from error
    return Manifest.from_dict(document, path)


def _check_files(folder: Path, manifest: Manifest) -> None:
    for name, facts in manifest.files.items():
        path = folder / name
        if not is_inside(name):
            raise ArtifactError(f"the manifest in {folder} names {name!r}, outside of its folder", "do not trust it")
        if not path.is_file():
            raise ArtifactError(
                f"{path} is missing", "the artifact was copied or written only in part: export it again"
            )
        size = path.stat().st_size
        if size != facts.bytes:
            raise ArtifactError(
                f"{path} has {size} bytes instead of {facts.bytes}", "it is truncated or was replaced: export it again"
            )
        if sha256_of(path) != facts.sha256:
            raise ArtifactError(
                f"{path} is not the file that was exported: its SHA-256 differs from the manifest's",
                "it was altered or damaged: export it again",
            )


def is_inside(name: str) -> bool:
    """Whether a file that a manifest names lies in its folder, or in one below."""
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def root_of(artifact: Artifact) -> Path:
    """The folder of an artifact's manifest; the entry may lie in a folder below it."""
    assert artifact.manifest is not None
    return artifact.path.parents[len(Path(artifact.manifest.entry).parts) - 1]
