"""TensorRT and TensorRT for RTX: engines built from ONNX, whose types say the precision. Two engines, unlike files.

``tensorrt-rtx`` builds ahead of time for named GPUs, on a machine without any; its tests build. Opening and running
engines was never executed.
"""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.errors import ArtifactError, MissingPackage
from hwnas.exporters.engine import ENGINES, Availability, Port, Session, check_image
from hwnas.exporters.graph_form import check_form
from hwnas.files import write_bytes
from hwnas.latency.measure import Gpu, MeasureError, tensorrt_engine
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
        yield TensorRtSession(self._module(), path)

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
        self._gpu = Gpu()
        self._cuda = ctypes.CDLL("libcuda.so.1")
        self._runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        self._engine = self._runtime.deserialize_cuda_engine(path.read_bytes())
        if self._engine is None:
            raise ArtifactError(
                f"TensorRT cannot open {path}", "it is another version's or another GPU's: build it here"
            )
        self._context = self._engine.create_execution_context()
        names = [self._engine.get_tensor_name(place) for place in range(self._engine.num_io_tensors)]
        self.input, self.output = (self._port(trt, name) for name in names)
        self._places = {port.name: self._gpu.buffer(np.zeros(port.shape, port.dtype)) for port in self._ports()}
        for name, place in self._places.items():
            self._context.set_tensor_address(name, place)

    def run(self, image_NCHW: np.ndarray) -> np.ndarray:
        check_image(image_NCHW, self.input)
        image, result = np.ascontiguousarray(image_NCHW), np.empty(self.output.shape, self.output.dtype)
        self._copy("cuMemcpyHtoD_v2", self._places[self.input.name], image.ctypes.data, image.nbytes)
        self._context.execute_async_v3(self._gpu.stream.value)
        self._call("cuStreamSynchronize", self._gpu.stream)
        self._copy("cuMemcpyDtoH_v2", result.ctypes.data, self._places[self.output.name], result.nbytes)
        return result

    def _ports(self) -> tuple[Port, Port]:
        return self.input, self.output

    def _port(self, trt: Any, name: str) -> Port:
        dtype = np.dtype(trt.nptype(self._engine.get_tensor_dtype(name))).name
        return Port(name, tuple(self._engine.get_tensor_shape(name)), dtype)

    def _copy(self, name: str, to: int, source: int, size: int) -> None:
        self._call(name, ctypes.c_void_p(to), ctypes.c_void_p(source), ctypes.c_size_t(size))

    def _call(self, name: str, *arguments: Any) -> None:
        if status := getattr(self._cuda, name)(*arguments):
            raise ArtifactError(f"the GPU's driver failed in {name} (CUDA error {status})")


def compute_capability() -> str:
    """``sm86`` of the first NVIDIA GPU; empty where there is none."""
    query = ["nvidia-smi", "-i", "0", "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    return "sm" + said.strip().replace(".", "")


def _in_precision(onnx_path: Path, precision: str) -> bytes:
    if precision != "fp16":
        return onnx_path.read_bytes()
    from onnx import load

    from hwnas.exporters.half import in_half

    made: bytes = in_half(load(onnx_path), ends=False).SerializeToString()
    return made


ENGINES.register("tensorrt", TensorRtEngine("tensorrt", "tensorrt"))
ENGINES.register("tensorrt-rtx", TensorRtEngine("tensorrt-rtx", "tensorrt_rtx"))
