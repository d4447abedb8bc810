"""Times ONNX kernels and nets on the device. One file: needs Python, numpy and an engine, nothing of hwnas.

    python measure.py bundle.zip -o measured.jsonl --engine onnxruntime --threads 1

Every finished block of runs is one JSON line, appended and synced, so that a killed measurement goes on where it was.
The blocks of all kernels are interleaved in passes, each pass with a fresh session. A reference kernel is timed before
and after each: a shared machine has quick and slow moments, and a block in a slow one is put off or done again. Beside
wall time goes the process's
CPU time, which at one thread does not count what other processes took; work on a GPU is timed by its own events.

What drives a GPU here (``Gpu``, the CUDA and TensorRT providers, ``_open_tensorrt``) was written against the
libraries' documented interfaces and has never been executed.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import json
import os
import platform
import resource
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

BUNDLE_SCHEMA = 1
QUANTILES = (0.0, 0.1, 0.25, 0.5)
"""Of a block's samples; the trimmed mean (without the slowest fifth) goes after them."""
BLOCK_S = {"kernel": 0.03, "net": 0.25}
LEAST_BLOCK_S = {"kernel": 0.006, "net": 0.05}
NET_WEIGHT = 8.0
"""A net takes about as long to time as this many kernels."""
REFERENCE_EVERY = 8
MIN_SAMPLES = 7
CALM = 1.06
"""A block is calm where the reference kernel beside it took at most this times its quick time."""
QUICK_QUANTILE = 0.1
"""Of what the reference kernel took in all: its quick time. The least of many is luck."""
PATIENCE_S = {"kernel": 0.5, "net": 2.0}
"""How long at most a quick moment is waited for, and blocks in slow ones are done again."""
PATIENCE_SHARE = 0.4
"""Of all the time, at most so much goes into waiting and doing again."""
HURRY_S = 0.07
"""With less time for a block there is none to look at the machine: everything is to be timed once at least."""
FRESH_S = 0.02
"""A reference timing this recent still says how the machine is."""
REFERENCE = "reference.onnx"
"""The kernel, in every bundle, that is timed in between."""


class MeasureError(ValueError):
    """A bundle or journal that is damaged or does not belong; the message is one sentence."""


# Timing whatever can be called


@dataclass(frozen=True)
class Samples:
    """Times of one block; each sample is the mean over ``inner`` runs, in milliseconds per run."""

    wall_ms: np.ndarray[Any, np.dtype[np.float64]]
    cpu_ms: np.ndarray[Any, np.dtype[np.float64]]
    disturbed: np.ndarray[Any, np.dtype[np.bool_]]
    """Whether the process was interrupted (involuntary context switch) during the sample."""
    inner: int
    warmup_runs: int
    device_ms: np.ndarray[Any, np.dtype[np.float64]] | None = None
    """By the accelerator's own events, where the engine works on one."""

    @property
    def runs(self) -> int:
        """How often the callable ran inside the timed region."""
        return self.inner * len(self.wall_ms)


def time_callable(
    run: Callable[[], object],
    *,
    warmup_s: float = 0.02,
    min_runs: int = 10,
    max_seconds: float = 1.0,
    sample_ms: float = 0.2,
    target_error: float = 0.0,
    clock: Gpu | None = None,
) -> Samples:
    """Warm up until stable, then sample until ``max_seconds`` are over, but at least ``min_runs`` samples.

    Runs shorter than ``sample_ms`` are grouped, so that reading the clocks costs little. With a positive
    ``target_error`` sampling stops early, once the interquartile range over √n, relative to the median, is below it.
    With a ``clock``, each run is a sample and is timed by it, too.
    """
    device: list[float] = []
    if clock is not None:
        run, sample_ms = _clocked(run, clock, device), 0.0
    once_ms, warmup_runs = _warm_up(run, warmup_s)
    inner = max(1, int(np.ceil(sample_ms / max(once_ms, 1e-6))))
    wall: list[float] = []
    cpu: list[float] = []
    disturbed: list[bool] = []
    device.clear()
    left_s = max_seconds
    while len(wall) < min_runs or left_s > 0:
        wall_ms, cpu_ms, interrupted = _sample(run, inner)
        left_s -= max(0.0, wall_ms * inner / 1e3)
        wall.append(wall_ms)
        cpu.append(cpu_ms)
        disturbed.append(interrupted)
        if target_error > 0 and len(wall) >= min_runs and len(wall) % 5 == 0 and _error(device or cpu) < target_error:
            break
    own = np.array(device) if clock is not None else None
    return Samples(np.array(wall), np.array(cpu), np.array(disturbed), inner, warmup_runs, own)


