"""FasterSeg's student on the GTX 1080 Ti table that comes with hwnas, beside the sums that its authors published.

    python benchmarks/fasterseg_sum.py

Their sum is that of stem, cells, arms, refinements, fusion and head; resizing and concatenation between them and the
last upsampling have no entry. It looks zoomed double convolutions up as plain ones (`BasicResidual_downup_2x` asks for
`BasicResidual2x` in their `latency/operations.py`): so it is printed both as they look up and with every op at its own
time. Claimed: the former equals the published 6.41398 ms ([2,1]) and 6.26047 ms ([2,0]) to 1e-5. Exit code 1 if not.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hwnas.latency.keys import LatencyKey
from hwnas.latency.table import LatencyTable, load_table
from hwnas.ops.spec import OPS
from hwnas.shapes import Shape, Value

TABLE = "gtx1080ti-tensorrt5.1-fp32"
STUDENT = Path(__file__).with_name("fasterseg_student.json")
OPS_OF = {
    "conv": "conv_3x3",
    "conv_2x": "double_conv_3x3",
    "conv_downup": "zoomed_conv_3x3",
    "conv_2x_downup": "zoomed_double_conv_3x3",
}
LOOKED_UP_AS = {"conv_2x_downup": "conv_2x"}
TOLERANCE_MS = 1e-5


class Walk:
    """Collects the key of each block while it follows the shapes."""

    def __init__(self, student: Mapping[str, Any], *, as_looked_up: bool) -> None:
        self.student = student
        self.as_looked_up = as_looked_up
        self.keys: list[LatencyKey] = []

    def filters(self, scale: int, width: float) -> int:
        return round(scale * self.student["filters"] * width)

    def add(self, op: str, shape: Shape, **params: Value) -> Shape:
        """Note a block on an input of ``shape``; the shape of its output."""
        spec = OPS.get(op)
        complete = spec.complete(params)
        self.keys.append(LatencyKey(op, complete, (shape,)))
        return spec.infer_shape([shape], complete)

    def stem(self) -> Shape:
        width = self.student["stem_width"]
        shape = self.add("conv_3x3", (3, *self.student["size_hw"]), channels=2 * self.filters(2, width), stride=2)
        shape = self.add("double_conv_3x3", shape, channels=2 * self.filters(4, width), stride=2)
        return self.add("double_conv_3x3", shape, channels=self.filters(8, width), stride=2)

    def layer(self, last: str, index: int, shape: Shape) -> Shape:
        """Layer ``index`` of the branch that ends in the scale ``last``."""
        branch = self.student["branches"][last]
        path = branch["path"]
        final = index == len(path) - 1
        down = 0 if final else path[index + 1] - path[index]
        width = self.student["head_width"] if final else branch["widths"][index]
        name = branch["ops"][index]
        op = OPS_OF[LOOKED_UP_AS.get(name, name) if self.as_looked_up else name]
        zoom: dict[str, Value] = {"interpolation": "nearest"} if op.startswith("zoomed") else {}
        channels = self.filters(2 ** (path[index] + 3) * (down + 1), width)
        return self.add(op, shape, channels=channels, stride=1 + down, **zoom)

    def branch(self, last: str, start: int, shape: Shape) -> list[Shape]:
        """Shapes behind the layers from ``start`` on."""
        shapes = []
        for index in range(start, len(self.student["branches"][last]["path"])):
            shape = self.layer(last, index, shape)
            shapes.append(shape)
        return shapes

    def join(self, last: str, shapes: Sequence[Shape]) -> None:
        """A branch brought back to stride 8: arm (1x1), upsampling, concat with the last map of that size, 3x3."""
        coarse = shapes[-1]
        for scale in (16, 8)[2 - int(last) :]:
            channels = self.filters(scale, self.student["head_width"])
            arm = self.add("conv_1x1", coarse, channels=channels)
            fine = [each for each in shapes if each[1] == 2 * arm[1]][-1]
            coarse = self.add("conv_3x3", (channels + fine[0], *fine[1:]), channels=channels)

    def head(self, branches: int, size_hw: tuple[int, int]) -> None:
        channels = branches * self.filters(8, self.student["head_width"])
        shape = self.add("conv_1x1", (channels, *size_hw), channels=channels)
        self.add("conv_seg_head", shape, channels=channels, classes=self.student["classes"])


def shared_layers(first: Mapping[str, Any], second: Mapping[str, Any]) -> int:
    """How many layers two branches have in common: up to the first that differs, and never the last."""
    count = 0
    while count + 1 < min(len(first["path"]), len(second["path"])) and all(
        (first["path"][count + 1] == second["path"][count + 1], *(first[k][count] == second[k][count] for k in KINDS))
    ):
        count += 1
    return count


KINDS = ("ops", "widths")


def keys_of_student(student: Mapping[str, Any], lasts: tuple[str, str], *, as_looked_up: bool) -> list[LatencyKey]:
    """Every block of the student with two of its branches, in the order of their sum."""
    walk = Walk(student, as_looked_up=as_looked_up)
    stem = walk.stem()
    shared = shared_layers(*(student["branches"][last] for last in lasts))
    common = [stem]
    for index in range(shared):
        common.append(walk.layer(lasts[0], index, common[-1]))
    ends = {last: [*common, *walk.branch(last, shared, common[-1])] for last in lasts}
    for last, shapes in ends.items():
        walk.join(last, shapes)
    walk.head(len(lasts), stem[1:])
    return walk.keys


def sum_ms(table: LatencyTable, keys: Sequence[LatencyKey]) -> float:
    return math.fsum(table.entries[key.text].ms for key in keys)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", default=TABLE)
    table = load_table(parser.parse_args().table)
    student = json.loads(STUDENT.read_text(encoding="utf-8"))
    worst = 0.0
    print("branches   kernels   sum as looked up   published   every op at its own time")
    for text, published_ms in student["published"]["sum_ms"].items():
        first, second = text.split(",")
        looked_up = keys_of_student(student, (first, second), as_looked_up=True)
        own = keys_of_student(student, (first, second), as_looked_up=False)
        found_ms = sum_ms(table, looked_up)
        worst = max(worst, abs(found_ms - published_ms))
        print(
            f"[{text}]      {len(looked_up):7}   {found_ms:13.5f} ms   {published_ms:6.5f} ms   "
            f"{sum_ms(table, own):.5f} ms"
        )
    print(f"the paper measured {student['published']['measured_ms']} ms (163.9 frames per second)")
    print(f"greatest difference {worst:.1e} ms: {'equal' if worst <= TOLERANCE_MS else 'NOT EQUAL'} to {TOLERANCE_MS}")
    return 0 if worst <= TOLERANCE_MS else 1


if __name__ == "__main__":
    sys.exit(main())
