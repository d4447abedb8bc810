"""One exported network for all tests of the exporters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwnas.compiler.network import Network
from hwnas.exporters.artifact import Artifact
from hwnas.exporters.build import export_artifact
from hwnas.ir.genotype import Genotype
from tests.exporters.nets import CLASSES, SIZE_HW, graph_of, random_genotype, random_network


@pytest.fixture(scope="session")
def genotype() -> Genotype:
    return random_genotype(3)


@pytest.fixture(scope="session")
def network(genotype: Genotype) -> Network:
    return random_network(graph_of(genotype))


@pytest.fixture(scope="session")
def exported(genotype: Genotype, network: Network, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    """The network's artifacts ``logits`` and ``labels``; tests that change files copy them first."""
    root: Path = tmp_path_factory.mktemp("artifacts")
    return {
        kind: export_artifact(network, genotype, root / kind, argmax=kind == "labels", classes=CLASSES)
        for kind in ("logits", "labels")
    }


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (4, *SIZE_HW, 3), dtype=np.uint8)
