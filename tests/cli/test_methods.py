"""``--method``: what it settles, and what it refuses before anything is trained."""

from __future__ import annotations

import pytest
import torch

from hwnas.cli.evaluator_options import EvaluatorOptions
from hwnas.cli.methods import settled
from hwnas.cli.settings import Settings
from hwnas.cli.stages.beforehand import check_objective
from hwnas.cli.stages.relaxing import Ground
from hwnas.errors import BudgetError, HwnasError, TableError
from hwnas.latency.contract import TimingContract
from hwnas.latency.features import key_size
from hwnas.latency.model import TableModel
from hwnas.latency.table import Calibration, LatencyTable
from hwnas.search.methods import METHODS
from hwnas.spaces.mbconv import MBConvSpace
from tests.cli.commands import promised, run

SIZE = (96, 128)


class MadeUp(TableModel):
    """Every kernel has a time but those of the op ``without``."""

    def __init__(self, without: str = "") -> None:
        contract = TimingContract("Some CPU", 2, "onnxruntime", "1.31.1", "fp32", 1, SIZE)
        super().__init__(LatencyTable(contract, {}, Calibration({})))
        self.without = without

    def alone(self, key):
        if key.op == self.without:
            raise TableError(f"no entry for {key.text}")
        return 0.02 + key_size(key).macs / 3e7, "measured"


def ground(limit_ms: float, without: str = "") -> Ground:
    space = MBConvSpace("mbconv", {"head": "lraspp:width=8", "dilated_stages": 1}, shrink=4)
    return Ground(METHODS.get("proxyless"), space, MadeUp(without), limit_ms, SIZE, 5, 0)


def test_a_method_brings_its_space_and_its_way_of_searching():
    found = settled("greedynas", None, None, None, SIZE)
    assert found == {
        "method": "greedynas",
        "method_options": "",
        "space": "realtime",
        "strategy": "greedynas",
        "sampler": "greedynas",
    }
    assert settled("cas:costs=macs=0.2", None, None, None, (240, 320))["method_options"] == "costs=macs=0.2"


def test_without_a_method_everything_is_as_it_was():
    found = settled(None, None, None, None, SIZE)
    assert (found["space"], found["strategy"], found["sampler"]) == ("realtime", "evolution", "uniform")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("darts", None, "random", None), "brings its own way of searching"),
        (("greedynas", None, None, "uniform"), "brings its own way of searching"),
        (("greedynas:x=1", None, None, None), "takes no options"),
        (("proxyless", "gas", None, None), "cannot search the space gas"),
        (("proxless", None, None, None), "unknown method"),
        (("cas:cots=macs=0.2", None, None, None), "cas has no option 'cots'"),
        (("darts:order=3", None, None, None), "order of darts cannot be 3"),
        (("gas:paths=hard", None, None, None), "paths of gas cannot be 'hard'"),
        (("proxyless:rate=fast", None, None, None), "rate of proxyless cannot be 'fast'"),
        (("auto-deeplab:search_filters=0.5", None, None, None), "search_filters of auto-deeplab cannot be 0.5"),
    ],
)
def test_error_on_what_does_not_go_together(given, message):
    with pytest.raises(HwnasError, match=message):
        settled(*given, SIZE)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"storage": "sqlite:///s.db"}, "--storage means nothing to it"),
        ({"devices": ("phone=phone.json",)}, "a second --table means nothing to it"),
        ({"evaluation": EvaluatorOptions(evaluator="training")}, "--evaluator means nothing to it"),
        ({"method": "cas", "method_options": "costs=gpu=0.1"}, "there is no cost 'gpu' to weigh"),
    ],
)
def test_error_on_what_only_candidates_have(changes, said):
    wanted = {"method": "darts", **changes}
    settings = Settings("streets", SIZE, 10.0, "p50", 1.0, "darts", "evolution", 1, 0, **wanted)
    with pytest.raises(HwnasError, match=said):
        check_objective(settings, resume=False)


def test_another_device_is_a_cost_like_the_others():
    class Slower(MadeUp):
        def alone(self, key):
            return 3 * super().alone(key)[0], "measured"

    space = MBConvSpace("mbconv", {"head": "lraspp:width=8", "dilated_stages": 1}, shrink=4)
    both = Ground(METHODS.get("cas"), space, MadeUp(), 1e6, SIZE, 5, 0, {"phone": Slower()})
    costs = both.costs()
    assert set(costs) == {"macs", "params", "phone"}
    shares = {choice.name: torch.full((len(choice.options),), 1 / len(choice.options)) for choice in space.choices}
    assert all(0.7 < float(cost(shares)) < 1.4 for cost in costs.values()), "relative to the mean over the space"


def test_a_budget_below_the_floor_is_refused_with_the_floor():
    ground(1e6).check()
    with pytest.raises(BudgetError, match=r"the fastest found is \d+\.\d+ ms") as caught:
        ground(1e-3).check()
    assert "raise the budget to" in caught.value.hint


def test_a_table_that_lacks_ops_names_them_and_the_command():
    with pytest.raises(TableError, match="inverted_residual_7x7") as caught:
        ground(1e6, without="inverted_residual_7x7").check()
    assert "hwnas profile --missing --space mbconv" in caught.value.hint


def test_the_verb_lists_all_methods():
    answer = run("methods").document
    assert {row["name"] for row in answer["methods"]} == set(METHODS.names())
    assert set(answer) == promised("methods")
