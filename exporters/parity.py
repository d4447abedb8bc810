"""Does an engine compute what PyTorch computes? Compared in order: names, shapes, types, values, labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwnas.exporters.engine import Session
from hwnas.exporters.inputs import outputs_of

if TYPE_CHECKING:
    from hwnas.compiler.network import Network
    from hwnas.exporters.artifact import Artifact, Manifest


@dataclass(frozen=True)
class Tolerance:
    """What is no difference yet."""

    value: float
    """Greatest difference of a logit, relative to the greatest logit."""
    label: float
    """Share of pixels whose label may differ: those where two classes are as good as equal."""


EXACT = Tolerance(1e-3, 1e-3)
"""fp32 sums in another order differ by 1e-6 to 1e-4."""

TOLERANCES = {
    "fp32": EXACT,
    "fp16": Tolerance(2e-2, 2e-2),
    "bf16": Tolerance(1e-1, 1e-1),
    "int8": Tolerance(float("inf"), float("inf")),
}
"""By precision. What int8 costs is judged by mIoU, not here: shapes, types and finite values are."""


@dataclass(frozen=True)
class Parity:
    """``differences`` is empty if the engine agrees. Figures are NaN where an earlier difference voids them."""

    differences: tuple[str, ...]
    max_abs: float = float("nan")
    max_relative: float = float("nan")
    """Greatest absolute difference over the greatest absolute reference value."""
    equal_labels: float = float("nan")
    """Share of pixels with the same label, 0 to 1."""
    images: int = 1

    @property
    def ok(self) -> bool:
        return not self.differences


def compare(
    reference: np.ndarray,
    engine: np.ndarray,
    *,
    tolerance: Tolerance = EXACT,
) -> Parity:
    """Compare reference logits (N, K, H, W) with an engine's logits, or its labels (N, H, W) uint8.

    The first kind of difference found ends the comparison where later ones would mean nothing: shapes before types
    before values; values and labels are both reported.
    """
    labels_only = engine.dtype == np.uint8 or engine.ndim == 3
    expected = (reference.shape[0], *reference.shape[2:]) if labels_only else reference.shape
    if engine.shape != expected:
        return Parity((f"shape: the engine gives {_text(engine.shape)} where PyTorch gives {_text(expected)}",))
    dtype = np.dtype(np.uint8) if labels_only else reference.dtype
    if engine.dtype != dtype:
        return Parity((f"type: the engine gives {engine.dtype}, not {dtype}",))
    differences = []
    max_abs = max_relative = float("nan")
    if not labels_only:
        broken = int(np.count_nonzero(~np.isfinite(engine)))
        if broken:
            return Parity((f"values: {broken} of the engine's logits are not finite",))
        max_abs = float(np.abs(reference - engine).max())
        max_relative = max_abs / max(float(np.abs(reference).max()), 1e-12)
        if max_relative > tolerance.value:
            differences.append(
                f"values: logits differ by up to {max_abs:.3g} ({max_relative:.2g} of the greatest, "
                f"more than {tolerance.value:g})"
            )
    labels = engine if labels_only else engine.argmax(1)
    equal = float((reference.argmax(1) == labels).mean())
    if 1 - equal > tolerance.label:
        differences.append(f"labels: {1 - equal:.2%} of the pixels get another label (more than {tolerance.label:.2%})")
    return Parity(tuple(differences), max_abs, max_relative, equal)


def check_parity(network: Network, artifact: Artifact, images: np.ndarray, *, threads: int = 1) -> Parity:
    """Compare ``network`` with its ``artifact`` on uint8 images (N, H, W, 3) of the network's size.

    As nearly as the artifact's precision allows (:data:`TOLERANCES`).
    """
    from hwnas.exporters.torch_eager import TorchSession

    with artifact.open(threads=threads) as session:
        if artifact.manifest is not None and (differing := contract_differences(artifact.manifest, session)):
            return Parity(differing)
        tolerance = TOLERANCES.get(artifact.precision, EXACT)
        return compare_sessions(TorchSession(network), session, images, tolerance=tolerance)


def contract_differences(manifest: Manifest, session: Session) -> tuple[str, ...]:
    """Where an opened engine is not what its manifest promises: names, else shapes, else types of its two ends."""
    ends = (("input", manifest.input, session.input), ("output", manifest.output, session.output))
    kinds = (("names", "name", str), ("shape", "shape", _text), ("type", "dtype", str))
    for kind, field, text in kinds:
        pairs = [(end, text(getattr(port, field)), text(said[field])) for end, said, port in ends]
        if found := [f"{kind}: the engine's {end} is {has}, not {wants}" for end, has, wants in pairs if has != wants]:
            return tuple(found)
    return ()


def compare_sessions(
    reference: Session, engine: Session, images: np.ndarray, *, tolerance: Tolerance = EXACT
) -> Parity:
    """Run both on every image and merge: the worst figures, and each kind of difference as it first occurs."""
    pairs = zip(outputs_of(reference, images), outputs_of(engine, images), strict=True)
    return merge(compare(wanted, given, tolerance=tolerance) for wanted, given in pairs)


def merge(results: Iterable[Parity]) -> Parity:
    """One result over several images: greatest differences, mean share of equal labels."""
    found = list(results)
    assert found, "no images to compare on"
    kinds: dict[str, str] = {}
    for index, result in enumerate(found):
        for difference in result.differences:
            kinds.setdefault(difference.partition(":")[0], f"{difference} (image {index})")
    return Parity(
        tuple(kinds.values()),
        _worst([result.max_abs for result in found]),
        _worst([result.max_relative for result in found]),
        float(np.mean([result.equal_labels for result in found])),
        len(found),
    )


def _worst(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return max(known) if known else float("nan")


def _text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
