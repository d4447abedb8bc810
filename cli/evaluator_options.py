"""The options that say how candidates are evaluated; ``search`` and ``proxy-study`` share them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

PANEL = "How candidates are evaluated"
AUTO = "auto"
EVALUATORS = ("slices", "training", "proxy", "features", "ladder")
DEFAULT_PROXY = "r0.5,e0.5"
DEFAULT_STEPS = 400


@dataclass(frozen=True)
class EvaluatorOptions:
    """What was given; a verb that takes a parameter of this type has all of these options."""

    evaluator: str = AUTO
    """``auto``: what the strategy is made for (evaluating.py)."""
    train_steps: int = DEFAULT_STEPS
    proxy: str = DEFAULT_PROXY
    rungs: str = ""
    results: str | None = None
    time_limit: float | None = None
    backbone_weights: str | None = None
    keymap: str | None = None
    prefilter: str | None = None
    prefilter_study: str | None = None
    keep: float = 0.5


def evaluator_options(
    evaluator: Annotated[
        str,
        typer.Option(
            "--evaluator",
            metavar="NAME",
            help="slices (of a supernet), training, proxy, features (of a frozen backbone), ladder; auto: by strategy.",
            rich_help_panel=PANEL,
        ),
    ] = AUTO,
    train_steps: Annotated[
        int, typer.Option("--train-steps", min=1, help="Steps of a whole training.", rich_help_panel=PANEL)
    ] = DEFAULT_STEPS,
    proxy: Annotated[
        str,
        typer.Option(
            "--proxy",
            metavar="PARTS",
            help="What proxy reduces: c0.5,r0.5,e0.25,s1 (channels, resolution, epochs, samples).",
            rich_help_panel=PANEL,
        ),
    ] = DEFAULT_PROXY,
    rungs: Annotated[
        str,
        typer.Option(
            "--rungs",
            metavar="NAME@TOP,…",
            help="The ladder: which evaluator answers up to which fidelity, like proxy@0.1,training@1.",
            rich_help_panel=PANEL,
        ),
    ] = "",
    results: Annotated[
        str | None,
        typer.Option(
            "--results",
            metavar="FILE",
            help="Keep evaluations in this file, which runs may share; else in the run.",
            rich_help_panel=PANEL,
        ),
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option("--time-limit", metavar="SECONDS", help="At most so long for one.", rich_help_panel=PANEL),
    ] = None,
    backbone_weights: Annotated[
        str | None,
        typer.Option(
            "--backbone-weights",
            metavar="FILE",
            help="Pretrained weights (.safetensors) for the backbone of dpc, auxcells, crnas.",
            rich_help_panel=PANEL,
        ),
    ] = None,
    keymap: Annotated[
        str | None,
        typer.Option(
            "--keymap",
            metavar="NAME",
            help="Whose names they have: torchvision-mobilenet_v2, torchvision-resnet50, timm-…, hwnas.",
            rich_help_panel=PANEL,
        ),
    ] = None,
    prefilter: Annotated[
        str | None,
        typer.Option(
            "--prefilter",
            metavar="SCORE",
            help="Leave out what a zero-cost score ranks low: synflow, naswot, …",
            rich_help_panel=PANEL,
        ),
    ] = None,
    prefilter_study: Annotated[
        str | None,
        typer.Option(
            "--prefilter-study",
            metavar="FILE",
            help="The study.json in which `hwnas proxy-study --zero-cost` has shown that it ranks.",
            rich_help_panel=PANEL,
        ),
    ] = None,
    keep: Annotated[
        float, typer.Option("--keep", metavar="PART", help="The part that it keeps.", rich_help_panel=PANEL)
    ] = 0.5,
) -> None:
    """Only its signature is used."""
