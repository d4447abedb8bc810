"""DPC's proxy (arXiv 1809.04184): what a decoder learns on the cached features of a frozen backbone, on small crops.

Neither the backbone's forward nor its backward pass is paid for, which is most of a training. Only for spaces in which
some backbone is left as it is by all choices (``dpc``, ``auxcells``, …), and only with a backbone that was trained.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.errors import GenotypeError, HwnasError
from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.opgraph import OpGraph
from hwnas.progress import Progress, Silent
from hwnas.search.backbone import SAMPLES, Backbone, need_trained, untouched
from hwnas.search.evaluators.base import Deadline, outcome_of
from hwnas.search.evaluators.images import Images
from hwnas.search.evaluators.training import TrainingPlan
from hwnas.search.strategy import Outcome, Request
from hwnas.shapes import Shape
from hwnas.skeletons.base import expand
from hwnas.spaces.base import Decisions, SearchSpace

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from hwnas.compiler.network import Network
    from hwnas.compiler.tail import Tail
    from hwnas.search.evaluators.feature_cache import Features
    from hwnas.training.recipe import Recipe

CROP_STEP = 32


class FeatureEvaluator:
    """Trains what lies behind the backbone for ``plan.steps`` steps and scores it on the held-out images as a whole.

    ``crops`` of every training image are kept, of the smallest size (from half the height and width on) in which the
    space's networks can be had: DPC's rates need 352 pixels. They are flipped at random. ``cache`` is the folder of the
    features.
    """

    def __init__(
        self,
        space: SearchSpace,
        images: Images,
        plan: TrainingPlan,
        backbone: Backbone | None,
        *,
        cache: Path,
        crops: int = 2,
        progress: Progress | None = None,
    ) -> None:
        self._space, self._images, self._plan = space, images, plan
        self._backbone = need_trained(backbone, "the evaluator features")
        self._cache, self._crops, self._progress = cache, crops, progress or Silent()
        self._crop_hw = least_crop(space, images.size_hw, images.classes)
        self._fixed = untouched(space, (3, *self._crop_hw), images.classes)
        self._nodes = self._boundaries()
        self._known: Features | None = None

    def evaluate(self, request: Request) -> Outcome:
        return outcome_of(request, lambda: self._evaluate(request))

    def identity(self, request: Request) -> Mapping[str, Any]:
        candidate = self._space.decode(request.decisions)
        return {
            "evaluator": "features",
            "candidate": fingerprint(candidate.genotype),
            "recipe": self._plan.recipe.with_values(candidate.recipe).to_dict(),
            "data": self._images.identity,
            "size_hw": list(self._images.size_hw),
            "crops": [*self._crop_hw, self._crops],
            "images": len(self._images.train),
            "seed": self._plan.seed,
            "steps": self._plan.steps,
            "backbone": self._backbone.source,
        }

    def features(self) -> Features:
        """The backbone's features: from the cache on disk, or computed into it now."""
        from hwnas.search.evaluators.feature_cache import CropPlan, features_of

        if self._known is None:
            self._known = features_of(
                lambda shape: self._graph(self._any(), shape),
                self._nodes,
                self._images,
                CropPlan(self._crop_hw, self._crops, self._plan.seed),
                self._backbone,
                self._cache,
                self._progress,
            )
        return self._known

    def _any(self) -> Decisions:
        return self._space.sample(np.random.default_rng(0))

    def _graph(self, decisions: Decisions, shape: Shape) -> OpGraph:
        return expand(self._space.decode(decisions).genotype, shape, self._images.classes)

    def _boundaries(self) -> tuple[str, ...]:
        """All features of the backbone that any decoder reads, in the backbone's order."""
        from hwnas.compiler.tail import boundary

        rng = np.random.default_rng(0)
        read: dict[str, None] = {}
        for _ in range(SAMPLES):
            graph = self._graph(self._space.sample(rng), (3, *self._crop_hw))
            read.update(dict.fromkeys(boundary(graph, self._fixed)))
        return tuple(name for name in graph.order if name in read)

    def _evaluate(self, request: Request) -> Outcome:
        from hwnas.training.batchnorm import recalibrate
        from hwnas.training.metrics import Meter
        from hwnas.training.sizes import logits_node

        features = self.features()
        cropped = self._graph(request.decisions, (3, *self._crop_hw))
        tail, network = self._tail(OpGraph(cropped.graph, cropped.input, logits_node(cropped)))
        self._fit(tail, features, self._plan.recipe.with_values(self._space.decode(request.decisions).recipe))
        count = len(features.masks)
        spaced = np.linspace(0, count - 1, min(count, 32)).round().astype(int)
        recalibrate(tail, [self._values(features.train, part) for part in np.array_split(spaced, -(-len(spaced) // 8))])  # type: ignore[misc]
        whole, twin = self._tail(self._graph(request.decisions, (3, *self._images.size_hw)))
        ours = network.state_dict()
        twin.load_state_dict({key: ours.get(key, value) for key, value in twin.state_dict().items()})
        return Outcome(request, {"miou": self._score(whole, features, Meter(self._images.classes))})

    def _tail(self, graph: OpGraph) -> tuple[Tail, Network]:
        from hwnas.compiler.network import compile_graph
        from hwnas.compiler.tail import Tail
        from hwnas.ir.passes.remove_dead_branches import remove_dead_branches

        network = compile_graph(remove_dead_branches(graph), seed=self._plan.seed)
        return Tail(network, self._nodes), network

    def _fit(self, tail: Tail, features: Features, recipe: Recipe) -> None:
        from hwnas.training.device import make_fabric
        from hwnas.training.loop import fit
        from hwnas.training.losses import class_weights, make_loss
        from hwnas.training.optimizer import make_optimizer
        from hwnas.training.schedule import Budget, Schedule

        make_fabric(recipe, threads=self._plan.threads)
        masks = self._images.arrays.masks[self._images.train]
        loss_of = make_loss(recipe, class_weights(masks, self._images.classes, recipe.balance))

        def step(batch: tuple[dict[str, Tensor], Tensor]) -> dict[str, float]:
            values, labels = batch
            loss = loss_of(tail(values), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            return {"loss": loss.item()}

        progress: Progress = self._progress
        if math.isfinite(self._plan.time_limit_s):
            progress = Deadline(progress, self._plan.time_limit_s)
        fit(
            step,
            self._batches(features, recipe.batch),
            make_optimizer(tail.train().parameters(), recipe),
            budget=Budget(steps=self._plan.steps),
            schedule=Schedule.of(recipe),
            clip_norm=recipe.clip_norm,
            progress=progress,
            label="train a candidate (features)",
        )

    def _batches(self, features: Features, size: int) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        """Shuffled batches for ever; each crop is mirrored half the time, features and labels alike."""
        import torch

        rng = np.random.default_rng([self._plan.seed, 8])
        while True:
            order = rng.permutation(len(features.masks))
            for start in range(0, max(1, len(order) - size + 1), size):
                part = order[start : start + size]
                flipped = torch.from_numpy(rng.random(len(part)) < 0.5)
                values = {name: _mirrored(value, flipped) for name, value in self._values(features.train, part).items()}
                masks = torch.from_numpy(np.ascontiguousarray(features.masks[part]))
                yield values, _mirrored(masks, flipped)

    @staticmethod
    def _values(arrays: Mapping[str, np.ndarray], part: np.ndarray) -> dict[str, Tensor]:
        import torch

        return {name: torch.from_numpy(np.ascontiguousarray(array[part])).float() for name, array in arrays.items()}

    def _score(self, tail: Tail, features: Features, meter: Any) -> float:
        import torch

        tail.eval()
        with torch.inference_mode():
            for start in range(0, len(self._images.held), 8):
                part = np.arange(start, min(start + 8, len(self._images.held)))
                labels = tail(self._values(features.held, part)).argmax(1)
                meter.update(labels, np.ascontiguousarray(self._images.arrays.masks[self._images.held[part]]))
        return float(meter.score().miou)


def least_crop(
    space: SearchSpace, full_hw: tuple[int, int], classes: int, recipe: Recipe | None = None
) -> tuple[int, int]:
    """The smallest crop, from the recipe's on (or the usual one's), in which the space's networks can be expanded.

    A HwnasError where not even whole images are large enough.
    """
    from hwnas.training.recipe import Recipe
    from hwnas.training.sizes import crop_of

    rng = np.random.default_rng(0)
    drawn = [space.decode(space.sample(rng)).genotype for _ in range(SAMPLES)]

    def problem(shape: Shape) -> GenotypeError | None:
        try:
            for genotype in drawn:
                expand(genotype, shape, classes)
        except GenotypeError as error:
            return error
        return None

    last = problem((3, *full_hw))
    if last is not None:
        raise HwnasError(
            f"images of {full_hw[0]}x{full_hw[1]} are too small for the space {space.name}: {last.message}",
            last.hint or "give a larger --size",
        ) from last
    height, width = crop_of(recipe or Recipe(), full_hw)
    while problem((3, height, width)) is not None:
        height, width = min(height + CROP_STEP, full_hw[0]), min(width + CROP_STEP, full_hw[1])
    return height, width


def _mirrored(value: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    mirrored = value.clone()
    mirrored[chosen] = value[chosen].flip(-1)
    return mirrored
