"""The verbs of ``hwnas profile`` from bundle to table, and every way in which their files can be wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import JSON_GUIDE, promised, run
from small_world import SIZE, SPACE

from hwnas.latency.bundle import read_bundle
from hwnas.latency.measure import read_lines
from hwnas.latency.shipped import table_path
from hwnas.latency.table import load_table, save_table

SHIPPED = "gtx1080ti-tensorrt5.1-fp32"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small space's bundle and measure.py."""
    folder = tmp_path_factory.mktemp("made")
    words = ["--space", SPACE, "--size", SIZE, "--classes", "2", "--calibration-nets", "4", "--holdout-nets", "2"]
    planned = run("profile", "plan", *words, "-o", folder / "bundle.zip", "--with-script")
    assert planned.code == 0, planned.said
    assert set(planned.document) == promised("profile plan")
    assert planned.document["nets"] == 6 and planned.document["kernels"] > 10
    assert planned.document["bytes"] == (folder / "bundle.zip").stat().st_size
    return folder


@pytest.fixture(scope="module")
def journal(made: Path) -> Path:
    """What measure.py, alone in a folder with the bundle, measures: a process that cannot import hwnas."""
    bare = made / "bare"
    bare.mkdir()
    for name in ("measure.py", "bundle.zip"):
        shutil.copy(made / name, bare / name)
    words = ["-I", "measure.py", "bundle.zip", "-o", "measured.jsonl", "--seconds", "40", "--passes", "1"]
    done = subprocess.run([sys.executable, *words], cwd=bare, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return bare / "measured.jsonl"


@pytest.fixture(scope="module")
def table(made: Path, journal: Path) -> Path:
    """The table of that journal."""
    out = made / "table.json"
    words = ["profile", "measure", made / "bundle.zip", "--journal", journal, "-o", out]
    assert run(*words).code == 0
    return out


def refused(*words: object) -> tuple[str, str]:
    ended = run(*words)
    assert ended.code == 2, ended.document
    assert set(ended.document) == {"error", "hint"}
    message, hint = ended.document["error"], ended.document["hint"]
    assert message and hint and "\n" not in message
    return message, hint


# From bundle to table


def test_a_journal_from_elsewhere_becomes_a_table(made: Path, journal: Path, table: Path) -> None:
    before = journal.read_bytes()
    again = run("profile", "measure", made / "bundle.zip", "--journal", journal, "-o", made / "again.json")
    assert again.code == 0 and set(again.document) == promised("profile")
    assert journal.read_bytes() == before
    first, second = load_table(table), load_table(made / "again.json")
    assert first.entries == second.entries
    assert len(first.entries) == len(read_bundle(made / "bundle.zip").keys)
    assert first.provenance["space"] == SPACE and first.contract.size_hw == (64, 96)


def test_all_spaces_share_one_bundle(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hwnas.spaces.base import SPACES

    monkeypatch.setattr(SPACES, "names", lambda: [SPACE])
    monkeypatch.setattr("hwnas.exporters.kernels.KernelExporter", lambda **_: lambda keys: [b"onnx"] * len(keys))
    words = ["--space", "all", "--size", SIZE, "--classes", "2", "--calibration-nets", "0", "--holdout-nets", "0"]
    planned = run("profile", "plan", *words, "-o", tmp_path / "all.zip")
    assert planned.code == 0 and planned.document["space"] == "all" and planned.document["script"] is None
    assert set(read_bundle(tmp_path / "all.zip").keys.values()) == set(read_bundle(made / "bundle.zip").keys.values())


def test_a_killed_measuring_goes_on_where_it_was(made: Path, tmp_path: Path) -> None:
    out, left = tmp_path / "t.json", tmp_path / "t.measured.jsonl"
    words = ["profile", "measure", str(made / "bundle.zip"), "-o", str(out), "--minutes"]
    with subprocess.Popen(
        [sys.executable, "-m", "hwnas.cli", *words, "2"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        end = time.monotonic() + 120
        while not (left.exists() and len(left.read_text().splitlines()) > 6) and time.monotonic() < end:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
    assert left.exists() and not out.exists()
    # as if killed while it wrote a line
    done = [line for line in read_lines(left)[1:] if line["name"] != "reference"]
    with left.open("a") as stream:
        stream.write('{"name": "k0')
    resumed = run(*words, "0.15")
    assert resumed.code == 0, resumed.document
    assert "going on with the measurements" in resumed.said
    assert not left.exists() or "the same command goes on" in resumed.said
    bundle, table = read_bundle(made / "bundle.zip"), load_table(out)
    for line in done:
        if line["name"] in bundle.keys:
            assert bundle.keys[line["name"]].text in table.entries


def test_measurements_are_kept_until_all_is_measured(made: Path, journal: Path, tmp_path: Path) -> None:
    header, *lines = journal.read_text().splitlines()
    few = [line for line in lines if json.loads(line)["name"] in ("reference", "k00000", "k00001")]
    (tmp_path / "few.jsonl").write_text("\n".join([header, *few]) + "\n")
    words = ["profile", "measure", made / "bundle.zip", "--journal", tmp_path / "few.jsonl"]
    part = run(*words, "-o", tmp_path / "t.json")
    assert part.code == 0 and part.document["kernels"] == 2
    assert part.document["coverage"]["kernels"][1] > 2


# Check


def test_check_says_how_far_a_table_drifted(table: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    whole = load_table(table)
    words = ["--kernels", "5", "--seconds", "2"]
    fine = run("profile", "check", table, *words, "--tolerance", "10000%")
    assert fine.code == 0 and fine.document["ok"] and fine.document["kernels"] == 5
    assert set(fine.document) == promised("profile check")
    fast = {text: replace(entry, ms=entry.ms / 100) for text, entry in whole.entries.items()}
    save_table(replace(whole, entries=fast), tmp_path / "fast.json")
    slow = run("profile", "check", tmp_path / "fast.json", *words, "--tolerance", "0.5")
    assert slow.code == 1 and not slow.document["ok"]
    assert slow.document["median"] > 5 and slow.document["worst_key"] in whole.entries


def test_check_refuses_tables_of_others(table: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    assert "imported (of NVIDIA GeForce GTX 1080 Ti)" in refused("profile", "check", SHIPPED)[0]
    whole = load_table(table)
    save_table(replace(whole, contract=replace(whole.contract, device="Other CPU")), tmp_path / "other.json")
    assert "device: Other CPU in the table" in refused("profile", "check", tmp_path / "other.json")[0]


def test_missing_completes_neither_imported_nor_shipped_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no latency table" in refused("profile", "--missing", "--space", SPACE, "-o", SHIPPED)[0]
    shutil.copy(table_path(SHIPPED), "gpu.json")
    assert "was imported" in refused("profile", "--missing", "--space", SPACE, "-o", "gpu.json")[0]
    assert {path.name for path in tmp_path.iterdir()} == {"gpu.json"}


@pytest.mark.parametrize("tolerance", ["little", "-1%", "nan", ""])
def test_tolerance_that_is_none(table: Path, tolerance: str) -> None:
    assert "is not a share" in refused("profile", "check", table, f"--tolerance={tolerance}")[0]


# Import and list


def test_imported_table_is_used_by_other_verbs(tmp_path: Path) -> None:
    from hwnas.latency.keys import keys_of
    from hwnas.skeletons.base import expand
    from hwnas.zoo.catalog import load

    keys = {key.text for key in keys_of(expand(load("fast-scnn"), (3, 96, 128), 5)).values()}
    rows = [f'"{text}",0.25' for text in sorted(keys)]
    (tmp_path / "lut.csv").write_text("\n".join(["key,ms", *rows]))
    words = ["--device", "NPU", "--engine", "vendor", "--precision", "int8", "--size", "96x128", "--source", "a sheet"]
    made = run("profile", "import", tmp_path / "lut.csv", "--format", "csv", *words, "-o", tmp_path / "t.json")
    assert made.code == 0, made.document
    assert set(made.document) == promised("profile") | promised("profile import") and made.document["rows"] == len(keys)
    predicted = run("predict", "fast-scnn", "--table", tmp_path / "t.json")
    assert predicted.code == 0 and predicted.document["classes"] == 5
    assert predicted.document["latency_ms"] == pytest.approx(0.25 * len(predicted.document["nodes"]))


def test_error_in_a_row_writes_no_table(tmp_path: Path) -> None:
    (tmp_path / "lut.csv").write_text("key,ms,size\nrelu()@8x4x4,-1,64x96\n")
    words = ["--device", "NPU", "--engine", "vendor", "--precision", "int8"]
    message, _ = refused(
        "profile", "import", tmp_path / "lut.csv", "--format", "csv", *words, "-o", tmp_path / "t.json"
    )
    assert "lut.csv: row 2 has -1.0 ms" in message
    assert not (tmp_path / "t.json").exists()


def test_list_has_the_shipped_tables() -> None:
    listed = run("profile", "list").document
    assert set(listed) == promised("profile list")
    (gpu,) = [each for each in listed["tables"] if each["name"] == SHIPPED]
    assert gpu["kernels"] == 605 and gpu["engine"] == "tensorrt 5.1"
    section = JSON_GUIDE.split("## profile list")[1].split("\n## ")[0]
    assert all(f"`{field}`" in section for field in gpu)


def test_unknown_table_names_offer_near_ones(tmp_path: Path) -> None:
    for words in (["predict", "fast-scnn", "--table", "gtx1080ti"], ["profile", "check", "gtx1080ti"]):
        assert SHIPPED in refused(*words)[1]


# Bad files


def shortened(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def without_a_kernel(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist() if name != "kernels/k00000.onnx"}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in kept.items():
            archive.writestr(name, content)


def with_manifest(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        manifest = json.loads(files["manifest.json"])
        change(manifest)
        files["manifest.json"] = json.dumps(manifest).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: shortened(path, 0.0),
        lambda path: shortened(path, 0.5),
        lambda path: shortened(path, 0.99),
        lambda path: path.write_text("this is text"),
        lambda path: path.unlink(),
        without_a_kernel,
        with_manifest(lambda manifest: manifest.pop("kernels")),
        with_manifest(lambda manifest: manifest.update(schema_version=99)),
        with_manifest(lambda manifest: manifest["nets"][0].pop("genotype")),
        with_manifest(lambda manifest: manifest["kernels"][0].update(key="no key")),
    ],
    ids=["empty", "half", "cut", "text", "missing", "kernel", "kernels", "newer", "genotype", "key"],
)
def test_damaged_bundle(damage: Callable[[Path], None], made: Path, journal: Path, tmp_path: Path) -> None:
    shutil.copy(made / "bundle.zip", tmp_path / "broken.zip")
    damage(tmp_path / "broken.zip")
    words = ["profile", "measure", tmp_path / "broken.zip", "-o", tmp_path / "t.json"]
    for more in ([], ["--journal", journal]):
        assert "broken.zip" in refused(*words, *more)[0]
    assert not list(tmp_path.glob("t*"))


def test_kernel_that_the_engine_cannot_build_is_recorded(made: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(made / "bundle.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["kernels/k00001.onnx"] = b"nonsense"
    with zipfile.ZipFile(tmp_path / "broken.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    done = run("profile", "measure", tmp_path / "broken.zip", "-o", tmp_path / "t.json", "--minutes", "0.1")
    assert done.code == 0, done.document
    (failed,) = load_table(tmp_path / "t.json").failures
    assert failed == read_bundle(made / "bundle.zip").keys["k00001"].text
    assert f"could not be built: {failed}" in done.said


def changed(line: int, change: Callable[[dict], object]) -> Callable[[list[str]], list[str]]:
    def edit(lines: list[str]) -> list[str]:
        document = json.loads(lines[line])
        change(document)
        return [*lines[:line], json.dumps(document), *lines[line + 1 :]]

    return edit


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (changed(0, lambda header: header.update(bundle="another")), "measured from another bundle"),
        (changed(0, lambda header: header.pop("bundle")), "lack their header"),
        (changed(0, lambda header: header.pop("threads")), "are damaged"),
        (changed(3, lambda line: line.update(cpu_ms=[float("nan")] * 5)), "not positive"),
        (changed(3, lambda line: line.update(wall_ms=[-1.0] * 5)), "not positive"),
        (changed(3, lambda line: line.pop("name")), "are damaged"),
        (lambda lines: [*lines[:3], '{"name": "k0', *lines[3:]], "damaged at line 4"),
        (lambda lines: [], "lack their header"),
        (lambda lines: lines[:1], "no kernel could be measured"),
    ],
    ids=["other", "header", "threads", "nan", "negative", "name", "torn", "empty", "nothing"],
)
def test_damaged_journal(
    edit: Callable[[list[str]], list[str]], said: str, made: Path, journal: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text("".join(f"{line}\n" for line in edit(journal.read_text().splitlines())))
    before = broken.read_bytes()
    words = ["profile", "measure", made / "bundle.zip", "--journal", broken, "-o", tmp_path / "t.json"]
    assert said in refused(*words)[0]
    assert broken.read_bytes() == before and not (tmp_path / "t.json").exists()


def test_leftovers_of_another_bundle_are_not_gone_on_with(made: Path, journal: Path, tmp_path: Path) -> None:
    left = tmp_path / "t.measured.jsonl"
    left.write_text(journal.read_text().replace(read_bundle(made / "bundle.zip").fingerprint, "another"))
    before = left.read_bytes()
    assert "another bundle" in refused("profile", "measure", made / "bundle.zip", "-o", tmp_path / "t.json")[0]
    assert left.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("entries", "entires"), "missing or wrong part"),
        (lambda text: text.replace('"schema_version": 1', '"schema_version": 99'), "newer than"),
        (lambda text: text[: len(text) // 2], "not valid JSON"),
        (lambda text: text.replace('"relu()@8x4x4": [', '"relu()@8x4x4": [1.0, 0.0], "relu()@8x4x4": ['), "twice"),
        (lambda text: text.replace("0.75", "NaN"), "NaN"),
        (lambda text: text.replace("0.75", "-0.75"), "is not a time"),
    ],
    ids=["part", "newer", "half", "twice", "nan", "negative"],
)
def test_damaged_table(change: Callable[[str], str], said: str, tmp_path: Path) -> None:
    (tmp_path / "lut.csv").write_text("key,ms\nrelu()@8x4x4,0.75\n")
    words = ["--device", "NPU", "--engine", "vendor", "--precision", "int8", "--size", "96x128"]
    path = tmp_path / "t.json"
    assert run("profile", "import", tmp_path / "lut.csv", "--format", "csv", *words, "-o", path).code == 0
    path.write_text(change(" ".join(path.read_text().split())))
    for verb in (["predict", "fast-scnn", "--table", path], ["profile", "check", path]):
        message, _ = refused(*verb)
        assert "t.json" in message and said in message


def test_script_is_not_written_over_another_file(tmp_path: Path) -> None:
    (tmp_path / "measure.py").write_text("print('mine')")
    words = ["profile", "plan", "--space", SPACE, "--size", SIZE, "-o", tmp_path / "b.zip", "--with-script"]
    assert "measure.py is there already" in refused(*words)[0]
    assert not (tmp_path / "b.zip").exists()


def test_options_before_a_verb_and_no_verb_at_all() -> None:
    assert "behind 'list'" in refused("profile", "--size", SIZE, "list")[0]
    assert "needs a file" in refused("profile", "--size", SIZE)[0]
    assert "did you mean" in refused("profile", "plan", "--space", "realtme", "--size", SIZE, "-o", "b.zip")[1]