def _warm_up(run: Callable[[], object], warmup_s: float) -> tuple[float, int]:
    """Run until ``warmup_s`` are over and three runs in a row are within 20% of the fastest; (median in ms, runs)."""
    times: list[float] = []
    spent, last = 0.0, time.perf_counter()
    while True:
        before = time.perf_counter()
        run()
        now = time.perf_counter()
        times.append(now - before)
        spent, last = spent + max(0.0, now - last), now  # step by step: a clock that is set back makes no long wait
        stable = len(times) >= 3 and max(times[-3:]) <= 1.2 * min(times)
        if (spent >= warmup_s and stable) or (spent >= 5 * warmup_s and len(times) >= 3):
            return float(np.median(times)) * 1e3, len(times)


def _error(values: list[float]) -> float:
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return float((high - low) / np.sqrt(len(values)) / middle) if middle > 0 else np.inf


def _sample(run: Callable[[], object], inner: int) -> tuple[float, float, bool]:
    """Wall and CPU time in ms of one of ``inner`` runs in a row, and whether the process was interrupted."""
    switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
    cpu_start, start = time.process_time_ns(), time.perf_counter_ns()
    for _ in range(inner):
        run()
    stop, cpu_stop = time.perf_counter_ns(), time.process_time_ns()
    interrupted = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw > switches
    return (stop - start) / inner / 1e6, (cpu_stop - cpu_start) / inner / 1e6, interrupted


def _clocked(run: Callable[[], object], clock: Gpu, times_ms: list[float]) -> Callable[[], object]:
    def clocked() -> None:
        clock.start()
        run()
        times_ms.append(clock.stop_ms())

    return clocked


def time_reference(run: Callable[[], object], clock: Gpu | None = None) -> Samples:
    """A short block of the reference kernel: how fast the machine is at this moment."""
    return time_callable(run, warmup_s=0.003, min_runs=MIN_SAMPLES, max_seconds=0.015, clock=clock)


# How quick the machine is


def quick_ms(levels_ms: Sequence[float]) -> float:
    """What the reference kernel takes in quick moments, of all that it took."""
    return float(np.quantile(levels_ms, QUICK_QUANTILE))


class Pace:
    """How quick the machine is from moment to moment, by what the reference kernel takes."""

    def __init__(self, reference: Opened, seconds: float, seen_ms: Sequence[float] = ()) -> None:
        self._reference = reference
        self._left_s = PATIENCE_SHARE * seconds
        self._seen_ms = list(seen_ms)
        self._looked = -1.0

    def look(self) -> float:
        """Milliseconds of the reference kernel now, or a moment ago: the median of a few runs."""
        if self._seen_ms and time.monotonic() - self._looked < FRESH_S:
            return self._seen_ms[-1]
        clock = self._reference.clock
        samples = time_callable(self._reference.run, warmup_s=0.0, min_runs=4, max_seconds=0.0, clock=clock)
        times = samples.cpu_ms if samples.device_ms is None else samples.device_ms
        self._seen_ms.append(float(np.median(times)))
        self._looked = time.monotonic()
        return self._seen_ms[-1]

    def calm(self, *levels_ms: float) -> bool:
        """Whether the machine was quick at all of these levels."""
        return bool(levels_ms) and max(levels_ms) <= CALM * quick_ms(self._seen_ms)

    def timed(self, block: Callable[[], Samples], patience_s: float) -> tuple[Samples, tuple[float, ...]]:
        """The block, begun in a quick moment and done again if that ended; with the levels before and after it.

        Where patience comes to an end, what was measured last counts, and the levels tell. In a hurry there are none.
        """
        if patience_s < HURRY_S:
            return block(), ()
        start = time.monotonic()
        patience_s = min(patience_s, self._left_s)
        first_s = 0.0
        while True:
            before = self.look()
            waited = time.monotonic() - start
            if not self.calm(before) and waited - first_s < patience_s:
                time.sleep(FRESH_S)
                continue
            begun = time.monotonic()
            samples = block()
            first_s = first_s or time.monotonic() - begun
            after = self.look()
            waited = time.monotonic() - start - first_s
            if self.calm(before, after) or waited >= patience_s:
                self._left_s -= max(0.0, waited)
                return samples, (before, after)


# The device and the engines


def device_fingerprint() -> dict[str, Any]:
    """What the machine is: ``device`` (its name), ``cores``, ``pinned`` (cores it is confined to), ``governor``."""
    cores = os.cpu_count() or 1
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(cores))
    pinned = allowed if len(allowed) < cores else []
    return {"device": _cpu_name(), "cores": cores, "pinned": pinned, "governor": _governor()}


