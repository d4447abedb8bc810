"""What people read of the answers of the longer verbs. Takes the JSON document, so that both say the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

Document = Mapping[str, Any]


def print_deployment(console: Console, document: Document) -> None:
    """The closing table of a deployment."""
    from rich.table import Table

    searched, supernet, verdict = document["search"], document["supernet"], document["validate"]
    profile, drawn = document["profile"], document["draw"]
    rows = Table(title="deployment", title_justify="left", show_header=False)
    rows.add_column("what")
    rows.add_column("value")
    rows.add_row("verdict", _verdict(verdict))
    for reason in verdict["reasons"]:
        rows.add_row("", reason)
    rows.add_row("latency p50 / p90 / p99", _percentiles(verdict))
    rows.add_row("predicted p50", _prediction(verdict))
    rows.add_row("budget", f"{verdict['budget_ms']:g} ms at {verdict['budget_at']}")
    rows.add_row("searched", _limit(searched))
    rows.add_row("frames per second", f"{verdict['fps']:.1f}")
    rows.add_row("mIoU on val: engine / PyTorch", f"{verdict['miou']:.2%} / {verdict['miou_torch']:.2%}")
    rows.add_row("parameters, MACs", f"{drawn['params'] / 1e6:.3f} M, {drawn['macs'] / 1e9:.3f} G")
    rows.add_row("latency table", _coverage(profile))
    if supernet:
        rows.add_row(
            "supernet", f"{supernet['steps']} gradient steps, paths of {supernet['mean_path_ms']:.2f} ms in the mean"
        )
    rows.add_row(
        "search",
        f"{searched['evaluations']} candidates; the winner of the finals has {searched['miou']:.2%} held-out mIoU",
    )
    if (line := _relaxation(searched)) is not None:
        rows.add_row("relaxation", line)
    rows.add_row("training", f"{document['train']['steps']} gradient steps")
    rows.add_row("engine", document["artifact"])
    rows.add_row("time", f"{document['seconds'] / 60:.1f} minutes")
    console.print(rows)


def _relaxation(searched: Document) -> str | None:
    """What a gradient method expected and what it led to; None after other searches, and where nothing was learned."""
    if searched.get("discretisation_gap") is None:
        return None
    return (
        f"{searched['expected_ms']:.2f} ms expected, {searched['derived_ms']:.2f} ms derived: a gap of "
        f"{searched['discretisation_gap']:+.1%}; {searched['repaired_choices']} choices changed for the budget"
    )


def space_lines(document: Document) -> list[str]:
    """What a space costs, a line for each cost."""
    lines = []
    for name, cost in document["costs"].items():
        limit = "" if cost["limit"] is None else f"; {cost['share']:.2%} within {cost['limit']:.5g}"
        lines.append(
            f"{name}: " + ", ".join(f"{what} {_priced(cost[what])}" for what in ("lowest", "median", "highest")) + limit
        )
    limited = sum(cost["limit"] is not None for cost in document["costs"].values())
    return [*lines, f"within all limits: {document['share']:.2%}"] if limited > 1 else lines


def _priced(value: float | None) -> str:
    return "beyond the table" if value is None else f"{value:.5g}"


def print_search(console: Console, document: Document) -> None:
    console.print(f"genotype     {document['genotype']}", markup=False)
    measured = document["measured_ms"]
    told = "not timed here: it is for the table's device" if measured is None else f"{measured:.2f} ms measured"
    console.print(f"latency      {document['latency_ms']:.2f} ms predicted, {told}")
    console.print(f"limit        {_limit(document)}")
    console.print(f"mIoU         {document['miou']:.2%} early in its training, on held-out blocks of train")
    for name, value in document["qualities"].items():
        if name != "miou":
            console.print(f"{name:<12} {value:.2%} there, too")
    console.print(f"candidates   {document['evaluations']}")
    if (line := _relaxation(document)) is not None:
        console.print(f"relaxation   {line}")
    if document["recipe"]:
        recipe = ", ".join(f"{name} {value}" for name, value in document["recipe"].items())
        console.print(f"recipe       {recipe}", markup=False, highlight=False)
    for each in document["front"]:
        values = ", ".join(f"{name} {each['values'][name]:.4g}" for name in document["objective"]["metrics"])
        console.print(f"front        {values}", markup=False)
    if "mean_path_ms" in document:
        console.print(
            f"supernet     {document['steps']} gradient steps, paths of {document['mean_path_ms']:.2f} ms in the mean"
        )


def print_part(console: Console, document: Document) -> None:
    """What a process did that took part in a search."""
    best = ", ".join(f"{name} {value:.4g}" for name, value in document["best"].items())
    console.print(f"candidates   {document['evaluations_here']} evaluated here, {document['evaluations']} in all")
    console.print(f"best so far  {best}", markup=False)


def print_table(console: Console, document: Document) -> None:
    console.print(f"table        {document['table']}", markup=False)
    console.print(f"holds        {_coverage(document)}")
    for name, accuracy in document["accuracy"].items():
        console.print(
            f"{name:<12} mean error {accuracy['mape']:.1%} on {accuracy['nets']} unseen nets, within ±5% "
            f"{accuracy['within_5']:.0%}, within ±10% {accuracy['within_10']:.0%}, "
            f"Kendall τ {accuracy['kendall_tau']:.2f}"
        )
    if document["repeat_error"].get("net"):  # 0 where nothing was measured twice
        console.print(f"repeat       the same nets measured twice differ by {document['repeat_error']['net']:.1%}")


def print_training(console: Console, document: Document) -> None:
    console.print(f"weights      {document['weights']}", markup=False)
    console.print(f"trained      {document['steps']} gradient steps in {document['seconds'] / 60:.1f} minutes")
    folding = document["folding"]
    console.print(
        f"folded       BatchNorms folded, logits differ by up to {folding['max_relative']:.1e} of the greatest, "
        f"{folding['equal_labels']:.2%} of the labels are equal"
    )
    if document["views"] is not None:
        _print_views(console, document["views"], 13)
        console.print(f"mIoU on val  {document['views']['miou_plain']:.2%} of whole images; PyTorch")


def _print_views(console: Console, views: Document, width: int) -> None:
    shown = " and mirrored" if views["flip"] else ""
    scales = ", ".join(f"{scale:g}" for scale in views["scales"])
    what = "mIoU on val".ljust(width)
    console.print(f"{what}{views['miou']:.2%} of the mean over sizes {scales}{shown}; PyTorch, no engine's figure")


def print_export(console: Console, document: Document) -> None:
    parity = document["parity"]
    if document["artifact"] != document["labels_artifact"]:
        console.print(f"logits       {document['artifact']}", markup=False)
    if document["labels_artifact"] is not None:
        console.print(f"labels       {document['labels_artifact']}", markup=False)
    logits = (
        ""
        if parity["max_relative"] is None
        else (f"logits differ by up to {parity['max_relative']:.1e} of the greatest, ")
    )
    console.print(f"PyTorch      {logits}{parity['equal_labels']:.2%} of the labels are equal")
    if document.get("quantization"):
        _print_forms(console, document["quantization"])
    for path in document.get("runner", ()):
        console.print(f"runner       {path}", markup=False)


def _print_forms(console: Console, quantization: Document) -> None:
    """fp32, int8 and mixes side by side."""
    from rich.table import Table

    console.print(
        f"int8         {quantization['calibration']} over {quantization['images']} images of train; below, mIoU on "
        f"{quantization['judged_on']} held-out ones"
    )
    if quantization["calibrations"]:
        scores = ", ".join(f"{name} {miou:.2%}" for name, miou in quantization["calibrations"].items())
        console.print(f"calibrations {scores}: mIoU of full int8")
    table = Table("form", "nodes in float", "mIoU", "p50 ms", "")
    for trial in quantization["trials"]:
        table.add_row(
            trial["name"],
            "all" if trial["name"] == "fp32" else str(len(trial["float_nodes"])),
            "" if trial["miou"] is None else f"{trial['miou']:.2%}",
            "" if trial["p50_ms"] is None else f"{trial['p50_ms']:.2f}",
            trial["problem"] or ("exported" if trial["name"] == quantization["chosen"] else ""),
        )
    console.print(table)


def print_benchmark(console: Console, document: Document) -> None:
    contract = document["contract"]
    console.print(f"{document['artifact']}", markup=False)
    console.print(f"latency p50 / p90 / p99   {_percentiles(document)}, worst {document['worst_ms']:.2f} ms")
    console.print(f"frames per second         {document['fps']:.1f}")
    console.print(
        f"measured                  {document['runs']} runs in {contract['engine']} {contract['engine_version']}, "
        f"{contract['precision']}, {contract['threads']} thread(s), {contract['device']}; "
        f"{document['disturbed']:.1%} of the runs were interrupted by other processes"
    )
    if "throughput" in document:
        together = document["throughput"]
        console.print(
            f"throughput                {together['fps']:.1f} FPS of {together['streams']} streams, "
            f"{together['p50_ms']:.2f} ms a run meanwhile"
        )


def print_benchmarks(console: Console, document: Document) -> None:
    from rich.table import Table

    table = Table("artifact", "engine", "precision", "MB", "mIoU", "p50 ms", "p99 ms", "FPS", "status")
    for row in document["artifacts"]:
        timed = row["status"] == "ok"
        table.add_row(
            row["artifact"],
            row.get("engine", ""),
            row.get("precision", ""),
            f"{row['bytes'] / 1e6:.2f}" if "bytes" in row else "",
            f"{row['miou']:.2%}" if row.get("miou") is not None else "",
            *([f"{row['p50_ms']:.2f}", f"{row['p99_ms']:.2f}", f"{row['fps']:.1f}"] if timed else ["", "", ""]),
            row["status"],
        )
    console.print(table)
    if document["plot"]:
        console.print(f"plot         {document['plot']}", markup=False)


def print_comparison(console: Console, document: Document) -> None:
    for name in ("first", "second"):
        each = document[name]
        console.print(f"{name:<12} {each['p50_ms']:.2f} ms, {each['fps']:.1f} FPS   {each['artifact']}", markup=False)
    console.print(f"speedup      {document['speedup']:.2f}x: p50 of the first over the second's")
    if document["miou_difference"] is not None:
        console.print(f"mIoU         {100 * document['miou_difference']:+.2f} points: the second's less the first's")


def print_verdict(console: Console, document: Document) -> None:
    console.print(_verdict(document))
    for reason in document["reasons"]:
        console.print(f"  {reason}")
    budget = (
        "" if document["budget_ms"] is None else f"; budget {document['budget_ms']:g} ms at {document['budget_at']}"
    )
    console.print(f"latency p50 / p90 / p99   {_percentiles(document)}{budget}")
    if document["predicted_ms"] is not None:
        console.print(f"predicted p50             {_prediction(document)}")
    if document.get("unpredicted") is not None:
        console.print(f"predicted p50             none: {document['unpredicted']}", markup=False)
    console.print(f"frames per second         {document['fps']:.1f}")
    beside = "" if document["miou_torch"] is None else f"; PyTorch {document['miou_torch']:.2%}"
    console.print(f"mIoU on val               {document['miou']:.2%}{beside}")
    if document.get("views") is not None:
        _print_views(console, document["views"], 26)
    if document["deadlines"] is not None:
        run = document["deadlines"]
        console.print(
            f"deadlines                 {run['frames']} frames at {run['fps_wanted']:g} FPS: {run['missed_share']:.2%} "
            f"missed ({run['dropped']} dropped, {run['late']} late), true rate {run['fps']:.1f} FPS"
        )
        console.print(
            f"arrival to result         p50 {run['p50_ms']:.2f}, p99 {run['p99_ms']:.2f}, worst {run['worst_ms']:.2f} "
            f"ms; longest gap {run['longest_gap_ms']:.1f} ms, jitter {run['jitter_ms']:.2f} ms, at most "
            f"{run['queue_most']} frames waiting"
        )


def _verdict(document: Document) -> str:
    color = "green" if document["verdict"] == "PASS" else "red"
    return f"[bold {color}]{document['verdict']}[/]"


def _limit(document: Document) -> str:
    """What predictions had to keep in the search."""
    limit = f"predictions up to {document['limit_ms']:.2f} ms"
    confidence = document["confidence"]
    if confidence is None:
        return limit
    return f"{limit}: the upper end of their {confidence:.0%} interval meets the budget"


def _percentiles(document: Document) -> str:
    return " / ".join(f"{document[name]:.2f}" for name in ("p50_ms", "p90_ms", "p99_ms")) + " ms"


def _prediction(document: Document) -> str:
    from hwnas.exporters.criteria import NOTABLE_SLOWDOWN

    predicted_ms = document["predicted_ms"]
    text = f"{predicted_ms:.2f} ms, {predicted_ms / document['p50_ms'] - 1:+.1%} off"
    slowdown = document["slowdown"]
    if slowdown is not None and abs(slowdown) > NOTABLE_SLOWDOWN:
        text += (
            f"; the machine is {abs(slowdown):.0%} {'slower' if slowdown > 0 else 'faster'} than it was for the table"
        )
    return text


def _coverage(document: Document) -> str:
    parts = [f"{measured} of {planned} {name}" for name, (measured, planned) in document["coverage"].items()]
    if "calibrated" in document["accuracy"]:
        accuracy = document["accuracy"]["calibrated"]
        parts.append(f"mean error {accuracy['mape']:.1%} on {accuracy['nets']} unseen nets")
    return ", ".join(parts)
