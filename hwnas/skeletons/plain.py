"""Plain: the whole network is one cell called ``network`` whose nodes give all their parameters.

Hand-designed networks are said in it. The cell's input is the image. Parameters, all of them optional:

- ``classifier`` (true): the skeleton adds a 1x1 convolution to the classes. Where it is false the cell's output are the
  logits; its nodes leave out ``channels`` where there is one a class. Logits of an image are resized to its size; those
  of a 1x1 map are a classification.
- ``head``, ``taps``: a segmentation head (:mod:`hwnas.skeletons.heads`) in place of the classifier, and the features
  that it is given, as pairs [stride, node of the cell].
- ``auxiliary`` (false): add the heads that only training looks at, one for each further cell. Its inputs are called
  like nodes of ``network``; its output is an auxiliary one, at its own size. A list of cells' names adds those alone.
"""

from __future__ import annotations

from hwnas.errors import GenotypeError
from hwnas.ir.genotype import Genotype
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.shapes import Params, Shape
from hwnas.skeletons.base import SKELETONS
from hwnas.skeletons.heads import add_head
from hwnas.skeletons.placing import full_size, full_size_logits, place_cell

NETWORK = "network"


def plain(genotype: Genotype, input_shape: Shape, classes: int) -> OpGraph:
    """Expand; raises GenotypeError where the cell ``network`` is missing or another cell's inputs are not its nodes."""
    cell = genotype.cells.get(NETWORK)
    if cell is None or len(cell.inputs) != 1:
        raise GenotypeError(f"genotype {genotype.name}: skeleton plain needs one cell {NETWORK!r} with one input")
    unknown = sorted(set(genotype.params) - {"classifier", "auxiliary", "head", "taps"})
    if unknown:
        raise GenotypeError(
            f"genotype {genotype.name}: skeleton plain has no parameter {unknown[0]!r}",
            "its parameters are: auxiliary, classifier, head, taps",
        )
    builder = GraphBuilder(input_shape)
    given = {"channels": classes, "classes": classes}
    output = place_cell(builder, cell, "", {cell.inputs[0]: builder.input}, **given)
    if "head" in genotype.params:
        output = _with_head(builder, genotype, classes)
    elif _flag(genotype.params, "classifier", default=True):
        output = full_size_logits(builder, output, classes)
    elif builder.shape(output)[1:] not in ((1, 1), input_shape[1:]):
        output = full_size(builder, output)
    if builder.shape(output)[0] != classes:
        raise GenotypeError(
            f"genotype {genotype.name}: its output has {builder.shape(output)[0]} channels, not {classes}"
        )
    return builder.finish(output, _auxiliary_heads(builder, genotype, classes))


def _with_head(builder: GraphBuilder, genotype: Genotype, classes: int) -> str:
    """The output of the head on the nodes that ``taps`` names."""
    head, taps = genotype.params["head"], genotype.params.get("taps", ())
    nodes = {node.name for node in genotype.cells[NETWORK].nodes}
    features: dict[int, str] = {}
    for tap in taps if isinstance(taps, tuple) else ():
        stride, name = tap if isinstance(tap, tuple) and len(tap) == 2 else (None, None)
        if not isinstance(stride, int) or isinstance(stride, bool) or stride < 1 or name not in nodes:
            raise GenotypeError(f"skeleton plain: taps must be pairs [stride, node of {NETWORK}], not {tap!r}")
        features[stride] = str(name)
    if not isinstance(head, str) or not features:
        raise GenotypeError("skeleton plain: head must be a text, and taps at least one pair [stride, node]")
    return add_head(builder, head, features, classes)


def _auxiliary_heads(builder: GraphBuilder, genotype: Genotype, classes: int) -> list[str]:
    """The outputs of the cells that the parameter ``auxiliary`` names; true are all but the network."""
    roles, chosen = sorted(set(genotype.cells) - {NETWORK}), genotype.params.get("auxiliary", False)
    wanted = tuple(roles) if chosen is True else () if chosen is False else chosen
    if not isinstance(wanted, tuple) or not set(wanted) <= set(roles):
        raise GenotypeError(
            f"skeleton plain: auxiliary must be true, false or a list of cells, not {chosen!r}",
            f"the cells are: {', '.join(roles) or 'none'}",
        )
    nodes = {node.name for node in genotype.cells[NETWORK].nodes}
    outputs = []
    for role in map(str, wanted):
        cell = genotype.cells[role]
        missing = [name for name in cell.inputs if name not in nodes]
        if missing:
            raise GenotypeError(
                f"genotype {genotype.name}: cell {role!r} takes {missing[0]!r}, not a node of {NETWORK}"
            )
        taken = {name: name for name in cell.inputs}
        outputs.append(place_cell(builder, cell, role, taken, channels=classes, classes=classes))
    return outputs


def _flag(params: Params, name: str, *, default: bool) -> bool:
    value = params.get(name, default)
    if not isinstance(value, bool):
        raise GenotypeError(f"skeleton plain: {name} must be true or false, not {value!r}")
    return value


SKELETONS.register("plain", plain)