def _cpu_name() -> str:
    """The CPU's name; several generations share one, so family and model numbers go with it."""
    fields: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
            if not line.strip():
                break
    except OSError:
        pass
    name = fields.get("model name") or fields.get("Model") or platform.processor() or platform.machine()
    numbers = "/".join(fields[key] for key in ("cpu family", "model", "stepping") if key in fields)
    return f"{name} ({numbers})" if numbers else name


def _governor() -> str:
    try:
        path = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return "unknown"


@dataclass(frozen=True)
class Setting:
    """How an engine is to run a model. ``batch`` is that of the bundle's graphs: their shapes are static."""

    engine: str
    precision: str = "fp32"
    threads: int = 1
    batch: int = 1


@dataclass(frozen=True)
class Opened:
    """A model that is ready: ``run`` runs it once on fixed inputs, on a GPU between two calls of its ``clock``."""

    run: Callable[[], object]
    clock: Gpu | None = None


def fixed_inputs(ends: Sequence[tuple[str, Sequence[int], Any]]) -> dict[str, np.ndarray[Any, Any]]:
    """Numbers between 0 and 1, or bytes, for inputs of given name, shape and numpy type."""
    rng = np.random.default_rng(0)
    return {
        name: (rng.random(shape) if np.issubdtype(dtype, np.floating) else rng.integers(0, 100, shape)).astype(dtype)
        for name, shape, dtype in ends
    }


ORT_TYPES = {"float": np.float32, "float16": np.float16, "uint8": np.uint8, "int8": np.int8}


