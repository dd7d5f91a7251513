"""Plans improved along their gradient: never worse than the copies they start from, and charged there and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from spikeplan.core.counts.operations import VALUE_PREFIX, OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import GradientConfig, GuidedConfig
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.methods import METHODS
from spikeplan.evaluation.methods.base import Site
from spikeplan.worldmodel.planning.gradient import GradientPlanner

SPACE: dict[str, Any] = {"action_dim": 2, "action_limit": 0.08}
PLAN = GradientConfig(samples=3, horizon=4, descents=4, rate=0.2, to_go=0.3)


def site() -> Site:
    return Site(load_bundle("two-room"))


def planned(config: GradientConfig, counts: OperationCounts | None = None, warm: Tensor | None = None) -> Any:
    data = site().calibration
    planner = GradientPlanner(METHODS["gradient"].predictor(site()), config, op_counts=counts, **SPACE)  # type: ignore[arg-type]
    noise = planner.noise(6, torch.Generator().manual_seed(0))
    return planner.plan(data.latent_ND[:6], data.latent_ND[50:56], noise, warm)


def test_a_descent_finds_what_the_copies_did_not_and_stays_within_the_limit() -> None:
    action, plan, trace = planned(PLAN)
    copies = trace.guided.cost_BS.amin(1)
    assert torch.allclose(trace.cost_KBS[0], trace.guided.cost_BS, rtol=1e-4), "it starts where the copies ended"
    assert (trace.best_cost_B <= copies + 1e-3).all() and (trace.best_cost_B < 0.999 * copies).sum() >= 3
    assert plan.abs().max() <= 0.08 and torch.equal(action, plan[:, 0]) and not plan.requires_grad


def test_the_last_plan_is_one_of_those_that_descend() -> None:
    """It takes the place of the last copy; without a step worth the name, its own cost is the least."""
    still = replace(PLAN, rate=1e-6)
    best = planned(replace(PLAN, descents=20))
    again = planned(still, warm=best[1])
    assert torch.allclose(again[2].best_cost_B, best[2].best_cost_B, rtol=1e-3)


def test_forward_and_backward_are_charged() -> None:
    counts = OperationCounts(method="gradient", reference="zero", precision="fp32", spiking=False)
    planned(PLAN, counts, warm=torch.zeros(6, 4, 2))
    bundle = load_bundle("two-room")
    sizes = {
        "": sum(m.weight.numel() for m in bundle.model.predictor.linears()),
        VALUE_PREFIX: sum(m.weight.numel() for m in bundle.cost_to_go().linears()),
    }
    spent = {"": 0, VALUE_PREFIX: 0}
    for (_, layer, _, _), c in counts.counts("predictor"):
        if layer.startswith("policy."):
            continue
        spent[VALUE_PREFIX if layer.startswith(VALUE_PREFIX) else ""] += c.macs
    assert spent[""] == 6 * PLAN.evaluations * sizes[""] and PLAN.evaluations == 4 * (3 * (1 + 2 * 4) + 1)
    assert spent[VALUE_PREFIX] == 6 * (3 * (1 + 2 * 4) + 1) * sizes[VALUE_PREFIX]
    counts.actions = 6
    reads = sum(row.weight_reads for row in counts.rows("batched") if row.layer == "h1")
    first = bundle.model.predictor.linears()[0].weight.numel()
    assert reads == 6 * first * 4 * (1 + 1 + 2 * 4), "copies, the last plan, and every way back and there, step by step"


@pytest.mark.parametrize("method", ["guided-sigma_delta", "guided-int8", "dense"])
def test_what_has_no_gradient_is_refused(method: str) -> None:
    with pytest.raises(UserError, match="only a dense network in fp32 has a gradient"):
        GradientPlanner(METHODS[method].predictor(site()), PLAN, **SPACE)  # type: ignore[arg-type]


def test_settings_are_checked() -> None:
    for change, message in (
        ({"descents": 0}, "descents 0"),
        ({"rate": 0.0}, "rate 0.0"),
        ({"samples": 0}, "samples 0"),
    ):
        with pytest.raises(UserError, match=message):
            replace(PLAN, **change)
    with pytest.raises(UserError, match="settings of another planner"):
        GradientPlanner(METHODS["gradient"].predictor(site()), GuidedConfig(), **SPACE)  # type: ignore[arg-type]
    assert PLAN.label == "gradient 3x4 H4 + 0.3 V" and PLAN.passes == () and type(PLAN.guided) is GuidedConfig
