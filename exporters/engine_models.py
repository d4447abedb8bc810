"""In which form an engine wants the models that are timed in it: as exported, quantized, in half precision, in batches.

There is one way from op to ONNX (``kernels``, ``fragments``); here only its results are changed, kernels and whole nets
alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hwnas.errors import HwnasError, MissingPackage
from hwnas.latency.bundle import Assemble, Bundle, ExportOps, ModelForm
from hwnas.latency.measure import ENGINES, Adapter, Setting
from hwnas.latency.profile import PROGRAM

if TYPE_CHECKING:
    from onnx import ModelProto

    from hwnas.progress import Progress

Change = Callable[["ModelProto"], "ModelProto"]


@dataclass(frozen=True)
class EngineModels:
    """What :func:`hwnas.latency.profile.profile` needs to time ops in an engine."""

    export_ops: ExportOps
    assemble: Assemble
    form: ModelForm = field(default_factory=ModelForm)
    program: tuple[str, ...] = PROGRAM


def adapter_for(engine: str, precision: str) -> Adapter:
    """How ``engine`` is timed; an unknown one, or a precision that it is not timed in, is a HwnasError."""
    names = (*ENGINES, *_OWN)
    if engine not in names:
        raise HwnasError(f"there is no engine {engine!r} to time", f"choose one of: {', '.join(names)}")
    adapter = ENGINES.get(engine) or _OWN[engine]()
    if precision not in adapter.graphs:
        raise HwnasError(
            f"the engine {engine} is not timed in {precision}", f"choose one of: {', '.join(adapter.graphs)}"
        )
    return adapter


def setting_for(bundle: Bundle, engine: str, precision: str | None, threads: int) -> Setting:
    """The setting in which a bundle is timed, which its graphs must be made for; else a HwnasError says how to plan."""
    form = bundle.graphs
    wanted = precision or ("fp32" if engine in _OWN else form.partition("-")[0])
    needed = adapter_for(engine, wanted).graphs[wanted]
    if needed != form:
        raise HwnasError(
            f"the bundle {bundle.path} holds {form} graphs, and {wanted} in {engine} needs {needed} graphs",
            f"make it with `hwnas profile plan --engine {engine} --precision {wanted}`",
        )
    return Setting(engine, wanted, threads, bundle.batch)


def program_of(engine: str) -> tuple[str, ...]:
    """Arguments to Python that run what times ``engine``."""
    return ("-m", "hwnas.exporters.torch_measure") if engine in _OWN else PROGRAM


def version_of(engine: str) -> str:
    """Version of an engine that is timed; one that is not installed is a MissingPackage."""
    adapter = adapter_for(engine, "fp32")
    try:
        return adapter.version()
    except (ImportError, AttributeError) as error:
        extra = {"onnxruntime": "gpu" if adapter.on_gpu else "cpu", "tensorrt_rtx": "tensorrt-rtx"}
        name = extra.get(adapter.package, adapter.package)
        raise MissingPackage(f"the engine {engine} is not installed", f'pip install "hwnas[{name}]"') from error


def models_for(
    engine: str, precision: str = "fp32", batch: int = 1, *, seed: int = 0, progress: Progress | None = None
) -> EngineModels:
    """Models for timing in ``engine``; HwnasError if it does not know the precision."""
    from hwnas.exporters.fragments import assemble_bytes
    from hwnas.exporters.kernels import KernelExporter

    graphs = adapter_for(engine, precision).graphs[precision]
    if engine in _OWN:
        return _own_models(batch)
    kernel, net = _changes(graphs)
    form = ModelForm(graphs, batch, _on_bytes(batch, kernel), _on_bytes(batch, net))
    return EngineModels(KernelExporter(seed=seed, progress=progress), assemble_bytes, form)


def _changes(graphs: str) -> tuple[Change | None, Change | None]:
    """What is done to kernels and to whole nets for a form of graphs."""
    from functools import partial

    from hwnas.exporters.half import in_half
    from hwnas.exporters.quantized import quantized_kernel, quantized_to_time

    if graphs == "fp32":
        return None, None
    if graphs == "fp16":
        return partial(in_half, ends=True), partial(in_half, ends=False)
    symmetric = graphs == "int8-symmetric"
    return partial(quantized_kernel, symmetric=symmetric), partial(quantized_to_time, symmetric=symmetric)


def _on_bytes(batch: int, change: Change | None) -> Callable[[bytes], bytes]:
    def changed(data: bytes) -> bytes:
        from onnx import ModelProto

        from hwnas.exporters.batches import batched

        if batch == 1 and change is None:
            return data
        model = batched(ModelProto.FromString(data), batch)
        made: bytes = (change(model) if change is not None else model).SerializeToString()
        return made

    return changed


def _torch_adapter() -> Adapter:
    from hwnas.exporters.torch_measure import ADAPTER

    return ADAPTER


def _own_models(batch: int) -> EngineModels:
    from hwnas.exporters.torch_measure import FORM, assemble_texts, key_texts

    if batch != 1:
        raise HwnasError("torch-eager is timed with single images only", "leave --batch out")
    return EngineModels(key_texts, assemble_texts, FORM, program_of("torch-eager"))


_OWN: dict[str, Callable[[], Adapter]] = {"torch-eager": _torch_adapter}
"""Engines that hwnas itself is needed to time."""
