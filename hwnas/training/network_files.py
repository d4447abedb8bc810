"""A trained network on disk: ``genotype.json`` and ``weights.safetensors`` in one folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.compiler.network import compile_graph
from hwnas.compiler.weights import apply_weights, load_weights, save_weights
from hwnas.data.base import ClassInfo
from hwnas.errors import RunError
from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.genotype import Genotype
from hwnas.ir.serialize import save_genotype
from hwnas.shapes import parse_size
from hwnas.skeletons.base import expand

if TYPE_CHECKING:
    from hwnas.compiler.network import Network

GENOTYPE, WEIGHTS = "genotype.json", "weights.safetensors"


def save_network(folder: Path, genotype: Genotype, network: Network, classes: Sequence[ClassInfo]) -> None:
    """Write both files. The weights' metadata say what they belong to, at which size, and for which classes."""
    _, height, width = network.graph.shape(network.graph.input)
    save_genotype(genotype, folder / GENOTYPE)
    metadata = {
        "genotype": fingerprint(genotype),
        "size": f"{height}x{width}",
        "classes": str(len(classes)),
        "class_info": json.dumps([asdict(item) for item in classes]),
    }
    save_weights(network, folder / WEIGHTS, metadata)


def load_network(genotype: Genotype, weights: Path) -> tuple[Network, tuple[ClassInfo, ...]]:
    """The network of ``genotype`` with ``weights``, at the size they were trained for, in evaluation mode.

    Raises RunError if the weights are damaged or another genotype's.
    """
    tensors, metadata = load_weights(weights)
    try:
        size_hw, classes = parse_size(metadata["size"]), int(metadata["classes"])
        infos = tuple(
            ClassInfo(item["name"], tuple(item["color"])) for item in json.loads(metadata.get("class_info", "[]"))
        )
    except (KeyError, ValueError, TypeError) as error:
        raise RunError(f"{weights} does not say what it was trained for ({error})", "train it with hwnas") from error
    if metadata.get("genotype") not in (None, fingerprint(genotype)):
        raise RunError(
            f"{weights} holds the weights of another genotype than {genotype.name}",
            "give the genotype.json that was written beside them",
        )
    network = compile_graph(expand(genotype, (3, *size_hw), classes), seed=0)
    apply_weights(network, tensors)
    return network.eval(), infos
