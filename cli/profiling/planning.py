"""``hwnas profile plan``: everything that has to be timed for a space, in one file. Measures nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.cli.options import (
    DEFAULT_CLASSES,
    BatchOption,
    ClassesOption,
    EngineOption,
    PrecisionOption,
    SizeOption,
)
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb

if TYPE_CHECKING:
    from rich.console import Console


@verb(example="hwnas profile plan --size 360x480 --classes 11 -o bundle.zip --with-script")
def command(
    shell: Shell,
    size: SizeOption,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The bundle to write, a zip file.")],
    space: Annotated[
        str, typer.Option("--space", metavar="NAME", help="The search space; all: every space there is.")
    ] = "realtime",
    classes: ClassesOption = DEFAULT_CLASSES,
    engine: EngineOption = "onnxruntime",
    precision: PrecisionOption = "fp32",
    batch: BatchOption = 1,
    calibration_nets: Annotated[
        int | None, typer.Option("--calibration-nets", min=0, help="Whole networks that calibrate it; else as usual.")
    ] = None,
    holdout_nets: Annotated[
        int, typer.Option("--holdout-nets", min=0, help="Whole networks that only judge the table.")
    ] = 32,
    with_script: Annotated[
        bool, typer.Option("--with-script", help="Write measure.py beside it, which a bare device runs alone.")
    ] = False,
) -> Answer:
    """Write every kernel that a search space can need, and the networks that calibrate and judge a table, as a bundle.

    Carry the bundle to a device with `hwnas profile measure`, or with measure.py, which needs Python, numpy and the
    engine only.
    """
    from hwnas.cli.stages.bundling import plan_bundle, write_script
    from hwnas.shapes import parse_size

    script = output.with_name("measure.py") if with_script else None
    size_hw = parse_size(size)
    if script is not None:
        write_script(script)
    bundle = plan_bundle(
        space,
        size_hw,
        classes,
        engine=engine,
        precision=precision,
        batch=batch,
        calibration_nets=calibration_nets,
        holdout_nets=holdout_nets,
        seed=shell.seed,
        output=output,
        progress=shell.progress,
    )
    document = {
        "bundle": output,
        "space": bundle.space,
        "size": f"{size_hw[0]}x{size_hw[1]}",
        "classes": classes,
        "graphs": bundle.graphs,
        "batch": bundle.batch,
        "kernels": len(bundle.keys),
        "nets": len(bundle.nets),
        "bytes": output.stat().st_size,
        "script": script,
    }
    flags = "" if engine == "onnxruntime" else f" --engine {engine}"
    flags += "" if bundle.graphs.startswith(precision) else f" --precision {precision}"
    return Answer(document, lambda console: _print_plan(console, document, flags))


def _print_plan(console: Console, document: dict[str, Any], flags: str) -> None:
    output, script = document["bundle"], document["script"]
    console.print(f"bundle       {output}", markup=False)
    console.print(
        f"holds        {document['kernels']} kernels and {document['nets']} nets, {document['bytes']:,} bytes"
    )
    if script is None:
        console.print(f"measure it   hwnas profile measure {output}{flags} -o table.json", markup=False)
    else:
        console.print(f"measure it   python3 {script.name} {output.name}{flags} -o measured.jsonl", markup=False)
        console.print(f"then here    hwnas profile measure {output} --journal measured.jsonl -o table.json")
