"""The rate at which an engine multiplies at best on this machine: a bound that no network passes."""

from __future__ import annotations

from hwnas.errors import ArtifactError
from hwnas.exporters.engine_models import adapter_for, models_for
from hwnas.latency.keys import LatencyKey
from hwnas.latency.measure import Setting, time_callable
from hwnas.ops.spec import OPS
from hwnas.shapes import Value

CHANNELS, SIZE = 128, 28
HEADROOM = 1.25
"""A denser kernel, or a quieter moment, might be this much faster."""


def peak_macs_per_ms(setting: Setting, *, seconds: float = 0.5) -> float:
    """Multiply-accumulates a millisecond of a dense 3x3 convolution, the kernel that runs best, with headroom."""
    params: dict[str, Value] = {"activation": "relu", "channels": CHANNELS, "dilation": 1, "groups": 1, "stride": 1}
    key = LatencyKey("conv_3x3", params, ((CHANNELS, SIZE, SIZE),))
    models = models_for(setting.engine, setting.precision, setting.batch)
    (model,) = models.export_ops([key])
    try:
        opened = adapter_for(setting.engine, setting.precision).open(models.form.kernel(model), setting)
        samples = time_callable(opened.run, warmup_s=0.1, min_runs=20, max_seconds=seconds, clock=opened.clock)
    except Exception as error:  # an engine's exceptions have no common class
        raise ArtifactError(f"the engine {setting.engine} cannot run a convolution: {error}") from error
    times_ms = samples.wall_ms if samples.device_ms is None else samples.device_ms
    macs = setting.batch * OPS.get(key.op).macs(key.input_shapes, key.params)
    return HEADROOM * macs / float(times_ms.min())
