"""Bundles: what goes in comes out; time limits; damage."""

from __future__ import annotations

import json
import zipfile

import pytest

from hwnas.errors import TableError
from hwnas.latency.bundle import read_bundle, write_bundle
from hwnas.latency.keys import keys_of
from hwnas.latency.plan import plan
from hwnas.progress import Silent


def test_round_trip(space, exporter, rng, tmp_path):
    planned = plan(space, (64, 96), 5, rng, calibration_nets=3, holdout_nets=2)
    bundle = write_bundle(planned, tmp_path / "b.zip", exporter.export_ops, exporter.assemble, Silent())
    assert tuple(bundle.keys.values()) == planned.keys
    assert exporter.exported == len(planned.keys)
    assert [(net.role, net.genotype) for net in bundle.nets] == planned.nets
    assert bundle.planned == {"kernels": len(planned.keys), "nets": 5}


def test_time_limit_leaves_out_but_keeps_what_nets_need(space, exporter, rng, tmp_path, monkeypatch):
    monkeypatch.setattr("hwnas.latency.bundle.CHUNK", 4)
    planned = plan(space, (64, 96), 5, rng, calibration_nets=4, holdout_nets=4)
    path = tmp_path / "b.zip"
    bundle = write_bundle(planned, path, exporter.export_ops, exporter.assemble, Silent(), seconds=0.0)
    assert 0 < len(bundle.keys) < len(planned.keys)
    assert 0 < len(bundle.nets) < 8
    present = {key.text for key in bundle.keys.values()}
    for net in bundle.nets:
        assert {key.text for key in keys_of(bundle.graph(net)).values()} <= present


def test_error_on_a_manifest_that_points_outside_or_is_of_a_newer_schema(space, exporter, rng, tmp_path):
    planned = plan(space, (64, 96), 5, rng, calibration_nets=1, holdout_nets=0)
    path = tmp_path / "b.zip"
    write_bundle(planned, path, exporter.export_ops, exporter.assemble, Silent())
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        content = {name: archive.read(name) for name in archive.namelist() if name != "manifest.json"}

    def rewritten(change):
        document = json.loads(json.dumps(manifest))
        change(document)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("manifest.json", json.dumps(document))
            for name, data in content.items():
                archive.writestr(name, data)
        return path

    for change, words in [
        (lambda d: d["kernels"][0].update(file="../../etc/passwd"), "lacks"),
        (lambda d: d.update(schema_version=99), "newer"),
        (lambda d: d["kernels"][0].update(key="nonsense"), "damaged"),
        (lambda d: d.pop("nets"), "damaged"),
    ]:
        with pytest.raises(TableError, match=words):
            read_bundle(rewritten(change))
