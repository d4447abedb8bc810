"""TensorRT and TensorRT for RTX: engines built from ONNX, whose types say the precision. Two engines, unlike files.

``tensorrt-rtx`` builds ahead of time for named GPUs, on a machine without any; its tests build. Opening and running
engines was never executed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.errors import ArtifactError, MissingPackage
from hwnas.exporters.engine import ENGINES, Availability, Port, Session, check_image
from hwnas.exporters.graph_form import check_form
from hwnas.files import write_bytes
from hwnas.latency.measure import MeasureError, TensorRtRun, nvidia_smi, tensorrt_engine
from hwnas.optional import require

SUFFIX = ".engine"


class TensorRtEngine:
    """``tensorrt`` (on the GPU that it is to run on) or ``tensorrt-rtx`` (anywhere)."""

    def __init__(self, name: str, package: str) -> None:
        self.name = name
        self._package = package

    def available(self) -> Availability:
        try:
            trt = self._module()
        except MissingPackage as error:
            return Availability(problem=error.message, hint=error.hint)
        return Availability(str(trt.__version__), ("CUDA",), ("fp32", "fp16", "int8"))

    def targets(self) -> tuple[str, ...]:
        """GPUs that can be built for without one: ``sm86``, …; none for ``tensorrt``."""
        capabilities = getattr(self._module(), "ComputeCapability", None)
        found = [name for name in dir(capabilities) if name.startswith("SM") and name[2:].isdigit()]
        return tuple(name.lower() for name in sorted(found, key=lambda name: int(name[2:])))

    def build(self, onnx_path: Path, *, precision: str, out_dir: Path, targets: Sequence[str] = ()) -> Path:
        """``NAME.engine`` in ``out_dir`` for ``targets`` (``sm86``), or for the GPU that is here.

        ``int8`` takes a quantized graph without zero points, the others a float one.
        """
        check_form(onnx_path, precision, self.available().precisions, self.name)
        self.check_targets(targets)
        target = out_dir / f"{onnx_path.stem}{SUFFIX}"
        write_bytes(target, self._serialized(onnx_path, precision, targets))
        return target

    def check_targets(self, targets: Sequence[str]) -> None:
        """Refuse GPUs that cannot be built for, with those that can; and none where no GPU is here."""
        known = self.targets()
        if unknown := [name for name in targets if name not in known]:
            raise ArtifactError(
                f"{self.name} cannot build for {unknown[0]!r} here",
                f"it can for: {', '.join(known)}"
                if known
                else "it builds for the GPU that is here: leave --target out",
            )
        if not targets and not compute_capability():
            raise ArtifactError(
                f"{self.name} builds for a GPU, and there is none here",
                f"name those it is for: --target {','.join(known)}" if known else "build it on the GPU it is for",
            )

    @contextmanager
    def open(self, path: Path, *, threads: int = 1) -> Iterator[Session]:
        if not path.is_file():
            raise ArtifactError(f"there is no engine file {path}", "check the path, or export it again")
        if not compute_capability():
            raise ArtifactError(f"{path} runs on an NVIDIA GPU, and there is none here", "open it where there is one")
        try:
            yield TensorRtSession(self._module(), path)
        except MeasureError as error:
            raise ArtifactError(f"{path}: {error}", "build it again, on the GPU that it is to run on") from error

    def _module(self) -> Any:
        return require(self._package, extra=self.name)

    def _serialized(self, onnx_path: Path, precision: str, targets: Sequence[str]) -> bytes:
        try:
            return bytes(tensorrt_engine(self._module(), _in_precision(onnx_path, precision), targets))
        except MeasureError as error:
            raise ArtifactError(
                f"{self.name}, of {onnx_path}: {error}", "try another precision, or another op in its place"
            ) from error


class TensorRtSession:
    """An engine on the first GPU. Images are copied there and results back in each run. Never executed."""

    def __init__(self, trt: Any, path: Path) -> None:
        self._run = TensorRtRun(trt, path.read_bytes())
        self.input, self.output = (Port(name, shape, dtype.name) for name, shape, dtype in self._run.ends)

    def run(self, image_NCHW: np.ndarray) -> np.ndarray:
        check_image(image_NCHW, self.input)
        result = np.empty(self.output.shape, self.output.dtype)
        self._run.gpu.write(self._run.places[self.input.name], np.ascontiguousarray(image_NCHW))
        self._run()
        self._run.gpu.read(result, self._run.places[self.output.name])
        return result


def compute_capability() -> str:
    """``sm86`` of the first NVIDIA GPU; empty where there is none."""
    said = nvidia_smi("compute_cap").get("compute_cap", "")
    return f"sm{said.replace('.', '')}" if said else ""


def _in_precision(onnx_path: Path, precision: str) -> bytes:
    if precision != "fp16":
        return onnx_path.read_bytes()
    from onnx import load

    from hwnas.exporters.half import in_half

    made: bytes = in_half(load(onnx_path), ends=False).SerializeToString()
    return made


ENGINES.register("tensorrt", TensorRtEngine("tensorrt", "tensorrt"))
ENGINES.register("tensorrt-rtx", TensorRtEngine("tensorrt-rtx", "tensorrt_rtx"))
