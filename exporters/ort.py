"""ONNX Runtime. The engine's file is the ONNX file itself: optimised graphs are tied to a machine.

``onnx`` is a file for other programs, opened here by ONNX Runtime on the CPU, fp16 by way of conversions.

On a GPU (``onnxruntime-cuda``, ``onnxruntime-tensorrt``) images are copied there and results back in each run. That was
never executed.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import ArtifactError, MissingPackage
from hwnas.exporters.engine import ANY, ENGINES, Availability, Port, Session, check_image
from hwnas.exporters.graph_form import check_form
from hwnas.exporters.onnx_export import OPSET
from hwnas.files import write_bytes, write_with
from hwnas.latency.measure import onnxruntime_options, onnxruntime_session
from hwnas.optional import require

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8", "tensor(int64)": "int64", "tensor(float16)": "float16"}

OPTIMISED = "optimised.onnx"


class OnnxRuntimeEngine:
    """``onnxruntime`` with one of its providers. Precision is in the graph: int8 is a quantized one."""

    def __init__(self, name: str, provider: str, precisions: tuple[str, ...]) -> None:
        self.name = name
        self._provider = provider
        self._precisions = precisions

    def available(self) -> Availability:
        try:
            runtime = require("onnxruntime", extra="cpu" if self._provider == "CPU" else "gpu")
        except MissingPackage as error:
            return Availability(problem=error.message, hint=error.hint)
        providers = tuple(runtime.get_available_providers())
        if f"{self._provider}ExecutionProvider" not in providers:
            return Availability(
                problem=f"the installed onnxruntime has no {self._provider} provider",
                hint='on a machine with an NVIDIA GPU: pip uninstall onnxruntime; pip install "hwnas[gpu]"',
            )
        return Availability(str(runtime.__version__), providers, self._precisions)

    def build(self, onnx_path: Path, *, precision: str, out_dir: Path) -> Path:
        """Copy the ONNX file into ``out_dir``, in fp16 with its weights halved, and prove that it opens.

        ``int8`` takes a quantized graph.
        """
        check_form(onnx_path, precision, self._precisions, self.name)
        target = out_dir / onnx_path.name
        if precision == "fp16":
            write_bytes(target, _half(onnx_path))
        elif target.resolve() != onnx_path.resolve():
            write_with(target, lambda beside: shutil.copyfile(onnx_path, beside))
        open_session(target, 1, self._provider)
        return target

    @contextmanager
    def open(self, path: Path, *, threads: int = 1) -> Iterator[Session]:
        yield OnnxRuntimeSession(open_session(path, threads, self._provider))


class OnnxRuntimeSession:
    """One input, one output."""

    def __init__(self, session: InferenceSession) -> None:
        self._session = session
        self.input = port_of(session.get_inputs()[0])
        self.output = port_of(session.get_outputs()[0])

    def run(self, image_NCHW: np.ndarray) -> np.ndarray:
        check_image(image_NCHW, self.input)
        output: np.ndarray = self._session.run(None, {self.input.name: image_NCHW})[0]
        return output


def open_session(
    path: Path, threads: int, provider: str = "CPU", *, profile_into: Path | None = None
) -> InferenceSession:
    """A session with the options that latency tables are measured with.

    ``profile_into``, a folder, turns profiling on: the profile goes there, and the graph as it was optimised
    (:data:`OPTIMISED`).
    """
    require("onnxruntime", extra="cpu")
    options = onnxruntime_options(threads)
    if profile_into is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile_into / "profile")
        options.optimized_model_filepath = str(profile_into / OPTIMISED)
    if not path.is_file():
        raise ArtifactError(f"there is no engine file {path}", "check the path, or export it again")
    try:
        session: InferenceSession = onnxruntime_session(path, options, provider)
    except Exception as error:  # onnxruntime raises many types, none of them public
        line = _line(error)
        hint = "the file is damaged or needs a newer onnxruntime"
        if "opset" in line:
            hint += f"; `hwnas export` writes opset {OPSET}"
        raise ArtifactError(f"ONNX Runtime cannot open {path}: {line}", hint) from error
    ends = [*session.get_inputs(), *session.get_outputs()]
    if len(ends) != 2 or any(not isinstance(size, int) for end in ends for size in end.shape[1:]):
        raise ArtifactError(
            f"{path} must have one input and one output of static shapes, but for the number of images",
            "export it with `hwnas export`",
        )
    return session


NOISE = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : \w+ : |Load model from .*? failed:|/onnxruntime_src/\S+ .*?\) (?=[A-Z])"
)
"""What ONNX Runtime puts before what went wrong: codes, the path, a place in its source."""


def _line(error: Exception) -> str:
    return NOISE.sub("", (str(error).strip().splitlines() or [type(error).__name__])[0])


def _half(path: Path) -> bytes:
    from onnx import load

    from hwnas.exporters.half import in_half

    made: bytes = in_half(load(path), ends=False).SerializeToString(deterministic=True)
    return made


def port_of(end: object) -> Port:
    """An input or output of a session."""
    name, shape, kind = (getattr(end, attribute) for attribute in ("name", "shape", "type"))
    batch, *sizes = shape
    return Port(str(name), (batch if isinstance(batch, int) else ANY, *sizes), _DTYPES.get(str(kind), str(kind)))


ENGINES.register("onnx", OnnxRuntimeEngine("onnx", "CPU", ("fp32", "fp16", "int8")))
ENGINES.register("onnxruntime", OnnxRuntimeEngine("onnxruntime", "CPU", ("fp32", "int8")))
ENGINES.register("onnxruntime-cuda", OnnxRuntimeEngine("onnxruntime-cuda", "CUDA", ("fp32",)))
ENGINES.register("onnxruntime-tensorrt", OnnxRuntimeEngine("onnxruntime-tensorrt", "Tensorrt", ("fp32",)))
