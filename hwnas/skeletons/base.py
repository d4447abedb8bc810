"""How cells are put together into a network: the registry of skeletons and ``expand``."""

from __future__ import annotations

from typing import Literal, Protocol

from hwnas.errors import GenotypeError
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import OpGraph
from hwnas.registry import Registry
from hwnas.shapes import Shape


class Skeleton(Protocol):
    """Builds the op graph of a genotype; raises GenotypeError for cells or parameters that do not fit."""

    def __call__(self, genotype: Genotype, input_shape: Shape, classes: int) -> OpGraph: ...


SKELETONS: Registry[Skeleton] = Registry("skeleton", "hwnas.skeletons")


def expand(genotype: Genotype, input_shape: Shape, classes: int) -> OpGraph:
    """The op graph of ``genotype`` for images of ``input_shape`` (C, H, W) and ``classes`` classes.

    Its output are logits: of shape (classes, H, W), upsampled to full size, or, from skeletons of classifiers, of shape
    (classes, 1, 1).
    """
    if classes < 2:
        raise GenotypeError(f"{classes} classes cannot be told apart", "there must be at least 2")
    return SKELETONS.get(genotype.skeleton)(genotype, input_shape, classes)


def task_of(graph: OpGraph) -> Literal["segmentation", "classification"]:
    """Whether ``graph`` gives logits for every pixel, or for the image as a whole."""
    return "classification" if graph.shape(graph.output)[1:] == (1, 1) else "segmentation"
