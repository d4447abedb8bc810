"""Proxies: trainings made cheaper in four ways, as in EcoNAS (arXiv 2001.01233).

Fewer channels, smaller images, fewer epochs, fewer training images. Which proxy keeps the order of candidates is
measured, not assumed: ``hwnas proxy-study``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hwnas.errors import HwnasError
from hwnas.ir.passes.scale_channels import scale_channels
from hwnas.search.evaluators.base import Measures
from hwnas.search.evaluators.training import Start, TrainingEvaluator, TrainingPlan

if TYPE_CHECKING:
    from hwnas.progress import Progress
    from hwnas.search.evaluators.images import Images
    from hwnas.spaces.base import SearchSpace

LETTERS = {"c": "channels", "r": "resolution", "e": "epochs", "s": "samples"}


@dataclass(frozen=True)
class Proxy:
    """Parts of the whole: of all channels, of the images' height and width, of the epochs, of the training images.

    Epochs are passes over the images that are left, so a proxy takes ``epochs`` × ``samples`` of the steps.
    """

    channels: float = 1.0
    resolution: float = 1.0
    epochs: float = 1.0
    samples: float = 1.0

    def __post_init__(self) -> None:
        for name in LETTERS.values():
            part = getattr(self, name)
            if not 0 < part <= 1:
                raise HwnasError(f"proxy: {name} of {part:g} is no part of the whole", "give more than 0, at most 1")

    def __str__(self) -> str:
        reduced = [f"{letter}{getattr(self, name):g}" for letter, name in LETTERS.items() if getattr(self, name) != 1]
        return ",".join(reduced) or "full"


def parse_proxy(text: str) -> Proxy:
    """``"c0.5,r0.5,e0.25"``: c channels, r resolution, e epochs, s samples; ``"full"``: none is reduced."""
    parts: dict[str, float] = {}
    for part in text.replace(" ", "").split(",") if text.strip() != "full" else []:
        name = LETTERS.get(part[:1])
        try:
            value = float(part[1:])
        except ValueError:
            name = None
            value = 0.0
        if name is None or name in parts:
            raise HwnasError(
                f"proxy {text!r}: {part!r} does not say what is reduced, and to which part",
                "write it like c0.5,r0.5,e0.25,s1: channels, resolution, epochs, samples",
            )
        parts[name] = value
    return Proxy(**parts)


def proxy_evaluator(
    space: SearchSpace,
    images: Images,
    plan: TrainingPlan,
    proxy: Proxy,
    *,
    start: Start | None = None,
    start_name: str = "",
    measures: Measures | None = None,
    progress: Progress | None = None,
) -> TrainingEvaluator:
    """Trains ``proxy``'s cheaper twin of a candidate; ``plan`` is the whole training that it stands for.

    Weights to begin with are of no use to a net of other widths: a proxy with fewer channels begins with new ones.
    """
    settings: dict[str, Any] = {"channels": proxy.channels}
    narrowed = proxy.channels != 1
    return TrainingEvaluator(
        space,
        images.reduced(resolution=proxy.resolution, samples=proxy.samples),
        replace(plan, steps=max(1, round(plan.steps * proxy.epochs * proxy.samples))),
        # a proxy that reduces no channels is a training of fewer steps on other images, and shares its results
        name="training",
        start=None if narrowed else start,
        start_name="" if narrowed else start_name,
        reshape=(lambda graph: scale_channels(graph, proxy.channels)) if narrowed else None,
        settings=settings if narrowed else _NO_SETTINGS,
        measures=measures,
        progress=progress,
    )


_NO_SETTINGS: Mapping[str, Any] = {}