def onnxruntime_options(threads: int) -> Any:
    """The onnxruntime.SessionOptions that everything here is timed with."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # waiting threads would otherwise spin, and take the time of whatever else runs on the core
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def onnxruntime_session(model: Any, options: Any, provider: str = "CPU", **settings: str) -> Any:
    """An onnxruntime.InferenceSession of a path or bytes by a provider; a MeasureError if it cannot start."""
    import onnxruntime

    wanted = f"{provider}ExecutionProvider"
    if wanted in onnxruntime.get_available_providers():
        session = onnxruntime.InferenceSession(model, options, providers=[(wanted, settings)])
        if wanted in session.get_providers():  # it would fall back to the CPU in silence
            return session
    raise MeasureError(f"this onnxruntime cannot start its {wanted}: it needs onnxruntime-gpu and its libraries")


def _open_onnxruntime(model: bytes, setting: Setting, provider: str = "CPU") -> Opened:
    """On a GPU inputs and outputs stay there."""
    gpu = Gpu() if provider != "CPU" else None
    options = {"user_compute_stream": str(gpu.stream.value)} if gpu else {}
    if provider == "Tensorrt" and setting.precision != "fp32":
        options[f"trt_{setting.precision}_enable"] = "1"
    session = onnxruntime_session(model, onnxruntime_options(setting.threads), provider, **options)
    ends = [(end.name, end.shape, ORT_TYPES[end.type[7:-1]]) for end in session.get_inputs()]  # "tensor(float)"
    feeds = fixed_inputs(ends)
    if gpu is None:
        return Opened(lambda: session.run(None, feeds))
    binding = session.io_binding()
    for name, array in feeds.items():
        binding.bind_ortvalue_input(
            name, importlib.import_module("onnxruntime").OrtValue.ortvalue_from_numpy(array, "cuda")
        )
    for end in session.get_outputs():
        binding.bind_output(end.name, "cuda")
    return Opened(lambda: session.run_with_iobinding(binding), gpu)


OPENVINO_HINTS = {"fp32": "f32", "int8": "f32", "bf16": "bf16", "fp16": "f16"}
"""What is computed in where a graph holds floats: an int8 graph says by itself what is in int8."""


@cache
def openvino_core() -> Any:
    """The process's one openvino.Core, which is never given up.

    Its CPU plugin gives the thread that makes it a stack for signals of its own. Where two are made and given up in
    that order, the thread is left with a stack that is gone, and the next signal ends the process.
    """
    import openvino

    return openvino.Core()


def openvino_compiled(model: Any, precision: str, threads: int, *, profiling: bool = False) -> Any:
    """An openvino.CompiledModel of an openvino.Model, a path or bytes; a precision that it lacks is a MeasureError.

    OpenVINO takes any precision and falls back in silence, so it is asked what it will compute in.
    """
    import openvino

    hint = OPENVINO_HINTS[precision]
    config = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": hint,
        "ENABLE_CPU_PINNING": False,  # which cores are used is decided for the whole process
        "PERF_COUNT": profiling,
    }
    core = openvino_core()
    if not isinstance(model, openvino.Model):
        model = core.read_model(model)
    compiled = core.compile_model(model, "CPU", config)
    used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if used != hint:
        raise MeasureError(f"OpenVINO does not compute in {precision} on this processor, but in {used}")
    return compiled


def _open_openvino(model: bytes, setting: Setting) -> Opened:
    compiled = openvino_compiled(model, setting.precision, setting.threads)
    ends = [(end.get_any_name(), tuple(end.shape), end.get_element_type().to_dtype()) for end in compiled.inputs]
    feeds = list(fixed_inputs(ends).values())
    request = compiled.create_infer_request()
    return Opened(lambda: request.infer(feeds, share_inputs=True))


CAPTURE_OF_THIS_THREAD = 1
"""``CU_STREAM_CAPTURE_MODE_THREAD_LOCAL``: other threads may do what cannot be recorded meanwhile."""


class Gpu:
    """The first NVIDIA GPU, a stream on it and that stream's clock, through the driver's library."""

    def __init__(self) -> None:
        self._cuda = ctypes.CDLL("libcuda.so.1")
        context, self.stream = ctypes.c_void_p(), ctypes.c_void_p()
        self._begin, self._end = ctypes.c_void_p(), ctypes.c_void_p()
        self._buffers: list[ctypes.c_uint64] = []
        self._call("cuInit", 0)
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)  # the CUDA runtime's, and so the engines'
        self._call("cuCtxSetCurrent", context)
        self._call("cuStreamCreate", ctypes.byref(self.stream), 0)
        for event in (self._begin, self._end):
            self._call("cuEventCreate", ctypes.byref(event), 0)

    def _call(self, name: str, *arguments: Any) -> None:
        if status := getattr(self._cuda, name)(*arguments):
            raise MeasureError(f"the GPU's driver failed in {name} (CUDA error {status})")

    def start(self) -> None:
        """Begin timing what is queued on the stream from now on."""
        self._call("cuEventRecord", self._begin, self.stream)

    def stop_ms(self) -> float:
        """Wait for the stream; milliseconds since ``start``, by the GPU."""
        elapsed = ctypes.c_float()
        self._call("cuEventRecord", self._end, self.stream)
        self._call("cuEventSynchronize", self._end)
        self._call("cuEventElapsedTime", ctypes.byref(elapsed), self._begin, self._end)
        return elapsed.value

    def recorded(self, queue: Callable[[], object]) -> Callable[[], None]:
        """What ``queue`` queues on the stream, recorded as a CUDA graph: a call queues all of it at once.

        ``queue`` must have run before, since what is loaded or allocated at a first run cannot be recorded.
        """
        graph, launchable = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuStreamBeginCapture_v2", self.stream, CAPTURE_OF_THIS_THREAD)
        queue()
        self._call("cuStreamEndCapture", self.stream, ctypes.byref(graph))
        self._call("cuGraphInstantiateWithFlags", ctypes.byref(launchable), graph, ctypes.c_ulonglong(0))
        return lambda: self._call("cuGraphLaunch", launchable, self.stream)

    def buffer(self, size: int) -> int:
        """Address of ``size`` bytes on the GPU; they are there as long as this object."""
        self._buffers.append(address := ctypes.c_uint64())
        self._call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
        return address.value

    def write(self, address: int, array: np.ndarray[Any, Any]) -> None:
        """Copy ``array`` there."""
        host, size = ctypes.c_void_p(array.ctypes.data), ctypes.c_size_t(array.nbytes)
        self._call("cuMemcpyHtoD_v2", ctypes.c_uint64(address), host, size)

    def read(self, array: np.ndarray[Any, Any], address: int) -> None:
        """Fill ``array`` from there, once the stream has done what is queued on it."""
        host, size = ctypes.c_void_p(array.ctypes.data), ctypes.c_size_t(array.nbytes)
        self._call("cuStreamSynchronize", self.stream)
        self._call("cuMemcpyDtoH_v2", host, ctypes.c_uint64(address), size)

    def __del__(self) -> None:
        for address in getattr(self, "_buffers", []):
            self._cuda.cuMemFree_v2(address)


def tensorrt_engine(trt: Any, model: bytes, targets: Sequence[str] = ()) -> Any:
    """A serialized TensorRT engine of an ONNX model, whose types say the precision; ``trt`` is the package.

    For the GPU that is here, or with TensorRT for RTX ahead of time for ``targets`` (``sm86``).
    """
    builder = trt.Builder(logger := trt.Logger(trt.Logger.ERROR))
    typed = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)  # from version 11 on there is no other
    network = builder.create_network(0 if typed is None else 1 << int(typed))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        error = parser.get_error(0)
        node = error.node_name() or error.node()
        raise MeasureError(f"TensorRT cannot read the model: node {node}: {error.desc()}")
    config = builder.create_builder_config()
    if targets:
        config.num_compute_capabilities = len(targets)
        for place, name in enumerate(targets):
            config.set_compute_capability(getattr(trt.ComputeCapability, name.upper()), place)
    if (engine := builder.build_serialized_network(network, config)) is None:
        raise MeasureError("TensorRT cannot build the model")
    return engine


class TensorRtRun:
    """A serialized engine on the first GPU; called, it queues one run on the GPU's stream, recorded as a CUDA graph.

    ``ends`` are its inputs and outputs as (name, shape, numpy type), ``places`` their addresses on the GPU by name.
    """

    def __init__(self, trt: Any, engine: bytes) -> None:
        self.gpu = Gpu()
        self._runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))  # it and the engine must live as long as the context
        self._engine = self._runtime.deserialize_cuda_engine(engine)
        if self._engine is None:
            raise MeasureError("TensorRT cannot open the engine: it is another version's or another GPU's")
        self._context = self._engine.create_execution_context()
        names = [self._engine.get_tensor_name(place) for place in range(self._engine.num_io_tensors)]
        shapes = [tuple(self._engine.get_tensor_shape(name)) for name in names]
        types = [np.dtype(trt.nptype(self._engine.get_tensor_dtype(name))) for name in names]
        self.ends = list(zip(names, shapes, types, strict=True))
        self.places = {name: self.gpu.buffer(int(np.prod(shape)) * dtype.itemsize) for name, shape, dtype in self.ends}
        for name, place in self.places.items():
            self._context.set_tensor_address(name, place)
        self._queue()
        self._launch = self.gpu.recorded(self._queue)

    def __call__(self) -> None:
        self._launch()

    def _queue(self) -> None:
        self._context.execute_async_v3(self.gpu.stream.value)


def _open_tensorrt(model: bytes, package: str) -> Opened:
    trt = importlib.import_module(package)
    run = TensorRtRun(trt, tensorrt_engine(trt, model))
    for name, array in fixed_inputs(run.ends).items():  # into the outputs, too: they are overwritten
        run.gpu.write(run.places[name], array)
    return Opened(run, run.gpu)


def nvidia_smi(*fields: str) -> dict[str, str]:
    """What nvidia-smi says of the first GPU; empty where it cannot be asked."""
    query = ["nvidia-smi", "-i", "0", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(zip(fields, map(str.strip, said.split(",")), strict=False))


def gpu_facts() -> dict[str, str]:
    """The first GPU and its clocks now; empty where it cannot be asked."""
    return nvidia_smi("name", "driver_version", "clocks.max.sm", "clocks.sm", "clocks.mem", "temperature.gpu")


@dataclass(frozen=True)
class Adapter:
    """An engine to be timed. ``graphs``: precision → the form of the graphs that it takes for it."""

    package: str
    graphs: dict[str, str]
    open: Callable[[bytes, Setting], Opened]
    on_gpu: bool = False

    def version(self) -> str:
        """Version of the installed package; an ImportError without it."""
        return str(importlib.import_module(self.package).__version__).partition("-")[0]  # 2026.4.1-22982-e213…

    def fingerprint(self) -> dict[str, Any]:
        """What it runs on, as :func:`device_fingerprint`; a GPU has the limit of its clock in place of a governor."""
        if not self.on_gpu:
            return device_fingerprint()
        gpu = {"name": "unknown GPU", "driver_version": "unknown", "clocks.max.sm": "unknown", **gpu_facts()}
        limit = f"SM clock up to {gpu['clocks.max.sm']} MHz"
        return {**device_fingerprint(), "device": f"{gpu['name']} (driver {gpu['driver_version']})", "governor": limit}


# fp16 graphs hold fp16 weights; symmetric ones have no zero points, which TensorRT does not know
_ORT = {"fp32": "fp32", "int8": "int8"}
_CUDA = {"fp32": "fp32", "fp16": "fp16"}
_TRT = {**_CUDA, "int8": "int8-symmetric"}
ENGINES: dict[str, Adapter] = {
    "onnxruntime": Adapter("onnxruntime", _ORT, _open_onnxruntime),
    "onnxruntime-cuda": Adapter("onnxruntime", _CUDA, partial(_open_onnxruntime, provider="CUDA"), True),
    "onnxruntime-tensorrt": Adapter("onnxruntime", _TRT, partial(_open_onnxruntime, provider="Tensorrt"), True),
    "openvino": Adapter("openvino", {**_ORT, "fp16": "fp32", "bf16": "fp32"}, _open_openvino),
    "tensorrt": Adapter("tensorrt", _TRT, lambda model, _: _open_tensorrt(model, "tensorrt"), True),
    "tensorrt-rtx": Adapter("tensorrt_rtx", _TRT, lambda model, _: _open_tensorrt(model, "tensorrt_rtx"), True),
}


def engine_named(name: str) -> Adapter:
    """The adapter of an engine; an unknown name is a MeasureError that lists those there are."""
    if name not in ENGINES:
        raise MeasureError(f"unknown engine {name!r}: there are {', '.join(ENGINES)}")
    return ENGINES[name]


def setting_of(manifest: dict[str, Any], engine: str, precision: str, threads: int) -> Setting:
    """The setting in which a bundle's graphs are timed; a precision that they are not made for is a MeasureError."""
    form, forms = str(manifest.get("graphs", "fp32")), engine_named(engine).graphs
    precision = precision or form.partition("-")[0]
    if precision not in forms:
        raise MeasureError(f"the engine {engine} is not timed in {precision}, only in {', '.join(forms)}")
    if forms[precision] != form:
        needed = f"{precision} in {engine} needs {forms[precision]} graphs: plan it for that engine and precision"
        raise MeasureError(f"the bundle holds {form} graphs, and {needed}")
    return Setting(engine, precision, threads, int(manifest.get("batch", 1)))


