"""``hwnas train``: train one network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli.network_options import NetworkOptions
from hwnas.cli.options import DataOption, GenotypeArgument, ResumeOption, RunOption, SizeOption
from hwnas.cli.output import Answer
from hwnas.cli.recipes import (
    FlipOption,
    LogOption,
    RecipeOption,
    ScalesOption,
    SetOption,
    TeacherOption,
    TeacherWeightsOption,
    recipe_of,
    views_of,
)
from hwnas.cli.verb import Shell, verb

DEFAULT_MINUTES = 10.0


@verb(
    example="hwnas train runs/b/genotype.json --data streets --size 180x240 --run runs/c",
    resumable=True,
)
def command(
    shell: Shell,
    genotype: GenotypeArgument,
    network: NetworkOptions,
    data: DataOption,
    size: SizeOption,
    run: RunOption,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", min=0.01, help=f"Bounds the training; {DEFAULT_MINUTES:g} without --steps."),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Bounds the training by gradient steps.")] = None,
    weights: Annotated[
        Path | None,
        typer.Option("--weights", metavar="FILE", help="Start from these weights, or a checkpoint's (safetensors)."),
    ] = None,
    recipe: RecipeOption = None,
    set_: SetOption = None,
    teacher: TeacherOption = None,
    teacher_weights: TeacherWeightsOption = None,
    device: Annotated[str, typer.Option("--device", metavar="NAME", help="Where to train: cpu, cuda, mps.")] = "cpu",
    devices: Annotated[
        int, typer.Option("--devices", min=1, help="Train on so many of them at once, a process each.")
    ] = 1,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="Threads of each process; else all cores are used.")
    ] = None,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="The same bits every time, with --steps, on this machine.")
    ] = False,
    log: LogOption = None,
    eval_scales: ScalesOption = None,
    eval_flip: FlipOption = False,
    resume: ResumeOption = False,
) -> Answer:
    """Train a network and write genotype.json and weights.safetensors.

    `val` is read only with --eval-scales or --eval-flip, when the training is done.
    """
    from hwnas.cli import training
    from hwnas.shapes import parse_size

    order = training.Order(
        genotype=genotype,
        network=network,
        data=data,
        size_hw=parse_size(size),
        minutes=DEFAULT_MINUTES if minutes is None and steps is None else minutes,
        steps=steps,
        seed=shell.seed,
        recipe=recipe_of(recipe, set_ or ()),
        weights=weights,
        teacher=teacher,
        teacher_weights=teacher_weights,
        device=device,
        devices=devices,
        deterministic=deterministic,
    )
    views = views_of(eval_scales, eval_flip)
    return training.train(shell, order, run, threads=threads, logs=tuple(log or ()), views=views, resume=resume)
