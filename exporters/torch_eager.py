"""PyTorch as it is: the reference engine that exported ones are compared with.

Its "engine file" is the folder of a run: ``genotype.json`` and ``weights.safetensors``, whose metadata give ``size``
("360x480") and ``classes``. A network in memory is wrapped by :class:`TorchSession`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import ArtifactError
from hwnas.exporters.engine import ENGINES, Availability, Port, Session, check_image
from hwnas.optional import require

if TYPE_CHECKING:
    from hwnas.compiler.network import Network


class TorchEagerEngine:
    """``torch``, fp32, on the CPU."""

    name = "torch-eager"

    def available(self) -> Availability:
        torch = require("torch", extra="cpu")
        return Availability(str(torch.__version__), ("cpu",), ("fp32",))

    def build(self, onnx_path: Path, *, precision: str, out_dir: Path) -> Path:
        """PyTorch runs no ONNX: always an ArtifactError."""
        raise ArtifactError(
            "the engine torch-eager is not built from ONNX",
            "it opens the folder of a run; the engine onnxruntime is built from ONNX",
        )

    @contextmanager
    def open(self, path: Path, *, threads: int = 1) -> Iterator[Session]:
        with open_network(path, threads) as network:
            yield TorchSession(network)


@contextmanager
def open_network(path: Path, threads: int) -> Iterator[Network]:
    """The network of a run's folder in evaluation mode, with torch confined to ``threads`` meanwhile."""
    import torch

    from hwnas.ir.serialize import load_genotype
    from hwnas.training.network_files import GENOTYPE, WEIGHTS, load_network

    network, _ = load_network(load_genotype(path / GENOTYPE), path / WEIGHTS)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield network.eval()
    finally:
        torch.set_num_threads(before)


class TorchSession:
    """A compiled network as a session; it is put into evaluation mode and left there."""

    def __init__(self, network: Network) -> None:
        graph = network.graph
        self._network = network.eval()
        self.input = Port(graph.input, (1, *graph.shape(graph.input)), "float32")
        self.output = Port("logits", (1, *graph.shape(graph.output)), "float32")

    def run(self, image_NCHW: np.ndarray) -> np.ndarray:
        import torch

        check_image(image_NCHW, self.input)
        with torch.inference_mode():
            logits: np.ndarray = self._network(torch.from_numpy(np.ascontiguousarray(image_NCHW))).numpy()
        return logits


ENGINES.register("torch-eager", TorchEagerEngine())
