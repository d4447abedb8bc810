"""How an int8 kernel should begin and end: with floats, as it is quantized alone, or with bytes, as inside a network?

    python benchmarks/int8_ends.py --engine onnxruntime --nets 10 --size 180x240

Random networks of a space are timed whole in int8, and compared with the plain sums of their kernels in both forms, and
in fp32 beside it. Times are the least CPU time of one thread. Prints a line for each network, then the mean and the
spread of sum over whole, for which the spread matters more: a mean that is off alike for all is calibrated away.
"""

from __future__ import annotations

import argparse

import numpy as np

from hwnas.exporters.fragments import assemble
from hwnas.exporters.kernels import KernelExporter
from hwnas.exporters.quantized import quantized_kernel, quantized_to_time
from hwnas.latency.keys import keys_of
from hwnas.latency.measure import ENGINES, Setting, time_callable
from hwnas.shapes import parse_size
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES

CLASSES = 11


def least_ms(engine: str, precision: str, model: bytes, seconds: float) -> float:
    """Least CPU time of a run; NaN where the engine cannot build the model."""
    try:
        run = ENGINES[engine].open(model, Setting(engine, precision)).run
    except Exception as error:  # an engine's exceptions have no common class
        print(f"cannot be built: {str(error).splitlines()[0]}")
        return float("nan")
    return float(time_callable(run, warmup_s=seconds / 2, max_seconds=seconds).cpu_ms.min())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", default="onnxruntime", choices=["onnxruntime", "openvino"])
    parser.add_argument("--space", default="realtime")
    parser.add_argument("--size", default="180x240")
    parser.add_argument("--nets", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    space, rng = SPACES.get(arguments.space), np.random.default_rng(arguments.seed)
    shape = (3, *parse_size(arguments.size))
    graphs = [expand(space.decode(space.sample(rng)).genotype, shape, CLASSES) for _ in range(arguments.nets)]
    keys = list({key for graph in graphs for key in keys_of(graph).values()})
    models = dict(zip((key.text for key in keys), KernelExporter().export(keys), strict=True))
    forms = {"float ends": ("int8", quantized_to_time), "byte ends": ("int8", quantized_kernel)}
    kernels_ms = {
        name: {
            text: least_ms(arguments.engine, precision, form(model).SerializeToString(), 0.03)
            for text, model in models.items()
        }
        for name, (precision, form) in {**forms, "fp32": ("fp32", lambda model: model)}.items()
    }
    ratios: dict[str, list[float]] = {name: [] for name in kernels_ms}
    for number, graph in enumerate(graphs):
        net = assemble(graph, models)
        whole_ms = {
            "int8": least_ms(arguments.engine, "int8", quantized_to_time(net).SerializeToString(), 0.3),
            "fp32": least_ms(arguments.engine, "fp32", net.SerializeToString(), 0.3),
        }
        line = f"net {number}: int8 {whole_ms['int8']:.2f} ms, fp32 {whole_ms['fp32']:.2f} ms; sum of kernels"
        for name, times in kernels_ms.items():
            sum_ms = sum(times[key.text] for key in keys_of(graph).values())
            ratios[name].append(sum_ms / whole_ms["fp32" if name == "fp32" else "int8"])
            line += f", {name} {sum_ms:.2f}"
        print(line, flush=True)
    for name, values in ratios.items():
        print(f"{name:11} sum / whole: mean {np.nanmean(values):.3f}, spread {np.nanstd(values):.3f}")


if __name__ == "__main__":
    main()