# Bundles and journals


@dataclass(frozen=True)
class Job:
    """One model of the bundle: ``kind`` is ``kernel`` or ``net``; ``file`` is its path inside the archive."""

    name: str
    kind: str
    file: str


def read_manifest(bundle: Path) -> dict[str, Any]:
    """The manifest of a bundle, its paths checked; a damaged or foreign file is a MeasureError."""
    try:
        with zipfile.ZipFile(bundle) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            files = set(archive.namelist())
            schema = int(manifest["schema_version"])
            jobs = _jobs_of(manifest)
    except OSError as error:
        raise MeasureError(f"cannot read the bundle {bundle}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, EOFError) as error:
        raise MeasureError(f"the bundle {bundle} is damaged or truncated ({error}): make it again") from error
    if schema > BUNDLE_SCHEMA:
        raise MeasureError(f"the bundle {bundle} has schema {schema}, newer than {BUNDLE_SCHEMA}: update hwnas")
    for job in jobs:
        if job.file not in files or job.file.startswith("/") or ".." in job.file:
            raise MeasureError(f"the bundle {bundle} is damaged: it lacks {job.file!r}")
    if REFERENCE not in files:
        raise MeasureError(f"the bundle {bundle} is damaged: it lacks its reference kernel")
    return dict(manifest)


def _jobs_of(manifest: dict[str, Any]) -> list[Job]:
    """Kernels in their order of value with the nets spread among them, so that a time limit cuts both alike."""
    kernels = [Job(str(item["name"]), "kernel", str(item["file"])) for item in manifest["kernels"]]
    nets = [Job(str(item["name"]), "net", str(item["file"])) for item in manifest["nets"]]
    placed = [((i + 0.5) / max(1, len(group)), job) for group in (kernels, nets) for i, job in enumerate(group)]
    return [job for _, job in sorted(placed, key=lambda pair: pair[0])]


@dataclass
class Journal:
    """The lines of a measurement; a torn last line (a kill while writing) is dropped, any other damage refused."""

    path: Path
    lines: list[dict[str, Any]]

    @classmethod
    def open(cls, path: Path, header: dict[str, Any]) -> Journal:
        """Go on with the journal at ``path``, which must have the same header, or start it."""
        lines = read_lines(path) if path.exists() else []
        if lines:
            known = {name: lines[0].get(name) for name in header}
            for name, value in header.items():
                if known[name] != value:
                    raise MeasureError(
                        f"{path} was measured with another {name} ({known[name]!r}, now {value!r}): "
                        "choose another output or delete it"
                    )
        journal = cls(path, lines[1:])
        text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in [header, *journal.lines])
        _replace(path, text)
        return journal

    def append(self, line: dict[str, Any]) -> None:
        """Add one line and sync it to the disk."""
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line, allow_nan=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self.lines.append(line)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """All whole lines of a journal, the header first."""
    try:
        texts = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise MeasureError(f"cannot read the measurements {path}: {error}") from error
    lines: list[dict[str, Any]] = []
    for number, text in enumerate(texts, start=1):
        if not text:
            continue
        try:
            line = json.loads(text)
            if not isinstance(line, dict):
                raise ValueError("not an object")
        except ValueError as error:
            if number >= len(texts) - 1:
                break  # the process was killed while it wrote this line
            raise MeasureError(f"the measurements {path} are damaged at line {number}: {error}") from error
        lines.append(line)
    return lines


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


