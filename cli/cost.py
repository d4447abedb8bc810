"""``hwnas cost``: parameters, multiply-accumulates and peak memory of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas.cli.options import DEFAULT_CLASSES, DEFAULT_SIZE, ClassesOption, GenotypeArgument, SizeOption, graph_of
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb

if TYPE_CHECKING:
    from rich.console import Console


@verb(example="hwnas cost fast-scnn --size 360x480 --classes 11")
def command(
    shell: Shell,
    genotype: GenotypeArgument,
    size: SizeOption = DEFAULT_SIZE,
    classes: ClassesOption = DEFAULT_CLASSES,
) -> Answer:
    """Count a network's parameters, multiply-accumulates and peak activation memory."""
    from hwnas.compiler.cost import cost_of

    found, graph = graph_of(genotype, size, classes)
    cost = cost_of(graph)
    document = {
        "genotype": found.name,
        "size": size,
        "classes": classes,
        "params": cost.params,
        "macs": cost.macs,
        "peak_activation_bytes": cost.peak_activation_bytes,
        "weight_bytes": cost.weight_bytes,
    }

    def text(console: Console) -> None:
        console.print(f"{found.name} at {size}, {classes} classes", markup=False)
        console.print(f"  parameters              {cost.params:>16,}")
        console.print(f"  multiply-accumulates    {cost.macs:>16,}   ({cost.macs / 1e9:.3f} G)")
        console.print(f"  weights (fp32)          {cost.weight_bytes / 2**20:>12.2f} MiB")
        console.print(f"  peak activations (fp32) {cost.peak_activation_bytes / 2**20:>12.2f} MiB")

    return Answer(document, text)
