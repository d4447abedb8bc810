"""The doctor's checks of what computes and draws: torch, ONNX Runtime, graphviz. Each is proven by use."""

from __future__ import annotations

import shutil
import tempfile
from importlib import metadata
from pathlib import Path

from hwnas.cli.checks import Check
from hwnas.errors import HwnasError

WHEELS = ("onnxruntime", "onnxruntime-gpu")
INSTALL_ORT = 'pip install "hwnas[cpu]" (or "hwnas[gpu]" on a machine with an NVIDIA GPU)'


def check_torch() -> list[Check]:
    """torch's version and threads."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return [Check("torch", "problem", f"does not import: {error}", 'pip install "torch>=2.8,<2.14"')]
    devices = f", CUDA {torch.version.cuda}" if torch.cuda.is_available() else ", CPU only"
    return [Check("torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads{devices}")]


def check_onnxruntime() -> list[Check]:
    """ONNX Runtime's version and providers, and that it computes: a small graph is run and its result compared."""
    try:
        import onnxruntime
    except (ImportError, OSError) as error:
        return [Check("onnxruntime", "problem", f"does not import: {error}", INSTALL_ORT)]
    if not hasattr(onnxruntime, "InferenceSession"):  # what is left of the folder after one of two wheels is removed
        return [Check("onnxruntime", "problem", "is installed in part", INSTALL_ORT)]
    providers = [name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()]
    value = f"{onnxruntime.__version__}, providers {', '.join(providers)}"
    try:
        _run_small_graph()
    except Exception as error:  # whatever an engine may throw: that is what is being asked
        first = str(error).strip().splitlines()[:1] or [type(error).__name__]
        return [Check("onnxruntime", "problem", f"{value}; running a small graph failed: {first[0]}", INSTALL_ORT)]
    return [Check("onnxruntime", "ok", f"{value}; ran a small graph")]


def _run_small_graph() -> None:
    """Run relu(x + x) on the CPU and compare with numpy; raises if anything is off."""
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper

    x_info = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4, 4])
    y_info = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 4, 4])
    nodes = [helper.make_node("Add", ["x", "x"], ["sum"]), helper.make_node("Relu", ["sum"], ["y"])]
    graph = helper.make_graph(nodes, "small", [x_info], [y_info])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.linspace(-1, 1, 48, dtype=np.float32).reshape(1, 3, 4, 4)
    if not np.allclose(session.run(None, {"x": x})[0], np.maximum(2 * x, 0)):
        raise RuntimeError("wrong result")


def check_both_onnxruntimes() -> list[Check]:
    """onnxruntime and onnxruntime-gpu own the same folder: with both, whichever came last overwrote the other."""
    found = [name for name in WHEELS if is_installed(name)]
    if len(found) < 2:
        return []
    wanted = '"onnxruntime-gpu[cuda,cudnn]"' if shutil.which("nvidia-smi") else "onnxruntime"
    mend = f"pip uninstall -y {' '.join(WHEELS)}\npip install {wanted}"
    return [Check("onnxruntime twice", "problem", "onnxruntime and onnxruntime-gpu are both installed", mend)]


def check_engines() -> list[Check]:
    """Every engine that is registered, those of other packages included: usable here, or why not."""
    from hwnas.exporters.engine import ENGINES

    found = {name: ENGINES.get(name).available() for name in ENGINES.names()}
    usable = [f"{name} {here.version}".strip() for name, here in found.items() if here]
    checks = [
        Check("engines", "ok" if usable else "problem", ", ".join(usable) or "none", "" if usable else INSTALL_ORT)
    ]
    return checks + [Check(name, "optional", here.problem, here.hint) for name, here in found.items() if not here]


def check_precisions() -> list[Check]:
    """In which precisions each engine can be timed here, and on what; a small graph was run in each."""
    from hwnas.exporters.engine import ENGINES
    from hwnas.exporters.engine_models import adapter_for
    from hwnas.exporters.proof import Proof, timed_engines

    checks = []
    for name, found in timed_engines().items():
        if not isinstance(found, Proof):
            if name not in ENGINES:  # of the others it is said that they are missing
                checks.append(Check(name, "optional", found.message, found.hint))
        elif found.precisions:
            device = adapter_for(name, "fp32").fingerprint()["device"]
            checks.append(Check(f"{name} runs", "ok", f"{', '.join(found.precisions)} on {device}"))
        elif name not in ENGINES or ENGINES.get(name).available():
            problem = next(iter(found.problems.values()), "no small graph ran")
            checks.append(Check(f"{name} runs", "note", f"nothing: {problem}"))
    return checks


def is_installed(distribution: str) -> bool:
    """Whether a distribution of this name is installed."""
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def check_graphviz() -> list[Check]:
    """That pictures can be drawn, by ``dot`` or by graphviz-pure: a small one is."""
    from hwnas.report.dot import render

    try:
        with tempfile.TemporaryDirectory() as folder:
            render("digraph { a -> b }", Path(folder) / "small.svg")
    except HwnasError as error:
        return [Check("graphviz", "problem", error.message, error.hint)]
    return [Check("graphviz", "ok", f"{'dot' if shutil.which('dot') else 'graphviz-pure'}; drew a small graph")]
