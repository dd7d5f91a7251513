"""`bench shared_work`: sharing changes no action, squared distances take less, and primitives stray in few directions."""

from __future__ import annotations

from io import StringIO

import pytest
import torch
from rich.console import Console

from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.experiments.bench.sparse.front import TASK, budgets_of
from spikeplan.experiments.bench.sparse.shared_work import WAYS, bench_shared_work, stray_in


def test_perturbations_are_turned_to_the_nearest_direction() -> None:
    drawn = torch.tensor([[[0.0, 0.0], [3.0, 1.0], [-0.1, -0.5], [-3.0, -1.0]]])
    turned = stray_in(4, drawn)
    length = (torch.pi / 2) ** 0.5
    wanted = torch.tensor([[[0.0, 0.0], [length, 0.0], [0.0, -length], [-length, 0.0]]])
    assert torch.allclose(turned, wanted, atol=1e-6), "mirrored copies stay mirrored"
    many = stray_in(4, torch.randn(200, 5, 2, generator=torch.Generator().manual_seed(0)))
    assert len(torch.unique((many * 1000).round(), dim=0).flatten(0, 1).unique(dim=0)) == 4


def test_budgets_are_the_task_s_own_and_fewer_copies() -> None:
    samples = [(one.samples, one.horizon) for one in budgets_of(TASK)]
    assert samples[0] == (5, 2) and (4, 2) in samples and samples.count((3, 2)) == 2


@pytest.mark.slow
def test_both_sides_are_measured_each_way() -> None:
    config = GuidedConfig(samples=3, horizon=2, spread=0.6, decay=0.9, mirrored=True, to_go=0.15)
    rows = bench_shared_work(
        Console(file=StringIO(), width=100), episodes=6, networks=(("dense", 64), ("spiking", 96)), budgets=[config]
    )
    found = {row.name: row for row in rows}
    assert len(found) == 2 * len(WAYS) + 2
    full, waiting, host = (
        found[f"spiking_96_3_H2_{name}"].ours for name in ("squared_shared", "waiting", "waiting_host")
    )
    assert full is not None and waiting is not None and host is not None and full < host < waiting
    for side in ("dense_64", "spiking_96"):
        plain, shared, squared, both = (found[f"{side}_3_H2_{way.name}"] for way in WAYS[:4])
        assert plain.ours is not None and shared.ours is not None and squared.ours is not None and both.ours is not None
        assert plain.ratio == 1.0 and both.ours < min(shared.ours, squared.ours) < plain.ours
        success = [row.unit.split("success ")[1].split(";")[0] for row in (plain, shared, squared, both)]
        assert success[0] == success[1] and success[2] == success[3], "sharing changes no action"
