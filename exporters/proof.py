"""Which engines are here and in which precisions they really run: each runs a small graph, in a process of its own.

    python -m hwnas.exporters.proof openvino

prints one JSON line for each precision of an engine, as it is tried.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from dataclasses import dataclass, field

from hwnas.errors import MissingPackage
from hwnas.exporters.engine_models import adapter_for, models_for, version_of
from hwnas.latency.measure import ENGINES, Setting, gpu_facts
from hwnas.latency.reference import reference_model

PATIENCE_S = 120.0


@dataclass(frozen=True)
class Proof:
    """An engine that is installed. ``problems``: precision → why a small graph did not run in it."""

    version: str
    precisions: tuple[str, ...] = ()
    problems: dict[str, str] = field(default_factory=dict)


def timed_engines() -> dict[str, Proof | MissingPackage]:
    """Every engine that can be timed, by name; those that cannot be here say why."""
    found: dict[str, Proof | MissingPackage] = {}
    for name in ENGINES:
        try:
            version = version_of(name)
            if ENGINES[name].on_gpu and not gpu_facts():
                raise MissingPackage(f"the engine {name} needs an NVIDIA GPU, and nvidia-smi finds none")
        except MissingPackage as error:
            found[name] = error
        else:
            found[name] = prove(name, version)
    return found


@functools.cache
def prove(engine: str, version: str) -> Proof:
    """Run a small graph in every precision of ``engine``; one at which it crashes hides those after it."""
    command = [sys.executable, "-m", "hwnas.exporters.proof", engine]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S).stdout
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"").decode() if isinstance(error.stdout, bytes) else error.stdout or ""
    answers = dict(json.loads(line) for line in said.splitlines())
    problems = {
        precision: answers.get(precision, "the engine crashed")
        for precision in adapter_for(engine, "fp32").graphs
        if answers.get(precision, "the engine crashed")
    }
    return Proof(version, tuple(precision for precision, problem in answers.items() if not problem), problems)


def try_precision(engine: str, precision: str) -> str:
    """Run the small graph here; what went wrong in one line, or nothing."""
    try:
        model = models_for(engine, precision).form.kernel(reference_model())
        adapter_for(engine, precision).open(model, Setting(engine, precision)).run()
    except Exception as error:  # an engine's exceptions have no common class
        return (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ""


if __name__ == "__main__":
    for name in adapter_for(sys.argv[1], "fp32").graphs:
        print(json.dumps([name, try_precision(sys.argv[1], name)]), flush=True)
