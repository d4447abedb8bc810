"""Folding BatchNorm into the convolution before it. Engines do it too, but half the nodes are exported faster.

Only pairs that the data flow proves are folded: a BatchNorm whose input is a convolution that nothing else reads.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import fx, nn

    from hwnas.compiler.network import Network
    from hwnas.exporters.parity import Parity


def fold_network(network: Network) -> Network:
    """A copy of ``network`` in evaluation mode with every op's BatchNorm folded; ``network`` is left as it was."""
    from hwnas.compiler.network import Network

    folded = Network(network.graph)
    for name, child in network.named_children():
        folded.add_module(name, fold_batchnorm(copy.deepcopy(child)))
    return folded.eval()


def folding_parity(network: Network, images: np.ndarray) -> Parity:
    """Compare ``network`` with itself folded, on uint8 images (N, H, W, 3) of its size. It is left as it was, but in
    evaluation mode."""
    from hwnas.exporters.parity import compare_sessions
    from hwnas.exporters.torch_eager import TorchSession

    return compare_sessions(TorchSession(network), TorchSession(fold_network(network)), images)


def fold_batchnorm(module: nn.Module) -> nn.Module:
    """``module`` in evaluation mode with BatchNorm folded into convolutions, in place.

    The result's output is the same up to rounding. Of a module that torch.fx cannot trace, the parts are folded; what
    stays unfolded is only slower to export. Every module stays of its class: the exporter notes from which module an
    ONNX node comes, but not for a GraphModule's own operations.
    """
    from torch import fx, nn

    module.eval()
    if not any(isinstance(part, nn.BatchNorm2d) for part in module.modules()):
        return module
    try:
        graph = fx.Tracer().trace(module)
    except Exception:  # tracing runs any module's Python code on proxies: whatever it raises means "not traceable"
        for name, child in list(module.named_children()):
            module.add_module(name, fold_batchnorm(child))
        return module
    for convolution, norm in [pair for node in graph.nodes if (pair := _convolution_before(module, graph, node))]:
        _fold_pair(module, convolution, norm)
    return module


def _convolution_before(module: nn.Module, graph: fx.Graph, node: fx.Node) -> tuple[str, str] | None:
    """Paths of (convolution, BatchNorm) if ``node`` is a BatchNorm that can be folded; both must run once only."""
    from torch import fx, nn

    if node.op != "call_module" or type(module.get_submodule(str(node.target))) is not nn.BatchNorm2d:
        return None
    before = node.args[0]
    if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) != 1:
        return None
    if not isinstance(module.get_submodule(str(before.target)), nn.Conv2d):
        return None
    calls = [str(other.target) for other in graph.nodes if other.op == "call_module"]
    if calls.count(str(before.target)) != 1 or calls.count(str(node.target)) != 1:
        return None
    return str(before.target), str(node.target)


def _fold_pair(module: nn.Module, convolution: str, norm: str) -> None:
    """Put the BatchNorm ``norm`` into ``convolution`` (paths below ``module``) and an identity in its place."""
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    before, after = module.get_submodule(convolution), module.get_submodule(norm)
    assert isinstance(before, nn.Conv2d) and isinstance(after, nn.BatchNorm2d)
    module.set_submodule(convolution, fuse_conv_bn_eval(before, after))
    module.set_submodule(norm, nn.Identity())
