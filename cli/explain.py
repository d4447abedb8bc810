"""``hwnas explain``: where the time of a network goes, from the genotype's nodes to the engine's kernels."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.cli.network_options import NetworkOptions
from hwnas.cli.options import DEFAULT_CLASSES, DEFAULT_SIZE, ForceOption, ThreadsOption
from hwnas.cli.output import Answer
from hwnas.cli.verb import Shell, verb

if TYPE_CHECKING:
    from rich.console import Console

    from hwnas.cli.stages.explaining import Subject
    from hwnas.exporters.explain import Explanation
    from hwnas.exporters.profiler import Kernel
    from hwnas.latency.table import LatencyTable

SHOWN_NODES = 15
DOUBTFUL = 0.25
"""A profile that is slower than this, relatively, is told with a caution."""


@verb(example="hwnas explain fast-scnn --size 360x480 --classes 11 -o why")
def command(
    shell: Shell,
    subject: Annotated[
        str,
        typer.Argument(
            metavar="ARTIFACT|GENOTYPE",
            help="An exported engine or a run directory that holds one; or a genotype, which gets random weights.",
        ),
    ],
    network: NetworkOptions,
    table: Annotated[
        Path | None, typer.Option("--table", metavar="TABLE", help="Put this latency table's prediction beside.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            metavar="HxW",
            help=f"Input size of a genotype; else the table's, what it was published for, or {DEFAULT_SIZE}.",
        ),
    ] = None,
    classes: Annotated[
        int | None,
        typer.Option(
            "--classes",
            min=2,
            help=f"Classes of a genotype; else the table's, what it was published for, or {DEFAULT_CLASSES}.",
        ),
    ] = None,
    engine: Annotated[
        str | None, typer.Option("--engine", metavar="NAME", help="onnxruntime, openvino, torch-eager.")
    ] = None,
    threads: ThreadsOption = 1,
    seconds: Annotated[float, typer.Option("--seconds", min=0.2, help="How long to measure.")] = 4.0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Draw pictures into this folder.")
    ] = None,
    force: ForceOption = False,
) -> Answer:
    """Show where a network's time goes, by the engine's own profile, and what a latency table says of each node."""
    from hwnas.cli.tables import check_usable_here
    from hwnas.exporters.explain import explain, profile_engine
    from hwnas.latency.measure import Setting
    from hwnas.latency.model import TableModel
    from hwnas.latency.table import load_table
    from hwnas.report.dot import check_picture_folder

    if output is not None:
        check_picture_folder(output)
    measured = load_table(table) if table is not None else None
    with _opened(subject, network, size, classes, engine, measured, shell.seed) as found:
        predicted = None
        if measured is not None:
            setting = Setting(found.engine, found.precision, threads)
            check_usable_here(measured, found.size_hw, setting, force=force)
            predicted = TableModel(measured).predict(_known_graph(found))
        timed = profile_engine(found.engine, found.path, threads=threads, seconds=seconds, progress=shell.progress)
        explanation = explain(
            timed, onnx_path=found.onnx_path, graph=found.graph, genotype=found.genotype, predicted=predicted
        )
    pictures = _draw(explanation, found, threads, output) if output is not None else ()
    clock = measured.contract.clock if measured is not None else None
    document = {**_document(explanation, found, threads), "predicted_clock": clock, "pictures": pictures}
    return Answer(document, lambda console: _print(console, explanation, document))


def _opened(
    subject: str,
    network: NetworkOptions,
    size: str | None,
    classes: int | None,
    engine: str | None,
    table: LatencyTable | None,
    seed: int,
) -> AbstractContextManager[Subject]:
    from hwnas.cli.options import graph_of
    from hwnas.cli.stages.explaining import artifact_subject, check_engine, genotype_subject, is_artifact
    from hwnas.cli.timing import artifact_path
    from hwnas.errors import HwnasError
    from hwnas.ir.passes.without_auxiliary import without_auxiliary
    from hwnas.latency.table import classes_of

    path = artifact_path(Path(subject))
    if is_artifact(path):
        if size is not None or classes is not None or network != NetworkOptions():
            raise HwnasError(
                f"{path} is an exported engine: its size, classes and parameters are fixed", "leave them out"
            )
        return artifact_subject(path, engine, seed)
    engine = engine or (table.contract.engine if table is not None else "onnxruntime")
    check_engine(engine)
    if table is not None:
        size = size or "{}x{}".format(*table.contract.size_hw)
        classes = classes or classes_of(table)
    genotype, graph = graph_of(subject, size, classes, network)
    return genotype_subject(genotype, without_auxiliary(graph), engine, seed)


def _known_graph(subject: Subject) -> Any:
    from hwnas.errors import HwnasError

    if subject.graph is None:
        raise HwnasError(
            f"a table predicts from a genotype, and none is known of {subject.path}",
            "leave --table out, or export the network again: artifacts hold their genotype",
        )
    return subject.graph


def _draw(explanation: Explanation, subject: Subject, threads: int, folder: Path) -> tuple[Path, ...]:
    from hwnas.exporters.explain import cell_times, node_times
    from hwnas.report.bars import draw_explanation
    from hwnas.report.draw import draw_genotype

    height, width = subject.size_hw
    where = f"{subject.engine} {subject.precision}, {threads} thread{'s' if threads > 1 else ''}"
    pictures = draw_explanation(explanation, f"{subject.name} at {height} x {width}, {where}", folder)
    if subject.graph is None or subject.genotype is None:
        return pictures
    cells = {role: cell_times(explanation, role) for role in subject.genotype.cells}
    return pictures + draw_genotype(
        subject.genotype, subject.graph, folder, values=node_times(explanation), cell_values=cells
    )


def _document(explanation: Explanation, subject: Subject, threads: int) -> dict[str, Any]:
    height, width = subject.size_hw
    predicted = explanation.predicted
    return {
        "name": subject.name,
        "engine": subject.engine,
        "precision": subject.precision,
        "threads": threads,
        "size": f"{height}x{width}",
        "classes": subject.classes,
        "p50_ms": explanation.p50_ms,
        "cpu_p50_ms": explanation.cpu_p50_ms,
        "profiled_ms": explanation.profiled_ms,
        "slowdown": explanation.slowdown,
        "runs": explanation.runs,
        "between_ms": explanation.between_ms,
        "unattributed_ms": explanation.unattributed_ms,
        "predicted_ms": predicted.latency_ms if predicted else None,
        "predicted_overhead_ms": predicted.overhead_ms if predicted else None,
        "families": explanation.totals(lambda node: node.family),
        "stages": explanation.totals(lambda node: node.stage),
        "nodes": [{**vars(node), "kernels": _kernels(node.kernels)} for node in explanation.nodes],
        "unattributed": _kernels(explanation.unattributed),
    }


def _kernels(kernels: Sequence[Kernel]) -> list[dict[str, Any]]:
    return [{"name": item.name, "kind": item.kind, "ms": item.ms, "converts": item.converts} for item in kernels]


def _print(console: Console, explanation: Explanation, document: dict[str, Any]) -> None:
    """The dearest nodes, totals, and how the profile relates to a run without it."""
    whole = explanation.profiled_ms
    console.print(_node_table(explanation, document))
    for title, totals in (("by family", document["families"]), ("by stage", document["stages"])):
        parts = [f"{name} {ms:.3f} ms ({ms / whole:.0%})" for name, ms in totals.items() if ms > 0]
        console.print(f"{title:<14} {', '.join(parts)}", markup=False)
    unattributed = f"{explanation.unattributed_ms:.3f} ms ({explanation.unattributed_ms / whole:.1%})"
    console.print(f"{'unattributed':<14} {unattributed} in {len(explanation.unattributed)} kernels of no node")
    for kernel in sorted(explanation.unattributed, key=lambda kernel: -kernel.ms)[:5]:
        console.print(f"{'':<14} {kernel.kind} {kernel.name}: {kernel.ms:.3f} ms", markup=False)
    console.print(
        f"{'between':<14} {explanation.between_ms:.3f} ms ({explanation.between_ms / whole:.1%}) in no kernel"
    )
    console.print(
        f"{'a run':<14} {whole:.3f} ms under profiling ({explanation.runs} runs, {explanation.slowdown:+.1%}); "
        f"without: p50 {explanation.p50_ms:.3f} ms, {explanation.cpu_p50_ms:.3f} ms of CPU time"
    )
    if abs(explanation.slowdown) > DOUBTFUL:
        console.print(f"{'':<14} the machine was busy, or profiling is dear here: trust shares more than milliseconds")
    fused = {node.name: node.inside for node in explanation.nodes if node.inside}
    if fused:
        inside = ", ".join(f"{name} in {holder}" for name, holder in fused.items())
        console.print(f"{'fused':<14} {inside}", markup=False)
    if explanation.predicted is not None:
        cpu = document["predicted_clock"] == "cpu"
        off = explanation.predicted.latency_ms / (explanation.cpu_p50_ms if cpu else explanation.p50_ms) - 1.0
        console.print(
            f"{'the table':<14} {explanation.predicted.latency_ms:.3f} ms predicted, {off:+.1%} against the p50"
            + (" of CPU time, which it predicts" if cpu else "")
        )
    for path in document["pictures"]:
        console.print(str(path), markup=False, soft_wrap=True)


def _node_table(explanation: Explanation, document: dict[str, Any]) -> Any:
    from rich.table import Table

    from hwnas.shapes import format_shape

    predicted = explanation.predicted is not None
    title = "{name} at {size}, {engine} {precision}, {threads} thread(s)".format(**document)
    rows = Table("node", "cell", "op", "output", title=title, title_justify="left")
    for heading in ("ms", "share", *(("table", "off by") if predicted else ()), "converts"):
        rows.add_column(heading, justify="right")
    timed = sorted((node for node in explanation.nodes if node.kernels), key=lambda node: -node.ms)
    for node in timed[:SHOWN_NODES]:
        against = ["", ""] if predicted else []
        if node.predicted_ms is not None:
            against = [f"{node.predicted_ms:.3f}", f"{node.predicted_ms - node.ms:+.3f}"]
        rows.add_row(
            node.name,
            node.cell,
            node.op,
            format_shape(node.shape) if node.shape else "",
            f"{node.ms:.3f}",
            f"{node.ms / explanation.profiled_ms:.1%}",
            *against,
            f"{node.converts_ms:.3f}" if node.converts_ms else "",
        )
    rest = timed[SHOWN_NODES:]
    if rest:
        ms = sum(node.ms for node in rest)
        rows.add_row(f"{len(rest)} others", "", "", "", f"{ms:.3f}", f"{ms / explanation.profiled_ms:.1%}")
    return rows