# Measuring a bundle


def measure_bundle(
    bundle: Path,
    out: Path,
    *,
    engine: str = "onnxruntime",
    precision: str = "",
    threads: int = 1,
    seconds: float = 240.0,
    passes: int = 4,
    target_error: float = 0.01,
    crashed: Sequence[str] = (),
    say: Callable[[float, str], object] = lambda share, note: None,
) -> bool:
    """Time every model of the bundle into the journal ``out``; whether all got at least one pass.

    ``engine`` is one of ``ENGINES``; ``precision`` is that of the bundle's graphs if left out.
    Goes on with what ``out`` holds already. Stops after ``seconds``, after ``passes``, or when the passes of every
    model agree within ``target_error``. ``say`` is told the share that is done. Models in ``crashed``, at which an
    earlier process died, are recorded as failed. The model being timed is named in ``out`` + ``.current``.
    """
    manifest = read_manifest(bundle)
    adapter = engine_named(engine)
    setting = setting_of(manifest, engine, precision, threads)
    header = {
        "bundle": manifest["fingerprint"],
        "engine": engine,
        "engine_version": adapter.version(),
        "precision": setting.precision,
        "batch": setting.batch,
        "threads": threads,
        **adapter.fingerprint(),
    }
    journal = Journal.open(out, header)
    for name in crashed:
        journal.append({"name": name, "error": "the engine crashed while building or running it"})
    with zipfile.ZipFile(bundle) as archive:
        work = _Work(archive, _jobs_of(manifest), journal, adapter, setting, seconds, say)
        for number in range(passes):
            if not work.run_pass(number, passes, target_error):
                break
    measured = {line["name"] for line in journal.lines}
    work.current.unlink(missing_ok=True)
    return all(job.name in measured for job in work.jobs)


