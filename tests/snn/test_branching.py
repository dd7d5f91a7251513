"""Networks that branch: as exact as chains, and refused by one line where only a chain is taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from spikeplan.conversion import check
from spikeplan.core.chips import LOIHI2
from spikeplan.core.errors import UserError
from spikeplan.core.groups import network_of
from spikeplan.core.ir.artifact import Artifact, Edge, Layer, load, save
from spikeplan.core.planning import CEMConfig
from spikeplan.lava_procs.chain import validate_network
from spikeplan.lava_procs.loop import validate
from spikeplan.placement.graph import graph_of_artifact
from spikeplan.snn.delta import DeltaNetwork
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.worldmodel.planning.integer_cem import IntegerCEM

D, A = 5, 2
SHIFTS = {"code": 1, "h1": 6, "h2": 5, "out": 2}
THETAS = {"code": 4, "h1": 150, "h2": 90, "out": 1}
FEEDS = {"h1": [("code", 0)], "h2": [("code", 2), ("h1", 1)], "out": [("code", 3), ("h1", 0), ("h2", 1)]}
SIZES = {"code": D + A, "h1": 9, "h2": 8, "out": D}
DELAYS = {("code", "h2"): 2, ("code", "out"): 3, ("h1", "out"): 2}


@pytest.fixture
def branching() -> Artifact:
    rng = np.random.default_rng(7)
    layers = [Layer(name="code", kind="delta", n_in=D + A, n_out=D + A, shift=1, threshold_lsb=4)]
    for name, feeds in FEEDS.items():
        n_in, out = sum(SIZES[src] for src, _ in feeds), name == "out"
        layers.append(
            Layer(
                name=name,
                kind="sigma" if out else "sigma_delta",
                n_in=n_in,
                n_out=SIZES[name],
                weight=rng.integers(-127, 128, (SIZES[name], n_in)).astype(np.int8),
                bias=rng.integers(-200, 200, SIZES[name]).astype(np.int32),
                act="identity" if out else "relu",
                shift=SHIFTS[name],
                threshold_lsb=THETAS[name],
                message_bits=24 if out else 8,
            )
        )
    edges = [
        Edge(src=src, dst=dst, weight_exp=exp, delay_steps=DELAYS.get((src, dst), 1))
        for dst, feeds in FEEDS.items()
        for src, exp in feeds
    ]
    return Artifact(layers=tuple(layers), edges=tuple(edges), scales={"latent": 0.01, "action": 0.01})


def by_hand(net: Artifact, inputs: np.ndarray) -> tuple[list[dict[str, list[int]]], list[list[int]]]:
    """Plain integers, neuron by neuron, of one row after the other with the state kept."""
    sigma = {name: [0] * n for name, n in SIZES.items()}
    ref = {name: [0] * n for name, n in SIZES.items()}
    sent_of, values = [], []
    for x in inputs.tolist():
        sent: dict[str, list[int]] = {}
        for layer in net.layers:
            target = [int(v) for v in x] if layer.name == "code" else []
            if layer.name != "code":
                for n in range(layer.n_out):
                    column = 0
                    for src, exp in FEEDS[layer.name]:
                        for s in sent[src]:
                            sigma[layer.name][n] += (int(layer.weight[n, column]) * s) << exp
                            column += 1
                    u = sigma[layer.name][n] + int(layer.bias[n])
                    target.append(max(u, 0) if layer.act == "relu" else u)
            if layer.name == "out":
                values.append([int(u / 2**layer.shift) for u in target])
                break
            sent[layer.name] = []
            for n, u in enumerate(target):
                d = u - ref[layer.name][n]
                s = int(d / 2**layer.shift) if abs(d) >= layer.threshold_lsb else 0
                s = max(-127, min(127, s))
                ref[layer.name][n] += s << layer.shift
                sent[layer.name].append(s)
        sent_of.append(sent)
    return sent_of, values


def test_a_branching_network_is_exact(branching):
    rng = np.random.default_rng(1)
    walk = np.cumsum(rng.integers(-20, 21, (60, D + A)), 0)
    wanted, values = by_hand(branching, walk)
    network, state = DeltaNetwork(branching), None
    for x, sent, value in zip(walk, wanted, values, strict=True):
        done, state = network.run(torch.from_numpy(x)[None].to(network.dtype), state)
        assert [m[0].tolist() for m in done.messages[:-1]] == [sent[name] for name in ("code", "h1", "h2")]
        assert done.value_RD[0].tolist() == value
    every = [s for sent in wanted for name in ("code", "h1", "h2") for s in sent[name]]
    assert min(every) < 0 < max(every) and 0 in every
    assert network.depth == 4 and network.fan_out == [9 + 8 + D, 8 + D, D, 0]
    assert DeltaPredictor(branching).pipeline_steps == (4, 1)


def test_rows_of_a_batch_are_rows_alone(branching):
    network = DeltaNetwork(branching)
    x = torch.randint(-300, 300, (2, 3, D + A), generator=torch.Generator().manual_seed(0)).to(network.dtype)
    done, _ = network.run(x, None)
    for i in range(2):
        for j in range(3):
            alone, _ = network.run(x[i, j][None], None)
            assert alone.value_RD[0].equal(done.value_RD[i, j])


def test_synops_count_every_receiver(branching):
    network = DeltaNetwork(branching)
    done, _ = network.run(torch.full((1, D + A), 50.0, dtype=network.dtype), None)
    code, first, *_ = network.counts(done, rows=1, restored_rows=0, dense_rows=1)
    assert code.synops == 7 * (9 + 8 + D) and first.synops == first.messages * (8 + D)


def test_the_file_keeps_it_and_an_old_header_stays_as_it_was(branching, artifact, tmp_path):
    again = load(save(branching, tmp_path / "b.safetensors"))
    assert again.edges == branching.edges and not again.is_chain and not again.residual
    assert b"weight_exp" in (tmp_path / "b.safetensors").read_bytes()
    text = save(artifact, tmp_path / "a.safetensors").read_bytes()
    header = text[: text.index(b"scales")]
    assert b"weight_exp" not in header[header.index(b"edges") :], "builds that know no shift of an edge read a chain"
    assert load(tmp_path / "a.safetensors").is_chain


def test_what_takes_chains_refuses_it_in_one_line(branching):
    for use in (network_of, graph_of_artifact, validate_network):
        with pytest.raises(
            UserError, match="its layers branch, and a .* takes a chain|do not chain the layers"
        ) as error:
            use(branching)
        assert "\n" not in str(error.value)
    assert check(branching, LOIHI2) == [], "limits of neurons and memory are those of any network"


def test_the_loop_in_lava_refuses_an_output_that_is_the_next_latent(artifact):
    plain = replace(artifact, edges=tuple(e for e in artifact.edges if e.role == "feed"))
    with pytest.raises(UserError, match="its output is the next latent, and the planning loop in Lava adds an output"):
        validate(plain, None)  # type: ignore[arg-type]


def test_without_a_residual_edge_the_value_is_the_next_latent(artifact):
    plain = replace(artifact, edges=tuple(e for e in artifact.edges if e.role == "feed"))
    z, a = torch.randn(2, 3, 6) * 0.05, torch.randn(2, 3, 2) * 1e-4
    after, with_edge = [], []
    for net, found in ((plain, after), (artifact, with_edge)):
        predictor = DeltaPredictor(net)
        state = predictor.begin(z[:, 0], a[:, :, None], "zero")
        found.append(predictor.step(z, a, state)[0])
    rounded = (z / artifact.scales["latent"]).round() * artifact.scales["latent"]
    assert torch.allclose(after[0] + rounded, with_edge[0], atol=1e-6) and not after[0].equal(with_edge[0])


@pytest.mark.parametrize("residual", [True, False])
def test_the_integer_planner_plans_with_either(branching, residual):
    edges = (*branching.edges, *([Edge(src="out", dst="code", role="residual")] if residual else []))
    predictor = DeltaPredictor(replace(branching, edges=edges, scales={"latent": 1e-3, "action": 1e-4}))
    planner = IntegerCEM(
        predictor, CEMConfig(samples=8, elites=2, iterations=2, horizon=3), action_dim=A, action_limit=0.08
    )
    noise = torch.zeros(1, 8, planner.config.variables, A)
    latent = torch.full((1, D), 0.01)
    noise = planner.noise(1, torch.Generator().manual_seed(0))
    action, _, _ = planner.plan(latent, latent + 0.01, noise, None)
    assert action.shape == (1, A) and bool(torch.isfinite(action).all())


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"delay_steps": 1}, "edge code->h2: delay_steps 1, but the layer works 2 steps later"),
        ({"weight_exp": 63}, "edge code->h2: weight_exp 63 must be an integer from 0 to 62"),
        ({"src": "out"}, "outputs meet|no earlier layer feeds 'h2', or a later one does"),
    ],
)
def test_edges_that_do_not_fit_are_refused(branching, change, complaint):
    with pytest.raises(UserError, match=complaint):
        DeltaNetwork(
            replace(
                branching,
                edges=tuple(replace(e, **change) if (e.src, e.dst) == ("code", "h2") else e for e in branching.edges),
            )
        )
