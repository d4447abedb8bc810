"""``hwnas export``: a network as an engine file with its manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli.network_options import NetworkOptions
from hwnas.cli.options import BatchOption, EngineOption, GenotypeArgument, KnownClassesOption, PrecisionOption
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb
from hwnas.errors import HwnasError


@verb(example="hwnas export fast-scnn --size 360x480 --classes 11 --random-weights -o engine")
def command(
    shell: Shell,
    genotype: GenotypeArgument,
    network: NetworkOptions,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the engine files.")],
    size: Annotated[
        str | None, typer.Option("--size", metavar="HxW", help="Input height x width; else that of the weights.")
    ] = None,
    classes: KnownClassesOption = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="The trained weights (safetensors).")
    ] = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Export untrained, for timing; --seed draws the weights.")
    ] = False,
    engine: EngineOption = "onnxruntime",
    precision: PrecisionOption = "fp32",
    batch: BatchOption = 1,
    dynamic_batch: Annotated[
        bool, typer.Option("--dynamic-batch", help="Any number of images at a time (onnx, onnxruntime).")
    ] = False,
    preprocess: Annotated[
        bool, typer.Option("--preprocess", help="Take uint8 NHWC pixels and normalise inside the engine.")
    ] = False,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="SPEC", help="Compare with PyTorch on its train images; int8 needs it."),
    ] = None,
    calibration: Annotated[
        str, typer.Option("--calibration", metavar="NAME", help="For int8: minmax, percentile or entropy.")
    ] = "minmax",
    calibration_images: Annotated[
        int, typer.Option("--calibration-images", min=1, help="Images of train that int8 is calibrated on.")
    ] = 100,
    max_miou_drop: Annotated[
        float | None,
        typer.Option(
            "--max-miou-drop",
            metavar="POINTS",
            min=0.0,
            help="For int8: leave parts in float and pick the fastest mix that loses no more, like 0.5.",
        ),
    ] = None,
    runner: Annotated[
        str | None,
        typer.Option("--runner", metavar="KIND", help="Also write a program that needs no hwnas: python or cpp."),
    ] = None,
    target: Annotated[
        str, typer.Option("--target", metavar="SM,…", help="For tensorrt-rtx: the GPUs to build for, like sm86,sm89.")
    ] = "",
) -> Answer:
    """Export a network for an engine: full-size logits and an argmax variant, checked against PyTorch."""
    from hwnas.cli import pipeline
    from hwnas.cli.stages.quantizing import Int8Options
    from hwnas.exporters.runner import check_runner
    from hwnas.shapes import parse_size

    weights = _weights(genotype, weights, random_weights)
    size_hw = parse_size(size) if size is not None else None
    found = network.resolve(genotype)
    if dynamic_batch and (batch != 1 or engine not in ("onnx", "onnxruntime")):
        raise HwnasError("--dynamic-batch is for onnx and onnxruntime, without --batch", "leave one of them out")
    if runner is not None:
        check_runner(runner, engine)
    order = pipeline.Order(
        engine=engine,
        precision=precision,
        preprocess=preprocess,
        batch=None if dynamic_batch else batch,
        data=data,
        int8=Int8Options(calibration, calibration_images, None if max_miou_drop is None else max_miou_drop / 100),
        runner=runner,
        targets=tuple(filter(None, target.split(","))),
    )
    return pipeline.export(shell, found, size_hw=size_hw, classes=classes, weights=weights, output=output, order=order)


def _weights(genotype: str, given: Path | None, random: bool) -> Path | None:
    """The weights' file: the one given, or a run directory's own; None for random ones."""
    from hwnas.training.network_files import WEIGHTS

    beside = Path(genotype) / WEIGHTS
    found = beside if given is None and not random and beside.is_file() else given
    if (found is None) == (not random):
        raise HwnasError("export needs weights", "give --weights FILE, or a run directory, or --random-weights")
    return found