class _Work:
    """The state of one measuring process."""

    def __init__(
        self,
        archive: zipfile.ZipFile,
        jobs: Sequence[Job],
        journal: Journal,
        adapter: Adapter,
        setting: Setting,
        seconds: float,
        say: Callable[[float, str], object],
    ) -> None:
        self.archive = archive
        self.jobs = jobs
        self.journal = journal
        self.current = journal.path.with_name(journal.path.name + ".current")
        self.adapter = adapter
        self.setting = setting
        self.start = time.monotonic()
        self.seconds = seconds
        self.say = say
        self.reference = self._open_reference()
        self.pace = Pace(
            self.reference, seconds, [level for line in journal.lines for level in line.get("beside_ms", ())]
        )
        self.failed = {line["name"] for line in journal.lines if "error" in line}
        self.blocks: dict[str, dict[int, float]] = {}
        self.slow: dict[str, int] = {}
        for line in journal.lines:
            self._remember(line)

    def _remember(self, line: dict[str, Any]) -> None:
        if "cpu_ms" in line:
            self.blocks.setdefault(line["name"], {})[int(line["pass"])] = float(line[clock_of(line)][3])
            if not self.pace.calm(*line.get("beside_ms", ())):
                self.slow[line["name"]] = self.slow.get(line["name"], 0) + 1

    def _open_reference(self) -> Opened:
        model = self.archive.read(REFERENCE)
        try:
            opened = self.adapter.open(model, Setting(self.setting.engine, threads=self.setting.threads))
            opened.run()
            return opened
        except Exception as error:  # the engine's own exceptions have no common class
            raise MeasureError(f"the engine cannot run the reference kernel: {error}") from error

    @property
    def left_s(self) -> float:
        return self.seconds - (time.monotonic() - self.start)

    def run_pass(self, number: int, passes: int, target_error: float) -> bool:
        """One block of every model that still needs one; False when time is over."""
        todo = [job for job in self.jobs if self._needs(job, number, target_error)]
        weights = [NET_WEIGHT if job.kind == "net" else 1.0 for job in todo]
        for place, job in enumerate(todo):
            if self.left_s <= 0:
                return False
            if place % REFERENCE_EVERY == 0:
                self._time_reference(number)
            share_s = 0.5 * self.left_s * weights[place] / sum(weights[place:])
            block_s = min(BLOCK_S[job.kind], max(LEAST_BLOCK_S[job.kind], share_s))
            self._time_job(job, number, block_s, min(PATIENCE_S[job.kind], share_s - block_s))
            done = max((number + (place + 1) / len(todo)) / passes, 1.0 - self.left_s / self.seconds)
            self.say(min(1.0, done), f"pass {number + 1}, {place + 1} of {len(todo)}")
        if todo:
            self._time_reference(number)
        return True

    def _needs(self, job: Job, number: int, target_error: float) -> bool:
        blocks = self.blocks.get(job.name, {})
        if job.name in self.failed or number in blocks:
            return False
        if len(blocks) - self.slow.get(job.name, 0) < 2:
            return True
        values = np.array(list(blocks.values()))
        return bool(np.ptp(values) / np.median(values) / np.sqrt(len(values)) > target_error)

    def _time_reference(self, number: int) -> None:
        samples = time_reference(self.reference.run, self.reference.clock)
        clocks = {"gpu": gpu_facts()} if self.reference.clock is not None else {}
        self.journal.append({"name": "reference", "pass": number, **_summary(samples), **clocks})

    def _time_job(self, job: Job, number: int, block_s: float, patience_s: float) -> None:
        self.current.write_text(job.name, encoding="utf-8")
        try:
            opened = self.adapter.open(self.archive.read(job.file), self.setting)
            timed = partial(
                time_callable,
                opened.run,
                warmup_s=block_s / 3,
                min_runs=MIN_SAMPLES,
                max_seconds=block_s,
                clock=opened.clock,
            )
            samples, beside_ms = self.pace.timed(timed, patience_s)
            line = {"name": job.name, "pass": number, "beside_ms": [round(level, 6) for level in beside_ms]}
            line |= _summary(samples)
            if job.kind == "net":
                line["samples_ms"] = [round(float(value), 6) for value in samples.wall_ms[_kept(samples)]]
        except zipfile.BadZipFile as error:
            raise MeasureError(f"the bundle is damaged at {job.file}: {error}") from error
        except Exception as error:  # the engine's own exceptions have no common class
            self.failed.add(job.name)
            line = {"name": job.name, "error": f"{type(error).__name__}: {error}"[:500]}
        self.journal.append(line)
        self._remember(line)


