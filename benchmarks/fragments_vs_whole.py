"""Latency of networks put together from op fragments against the same networks exported whole, in ONNX Runtime.

    python benchmarks/fragments_vs_whole.py --nets 10 --size 360x480

Both run interleaved; printed is the median over rounds of their CPU times' ratio. Claimed: within 2%.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch

from hwnas.compiler.network import compile_graph
from hwnas.exporters.engine import ENGINES, Session
from hwnas.exporters.fragments import assemble
from hwnas.exporters.kernels import KernelExporter
from hwnas.exporters.onnx_export import export_network
from hwnas.exporters.untrained import randomise
from hwnas.ir.opgraph import OpGraph
from hwnas.latency.keys import keys_of
from hwnas.latency.measure import time_callable
from hwnas.shapes import parse_size
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", type=int, default=10)
    parser.add_argument("--size", type=parse_size, default=(360, 480))
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(arguments.seed)
    space = SPACES.get("realtime")
    exporter = KernelExporter()
    gaps = []
    for index in range(arguments.nets):
        graph = expand(space.decode(space.sample(rng)).genotype, (3, *arguments.size), arguments.classes)
        whole_ms, together_ms, ratio = _times(graph, exporter, arguments.rounds)
        gaps.append(ratio - 1)
        print(f"net {index}: whole {whole_ms:.3f} ms, from fragments {together_ms:.3f} ms, {gaps[-1]:+.2%}", flush=True)
    print(f"mean {np.mean(gaps):+.2%}, mean absolute {np.mean(np.abs(gaps)):.2%}, worst {max(gaps, key=abs):+.2%}")


def _times(graph: OpGraph, exporter: KernelExporter, rounds: int) -> tuple[float, float, float]:
    """Median CPU time in milliseconds of the network exported whole, from fragments, and the median of their ratio."""
    network = compile_graph(graph, seed=0)
    randomise(network, 0)
    keys = list(keys_of(graph).values())
    fragments = {key.text: model for key, model in zip(keys, exporter.export(keys), strict=True)}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        paths = Path(folder) / "whole.onnx", Path(folder) / "fragments.onnx"
        export_network(network, paths[0])
        paths[1].write_bytes(assemble(graph, fragments).SerializeToString())
        engine = ENGINES.get("onnxruntime")
        sessions = [stack.enter_context(engine.open(path, threads=1)) for path in paths]
        samples = np.array([_round(sessions, swap=bool(number % 2)) for number in range(rounds)])
    whole_ms, together_ms = np.median(samples, axis=0)
    return float(whole_ms), float(together_ms), float(np.median(samples[:, 1] / samples[:, 0]))


def _round(sessions: list[Session], *, swap: bool) -> list[float]:
    """One block of each; which goes first alternates, since the first finds a colder cache."""
    order = list(reversed(sessions)) if swap else sessions
    times = [_block(session) for session in order]
    return times[::-1] if swap else times


def _block(session: Session) -> float:
    image = np.random.default_rng(0).standard_normal(session.input.shape, dtype=np.float32)
    return float(np.median(time_callable(lambda: session.run(image), min_runs=5, max_seconds=0.2).cpu_ms))


if __name__ == "__main__":
    main()
