"""`bench converters`: what an operation is, how fronts are read, and the rows of both sides, in small."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console

from spikeplan.conversion.tracing import AffineNet
from spikeplan.experiments.bench.converters import rows as bench
from spikeplan.experiments.bench.converters import theirs as peers
from spikeplan.experiments.bench.converters.counting import Point, affine_of, error_of, graded_inputs, operations
from spikeplan.experiments.bench.converters.networks import Case, case
from spikeplan.experiments.bench.converters.ours import at, best_at, conversions, front
from spikeplan.experiments.bench.converters.worker import run, scaled
from spikeplan.experiments.bench.peers.rows import NotInstalledError
from spikeplan.experiments.bench.plan import BENCHES

CONSOLE = Console(file=StringIO(), width=200)
SMALL = conversions(thresholds=(0.05, 0.5), rate=(4,), latency=(4, 16), timed=(4,), tuning=0)
Small = tuple[Case, AffineNet]


@pytest.fixture(scope="module")
def mlp() -> Small:
    one = case("mlp", steps=60)
    return one, affine_of(one)


@pytest.fixture(scope="module")
def conv() -> Small:
    one = case("conv", steps=60)
    return one, affine_of(one)


def point(operations: float, error: float, **given: object) -> Point:
    made: dict[str, object] = {"recipe": "x", "label": f"x{operations:g}", "time_steps": 4, "binary": True} | given
    return Point(error=error, operations=operations, **made)  # type: ignore[arg-type]


def test_a_network_is_the_same_for_a_seed_and_learns() -> None:
    one, again, longer = (case("conv", steps=steps) for steps in (20, 20, 120))
    for mine, its in zip(one.module.parameters(), again.module.parameters(), strict=True):
        assert torch.equal(mine, its)
    assert longer.error < 0.5 * one.error and longer.error < 0.3
    rows = longer.held_out
    assert not (rows.latent_ND[:, None] == longer.calibration.latent_ND[None, :50]).all(-1).any()


def test_operations_are_those_of_the_dense_networks_synapses(mlp: Small, conv: Small) -> None:
    """Every neuron once: all synapses, and ten for each neuron and step. Conv: 3x3 neighbours without the border."""
    inner = 3 * 8 - 2  # neighbours along an axis, over 8 places
    synapses = (34 * 128 + 128 * 128 + 128 * 32, inner**2 * (6 + 36 + 6) + 2 * 6 * 64)
    for (_, net), expected in zip((mlp, conv), synapses, strict=True):
        every = graded_inputs(net) | {group.name: torch.ones(group.size) for group in net.groups}
        neurons = sum(net.sizes.values())
        assert operations(net, every, 1) == expected + 10 * neurons
        assert operations(net, {}, 3) == 30 * neurons


def test_ours_are_close_and_are_counted(mlp: Small) -> None:
    one, net = mlp
    found = [make(one, net) for make in SMALL]
    assert [p.recipe for p in found][:3] == ["sigma_delta", "sigma_delta", "lif_rate"]
    assert [p.recipe for p in found][3:] == ["lif_latency_graded", "lif_latency_graded", "lif_latency"]
    assert [p.binary for p in found] == [False] * 2 + [True] * 4
    assert found[-1].label == "lif_latency, windows of 4" and found[2].label == "lif_rate, 4 steps"
    fine, coarse, rate, four, sixteen, timed = found
    neurons = sum(net.sizes.values())
    assert 2 * fine.error < coarse.error < 0.1 and coarse.operations < fine.operations, (
        "a zero output has an error of 1"
    )
    assert sixteen.error < 0.05 and sixteen.error < 0.3 * four.error < timed.error
    assert 40 * neurons < rate.operations and 4 * 2 * 10 * neurons < four.operations < 4 * 2 * 10 * neurons + 30_000


def test_a_front_keeps_what_is_beaten_by_none() -> None:
    points = [point(3, 0.1), point(1, 1.0), point(2, 0.2), point(2.5, 0.3), point(4, 0.1)]
    assert [p.operations for p in front(points)] == [1, 2, 3]


def test_between_two_points_the_error_is_on_a_line_through_logarithms_and_never_beyond() -> None:
    best = [point(100, 1.0), point(400, 0.01)]
    error, what = at(best, 200)
    assert error == pytest.approx(0.1) and what == "x100 to x400"
    assert at(best, 100)[0] == 1.0 and at(best, 400)[0] == 0.01
    assert at(best, 1e9) == (0.01, "x400, at 400")
    assert at(best, 99)[0] is None


def test_nothing_lies_between_two_recipes() -> None:
    points = [point(100, 1.0), point(400, 0.01, recipe="y"), point(50, 2.0, recipe="y")]
    error, what = best_at(points, 200)
    assert error == pytest.approx(2 * 0.005 ** (2 / 3)) and what == "x50 to x400"
    assert best_at(points, 101)[0] == pytest.approx(2 * 0.005 ** (0.3381), rel=1e-3), "y's own line, below x's point"
    assert best_at([points[0], points[1]], 399) == (1.0, "x100, at 100")
    assert best_at(points, 49) == (None, "our cheapest, x50, takes 50")


def test_rows_hold_where_ours_is_no_worse() -> None:
    ours = [point(100, 0.1), point(100, 0.01, binary=False)]
    theirs = [point(100, 0.005, label="y", weight_bits=32), point(100, 0.05, label="y"), point(50, 0.04, time_steps=8)]
    rows = bench.compared_rows("mlp", "sinabs", 4, theirs, ours)
    assert [(r.name, r.ours, r.other, r.ratio, r.holds) for r in rows] == [
        ("mlp_sinabs_t4", 1.0, 0.5, 2.0, False),
        ("mlp_sinabs_t4_8bit", 1.0, 5.0, pytest.approx(0.2), True),
        ("mlp_sinabs_t4_binary", 10.0, 5.0, 2.0, False),
    ]
    (below, *_) = bench.compared_rows("mlp", "sinabs", 4, [replace(p, operations=99.0) for p in theirs], ours)
    assert (below.ours, below.goal, below.holds) == (None, None, None) and "our cheapest" in below.unit
    assert bench.chosen([point(9, 0.1), point(5, 0.2), point(6, 0.3)], 4).error == 0.1
    assert bench.chosen([point(9, 0.1), point(5, 0.05, time_steps=8)], 4).error == 0.1


def test_without_peers_our_part_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(peer: str, *_: object) -> list[Point]:
        raise NotInstalledError(f"not measured: {peer} does not import; `make peers` installs it")

    monkeypatch.setattr(bench, "points_of", missing)
    rows = {row.name: row for row in bench.bench_converters(CONSOLE, made=SMALL[3:4], steps=20)}
    assert next(iter(rows)) == "mlp_trained" and rows["mlp_trained"].ours
    for name in ("mlp_sinabs", "conv_spikingjelly"):
        assert rows[name].ours is None and rows[name].holds is None and "make peers" in rows[name].unit
    assert rows["conv_ours_lif_latency_graded"].ours
    assert "operations: lif_latency_graded, windows of 4" in rows["conv_ours_lif_latency_graded"].unit
    assert "converters" in BENCHES


@torch.no_grad()
def test_scaling_for_sinabs_does_not_change_the_function(conv: Small) -> None:
    one, _ = conv
    x = one.module.laid_out(*one.calibration[:2])
    found = scaled(one.module.chain, x, 99.0, 4)
    torch.testing.assert_close(found(x), one.module.chain(x), atol=1e-4, rtol=1e-3)
    first = found[1](found[0](x)).flatten()
    assert float((first > 4).double().mean()) == pytest.approx(0.01, abs=1e-3)


def test_a_peer_is_run_step_by_step() -> None:
    """A neuron that fires in every second step: outputs are means and spikes are counted per prediction."""

    class Every(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.t = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.t += 1
            return torch.full_like(x, float(self.t % 2))

    network = torch.nn.Sequential(Every())
    found = run(("s", network, Every, lambda net: setattr(net[0], "t", 0)), torch.zeros(5, 3), [2, 4])
    assert found["s|32|4|out"].tolist() == [[0.5] * 3] * 5 and found["s|8|4|h1"].tolist() == [2.0] * 3
    assert found["s|32|2|h1"].tolist() == [1.0] * 3


@pytest.mark.parametrize("peer", list(peers.PEERS))
def test_a_peer_that_is_installed_comes_close(peer: str, conv: Small, tmp_path: Path) -> None:
    one, net = conv
    if find_spec(peer) is None:
        with pytest.raises(NotInstalledError, match=f"not measured: {peer} does not import; `make peers` installs it"):
            peers.points_of(peer, one, net, tmp_path, (4,))
        return
    found = peers.points_of(peer, one, net, tmp_path, (4, 32))
    assert {(p.weight_bits, p.time_steps) for p in found} == {(bits, t) for bits in (8, 32) for t in (4, 32)}
    best = {t: min((p for p in found if p.time_steps == t), key=lambda p: p.error) for t in (4, 32)}
    assert best[32].error < 0.05 and best[32].error < best[4].error
    assert best[32].operations > best[4].operations > 4 * 10 * sum(net.sizes.values())


def test_errors_are_over_the_variance() -> None:
    wanted = torch.randn(500, 3, generator=torch.Generator().manual_seed(0)) + 5
    assert error_of(wanted.mean(0).expand_as(wanted), wanted) == pytest.approx(1.0, abs=0.01)