def _clocks(samples: Samples) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    clocks = {"cpu_ms": samples.cpu_ms, "wall_ms": samples.wall_ms, "device_ms": samples.device_ms}
    return {name: times for name, times in clocks.items() if times is not None}


def _kept(samples: Samples) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """The undisturbed samples, or all if fewer than a third are; but none at which a clock jumped back or stood still.

    If there are no others, a MeasureError names the clock.
    """
    clocks = _clocks(samples)
    sound: np.ndarray[Any, np.dtype[np.bool_]] = np.logical_and.reduce(
        [np.isfinite(times) & (times > 0) for times in clocks.values()]
    )
    if not sound.any():
        clock, least = min(((name, np.min(times)) for name, times in clocks.items()), key=lambda pair: pair[1])
        raise MeasureError(f"the {clock[:-3]} clock gave a time of {least} ms")
    calm = sound & ~samples.disturbed
    return calm if calm.sum() >= max(3, len(calm) // 3) else sound


def _summary(samples: Samples) -> dict[str, Any]:
    """One block as JSON: quantiles and trimmed mean by clock, over the samples that are kept."""
    kept = _kept(samples)
    document: dict[str, Any] = {
        "at": round(time.time(), 3),
        "runs": samples.runs,
        "warmup_runs": samples.warmup_runs,
        "disturbed": round(float(samples.disturbed.mean()), 4),
    }
    for clock, values in ((name, times[kept]) for name, times in _clocks(samples).items()):
        trimmed = np.sort(values)[: max(1, int(np.ceil(0.8 * len(values))))].mean()
        document[clock] = [float(f"{value:.6g}") for value in (*np.quantile(values, QUANTILES), trimmed)]
    return document


def clock_of(block: dict[str, Any]) -> str:
    """Which of a block's clocks is nearest to what the work itself took."""
    return "device_ms" if "device_ms" in block else "cpu_ms"


# The command line


def _progress_lines() -> Callable[[float, str], object]:
    def say(share: float, note: str) -> None:
        print(json.dumps({"share": round(share, 4), "note": note}), flush=True)

    return say


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time the models of a bundle into a journal of JSON lines.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--engine", default="onnxruntime", help=f"one of: {', '.join(ENGINES)}")
    parser.add_argument("--precision", default="", help="fp32, fp16, bf16 or int8; else that of the bundle's graphs")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=240.0, help="stop after this long")
    parser.add_argument("--passes", type=int, default=4)
    parser.add_argument("--target-error", type=float, default=0.01)
    parser.add_argument("--crashed", nargs="*", default=[], help="models to record as failed")
    parser.add_argument("--pin", type=int, nargs="*", default=[], help="cores to run on")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """The command line; prints progress as JSON lines and returns 2 on a user's mistake."""
    arguments = _arguments(argv)
    try:
        if arguments.pin:
            os.sched_setaffinity(0, arguments.pin)
        complete = measure_bundle(
            arguments.bundle,
            arguments.out,
            engine=arguments.engine,
            precision=arguments.precision,
            threads=arguments.threads,
            seconds=arguments.seconds,
            passes=arguments.passes,
            target_error=arguments.target_error,
            crashed=arguments.crashed,
            say=_progress_lines(),
        )
    except (MeasureError, OSError, ImportError) as error:
        print(f"{error}", file=sys.stderr)
        return 2
    print(json.dumps({"complete": complete}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
