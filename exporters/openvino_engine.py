"""OpenVINO on the CPU. The engine's files are the IR, ``NAME.xml`` and ``NAME.bin`` in ``NAME_openvino_model/``.

Some quantized graphs make OpenVINO crash while it compiles them, so whatever this process is to compile is compiled in
a process of its own first: a crash becomes one clear error.
"""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.errors import ArtifactError, MissingPackage
from hwnas.exporters.engine import ANY, ENGINES, PRECISIONS, Availability, Port, Session, check_image
from hwnas.exporters.graph_form import check_form
from hwnas.latency.measure import MeasureError, openvino_compiled, openvino_core
from hwnas.optional import require

if TYPE_CHECKING:
    from openvino import CompiledModel, Core, Model

PRECISION_NOTE = ["hwnas", "precision"]
"""Where in the IR it stands which precision it is to be run in: fp32 and bf16 have the same graph."""

BARE_PRECISION = "fp32"
_DTYPES = {"f32": "float32", "u8": "uint8", "i64": "int64", "f16": "float16"}


class OpenVinoEngine:
    """``openvino`` on the CPU: fp32, int8 graphs, and bf16 or fp16 where the processor computes in them."""

    name = "openvino"

    def available(self) -> Availability:
        try:
            openvino = require("openvino", extra="openvino")
        except MissingPackage as error:
            return Availability(problem=error.message, hint=error.hint)
        return Availability(str(openvino.__version__).partition("-")[0], ("CPU",), _precisions())

    def build(self, onnx_path: Path, *, precision: str, out_dir: Path) -> Path:
        """Convert an ONNX file to IR in ``out_dir/NAME_openvino_model`` and prove that it compiles.

        ``int8`` takes a quantized graph, the others a float one. Returns the path of the ``.xml``.
        """
        check_form(onnx_path, precision, self.available().precisions, self.name)
        target = out_dir / f"{onnx_path.stem}_openvino_model" / f"{onnx_path.stem}.xml"
        target.parent.mkdir(parents=True, exist_ok=True)
        _in_own_process("convert", onnx_path, str(target), precision)
        return target

    @contextmanager
    def open(self, path: Path, *, threads: int = 1) -> Iterator[Session]:
        """Open IR (``.xml``) in the precision it was built for, or an ONNX file in fp32."""
        if not path.is_file():
            raise ArtifactError(f"there is no engine file {path}", "check the path, or export it again")
        _prove(path, path.stat().st_mtime_ns)
        try:
            compiled = compile_file(path, threads)
        except (RuntimeError, MeasureError) as error:
            raise ArtifactError(f"OpenVINO cannot open {path}: {_line(error)}", "the file is damaged") from error
        _check_ends(compiled, path)
        yield OpenVinoSession(compiled)


class OpenVinoSession:
    """One input, one output."""

    def __init__(self, compiled: CompiledModel) -> None:
        self._request = compiled.create_infer_request()
        self.input = port_of(compiled.input(0))
        self.output = port_of(compiled.output(0))

    def run(self, image_NCHW: np.ndarray) -> np.ndarray:
        check_image(image_NCHW, self.input)
        self._request.infer([image_NCHW], share_inputs=True)
        output: np.ndarray = self._request.get_output_tensor(0).data
        return output


@functools.cache
def _precisions() -> tuple[str, ...]:
    """What OpenVINO says that it computes in on this processor."""
    capabilities = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return tuple(precision for precision in PRECISIONS if precision.upper() in capabilities)


@functools.lru_cache(maxsize=64)
def _prove(path: Path, modified_ns: int) -> None:
    """Compile a file in a process of its own, once for each state of the file."""
    _in_own_process("compile", path)


def _in_own_process(task: str, path: Path, *arguments: str) -> None:
    """Run ``_convert`` or ``compile_file`` elsewhere; its failure or crash is an ArtifactError naming ``path``."""
    code = f"import sys; from hwnas.exporters import openvino_engine as here; here.child_{task}(*sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", code, str(path), *arguments], capture_output=True, text=True)
    if done.returncode < 0:
        raise ArtifactError(
            f"OpenVINO crashed (signal {-done.returncode}) while compiling {path}",
            "some quantized graphs make it crash: quantize fewer kinds of op, or use another engine",
        )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason was given"]
        hint = "the file is damaged or needs a newer openvino"
        if "does not compute in" in said[-1]:  # built on another processor
            hint = f"export it for this processor, in one of: {', '.join(_precisions())}"
        raise ArtifactError(f"OpenVINO cannot open {path}: {said[-1]}", hint)


def child_convert(onnx_path: str, target: str, precision: str) -> None:
    """Write the IR of an ONNX file, and compile it. Runs in a process of its own."""
    with _one_line_errors():
        import openvino

        # not openvino.convert_model, which reads ONNX alike but reports its use over the network
        model = _core().read_model(onnx_path)
        model.set_rt_info(precision, PRECISION_NOTE)
        openvino.save_model(model, target, compress_to_fp16=False)
        compile_file(Path(target), 1)


def child_compile(path: str) -> None:
    """Compile a file. Runs in a process of its own."""
    with _one_line_errors():
        compile_file(Path(path), 1)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MeasureError) as error:
        sys.exit(_line(error))


TELLING = ("No conversion rule found", "ONNX node '")
"""What is in the line of an error of OpenVINO's ONNX reader that says of which node it is."""


def _line(error: Exception) -> str:
    """OpenVINO's errors begin with lines of source code places; what went wrong is in a telling line, or the last."""
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()]
    told = [line for sign in TELLING for line in lines if sign in line]
    return (told or lines[-1:] or [type(error).__name__])[0]


def _core() -> Core:
    require("openvino", extra="openvino")
    core: Core = openvino_core()
    return core


def compile_file(path: Path, threads: int, *, profiling: bool = False) -> CompiledModel:
    """IR in the precision that it was built for, or an ONNX file in fp32; ``profiling`` counts each kernel's time."""
    model = _core().read_model(path)
    return openvino_compiled(model, _precision_of(model), threads, profiling=profiling)


def _precision_of(model: Model) -> str:
    if not model.has_rt_info(PRECISION_NOTE):
        return BARE_PRECISION
    return str(model.get_rt_info(PRECISION_NOTE).astype(str))


def _check_ends(compiled: CompiledModel, path: Path) -> None:
    ends = [*compiled.inputs, *compiled.outputs]
    if len(ends) != 2 or any(size.is_dynamic for end in ends for size in list(end.partial_shape)[1:]):
        raise ArtifactError(
            f"{path} must have one input and one output of static shapes, but for the number of images",
            "export it with `hwnas export`",
        )


def port_of(end: Any) -> Port:
    """An input or output of a compiled model."""
    kind = end.get_element_type().get_type_name()
    sizes = tuple(ANY if size.is_dynamic else size.get_length() for size in end.partial_shape)
    return Port(str(end.get_any_name()), sizes, _DTYPES.get(kind, str(kind)))


ENGINES.register("openvino", OpenVinoEngine())
