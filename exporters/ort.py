"""ONNX Runtime on the CPU. The engine's file is the ONNX file itself: optimised graphs are tied to a machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import ArtifactError, MissingPackage
from hwnas.exporters.engine import ENGINES, Availability, Port, Session, check_image
from hwnas.files import write_with
from hwnas.optional import require

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8", "tensor(int64)": "int64", "tensor(float16)": "float16"}


class OnnxRuntimeEngine:
    """``onnxruntime`` with its CPU provider, fp32."""

    name = "onnxruntime"

    def available(self) -> Availability:
        try:
            runtime = require("onnxruntime", extra="cpu")
        except MissingPackage as error:
            return Availability(problem=error.message, hint=error.hint)
        return Availability(str(runtime.__version__), tuple(runtime.get_available_providers()), ("fp32",))

    def build(self, onnx_path: Path, *, precision: str, out_dir: Path) -> Path:
        """Copy the ONNX file into ``out_dir`` and prove that it opens."""
        if precision != "fp32":
            raise ArtifactError(
                f"the engine {self.name} cannot build {precision} from an fp32 graph yet",
                "fp32 is what it builds so far",
            )
        target = out_dir / onnx_path.name
        if target.resolve() != onnx_path.resolve():
            write_with(target, lambda beside: shutil.copyfile(onnx_path, beside))
        _session(target, 1)
        return target

    @contextmanager
    def open(self, path: Path, *, threads: int = 1) -> Iterator[Session]:
        yield OnnxRuntimeSession(_session(path, threads))


class OnnxRuntimeSession:
    """One input, one output."""

    def __init__(self, session: InferenceSession) -> None:
        self._session = session
        self.input = _port(session.get_inputs()[0])
        self.output = _port(session.get_outputs()[0])

    def run(self, image_NCHW: np.ndarray) -> np.ndarray:
        check_image(image_NCHW, self.input)
        output: np.ndarray = self._session.run(None, {self.input.name: image_NCHW})[0]
        return output


def _session(path: Path, threads: int) -> InferenceSession:
    """A session with the options that latency tables are measured with."""
    runtime = require("onnxruntime", extra="cpu")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.enable_cpu_mem_arena = True
    # waiting threads would otherwise spin, and take the time of whatever else runs on the core
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not path.is_file():
        raise ArtifactError(f"there is no engine file {path}", "check the path, or export it again")
    try:
        session: InferenceSession = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many types, none of them public
        line = str(error).strip().splitlines()[0]
        raise ArtifactError(
            f"ONNX Runtime cannot open {path}: {line}", "the file is damaged or needs a newer onnxruntime"
        ) from error
    ends = [*session.get_inputs(), *session.get_outputs()]
    if len(ends) != 2 or any(not isinstance(size, int) for end in ends for size in end.shape):
        raise ArtifactError(
            f"{path} must have one input and one output of static shapes", "export it with `hwnas export`"
        )
    return session


def _port(end: object) -> Port:
    name, shape, kind = (getattr(end, attribute) for attribute in ("name", "shape", "type"))
    return Port(str(name), tuple(shape), _DTYPES.get(str(kind), str(kind)))


ENGINES.register("onnxruntime", OnnxRuntimeEngine())
