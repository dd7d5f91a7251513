"""Predictor, policy and cost-to-go together: the twins imagine what the integer networks do, and training them sends less."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from spikeplan.conversion import Calibration, SigmaDelta, convert
from spikeplan.conversion.calibration import chain_of
from spikeplan.conversion.policy import convert_policy
from spikeplan.core.counts.operations import ACTING_REFERENCES, VALUE_PREFIX, OperationCounts, total
from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.core.ir.artifact import Artifact
from spikeplan.evaluation.shard import Job, make_op_counts
from spikeplan.snn.delta_chain import DeltaChain, SendingChain
from spikeplan.snn.delta_policy import DeltaPolicy
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.snn.finetune_acting import (
    ActingChains,
    ActingTraining,
    Starts,
    Teachers,
    dense_futures,
    finetune_acting,
)
from spikeplan.snn.finetune_delta import DeltaTraining
from spikeplan.snn.shrink import shrunk
from spikeplan.snn.sparse_training import SparseTraining
from spikeplan.worldmodel.planning.guided import GuidedPlanner
from spikeplan.worldmodel.policies import GoalPolicy
from spikeplan.worldmodel.policies.pair import Pair

LIMIT, MOST = 0.3, 40.0
COPIES = GuidedConfig(samples=5, horizon=3, spread=0.6, decay=0.9, mirrored=True, to_go=0.5)


class Three(NamedTuple):
    """Dense predictor, policy and cost-to-go, their sigma-delta forms, and where plans start."""

    dense: tuple[Any, GoalPolicy, GoalPolicy]
    artifacts: tuple[Artifact, Artifact, Artifact]
    starts: Starts
    data: Calibration
    told: Tensor

    def chains(self, dense: Any = None) -> ActingChains:
        predictor, policy, value = dense or self.dense
        return ActingChains(
            DeltaChain(chain_of(predictor), self.artifacts[0]),
            SendingChain(policy.linears(), self.artifacts[1]),
            SendingChain(value.linears(), self.artifacts[2]),
        )

    @property
    def teachers(self) -> Teachers:
        return Teachers(*self.dense)


def distance(goal_ND: Tensor) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    return lambda records, latents, actions: (latents - goal_ND[records][:, None, None]).abs().sum((-1, -2))


def spiking(dense: Any, data: Calibration, told: Tensor, thresholds: Any = (0.25, 0.25, 0.25)) -> Any:
    predictor, policy, value = dense
    first = thresholds[0]
    recipe = SigmaDelta(thresholds=first, absolute=isinstance(first, tuple))
    artifact, _ = convert(predictor, data, recipe)
    acts = convert_policy(policy, artifact, data.latent_ND, told, thresholds=thresholds[1])
    judges = convert_policy(value, artifact, data.latent_ND, told, thresholds=thresholds[2], prefix=VALUE_PREFIX)
    return artifact, acts, judges


@pytest.fixture
def three(make_predictor: Callable[..., Any]) -> Three:
    predictor, latent, action = make_predictor()
    torch.manual_seed(7)
    policy = GoalPolicy(6, 2, action_limit=LIMIT, hidden=(24, 24))
    value = GoalPolicy(6, 1, action_limit=MOST, hidden=(16, 16))
    goal = latent.flip(0)
    artifacts = spiking((predictor, policy, value), Calibration(latent, action), goal)
    starts = Starts(latent[:40], goal[:40], distance(goal[:40]))
    return Three((predictor, policy, value), artifacts, starts, Calibration(latent, action), goal)


def pair_of(artifacts: Any, **how: Any) -> Pair:
    predictor, policy, value = artifacts
    acts = DeltaPolicy(policy, action_limit=LIMIT, **how)
    return Pair(DeltaPredictor(predictor, **how), acts, DeltaPolicy(value, action_limit=MOST, output="value", **how))


def planned(artifacts: Any, starts: Starts, noise_BSHA: Tensor, reference: str) -> tuple[Any, float]:
    """The integer networks' plan, and synops of a copy's whole plan."""
    pair = pair_of(artifacts)
    counts = OperationCounts(method="x", reference=reference, precision="int8", spiking=True)
    planner = GuidedPlanner(pair, COPIES, action_dim=2, action_limit=LIMIT, reference=reference, op_counts=counts)
    trace = planner.plan(starts.latent_ND, starts.told_NG, noise_BSHA)[2]
    sent = sum(c.synops for _, c in counts.counts("predictor"))
    return trace, sent / (len(starts.latent_ND) * COPIES.samples)


def booked(three: Three, reference: str, once: bool) -> float:
    """Synop-equivalents of a copy's plan in the networks' own layers, by the integer networks on a chip of sparse weights."""
    pair = pair_of(three.artifacts, sparse=True, shared=once)
    job = Job(task="keep-out", method="guided-sigma_delta", role="x", planner=COPIES, episodes=1, count=1)
    counts = make_op_counts(replace(job, reference=reference), pair)
    planner = GuidedPlanner(pair, COPIES, action_dim=2, action_limit=LIMIT, reference=reference, op_counts=counts)
    rows = len(three.starts.latent_ND)
    planner.plan(three.starts.latent_ND, three.starts.told_NG, noise(rows, 1))
    booked = [row for row in counts.rows("interleaved") if row.phase == "predictor"]
    return total(booked, "synop_equivalents") / (rows * COPIES.samples)


@pytest.mark.parametrize(("reference", "once"), [*((name, False) for name in ACTING_REFERENCES), ("zero", True)])
def test_the_bill_of_the_twins_is_what_the_integer_networks_are_charged(
    three: Three, reference: str, once: bool
) -> None:
    """Within 3 % where a third of the weights is zero; without restores, or with what copies share charged, it is off by more."""
    for net in three.dense:
        for linear in net.linears():
            weight = linear.weight.detach()
            weight[weight.abs() < weight.abs().quantile(1 / 3)] = 0.0
    sparse = Three(three.dense, spiking(three.dense, three.data, three.told), *three[2:])
    eps = noise(len(three.starts.latent_ND), 1)
    stray = eps[:, :, None] * (LIMIT * COPIES.spread * torch.tensor([COPIES.decay**t for t in range(3)]))[:, None]
    with torch.no_grad():
        starts, chains = three.starts, sparse.chains()
        bill = chains.imagine(starts.latent_ND, starts.told_NG, stray, (LIMIT, MOST), reference, once=once).bill
    charged = booked(sparse, reference, once)
    assert float(bill.equivalents) == pytest.approx(charged, rel=0.03)
    if once:
        assert charged < 0.9 * booked(sparse, reference, False)
        return
    sent = planned(sparse.artifacts, three.starts, eps, reference)[1]
    assert float(bill.synops) == pytest.approx(sent * 2 / 3, rel=0.1)
    assert reference == "zero" or float(bill.synops + 10 * bill.updates) < 0.97 * charged


def noise(rows: int, seed: int) -> Tensor:
    """Held, (B, S, A): copies in the order of what perturbs them first, the one that is not among them."""
    eps = torch.randn(rows, COPIES.samples, 2, generator=torch.Generator().manual_seed(seed))
    eps[:, 0] = 0.0
    order = eps[:, :, 0].argsort(dim=1, stable=True)
    return eps[torch.arange(rows)[:, None], order]


@pytest.mark.parametrize("reference", ACTING_REFERENCES)
def test_the_twins_imagine_what_the_integer_networks_do(three: Three, reference: str) -> None:
    """Latents within 2 % of the variance of the change, synops within 5 %; on another reference they are others by more."""
    eps, starts = noise(len(three.starts.latent_ND), 1), three.starts
    fading = LIMIT * COPIES.spread * torch.tensor([COPIES.decay**t for t in range(COPIES.horizon)])
    stray = eps[:, :, None] * fading[:, None]
    with torch.no_grad():
        ours = three.chains().imagine(starts.latent_ND, starts.told_NG, stray, (LIMIT, MOST), reference)
    trace, synops = planned(three.artifacts, starts, eps, reference)
    change = (trace.latents_BSHD - starts.latent_ND[:, None, None]).square().mean()
    assert float((ours.latents_BSHD - trace.latents_BSHD).square().mean() / change) < 0.02
    assert float((ours.actions_BSHA - trace.actions_BSHA).abs().mean()) < 0.02 * LIMIT
    assert float(ours.synops) == pytest.approx(synops, rel=0.05)
    cost = starts.judge(torch.arange(40), ours.latents_BSHD, ours.actions_BSHA) + COPIES.to_go * ours.value_BS
    assert float((cost - trace.cost_BS).abs().mean()) < 0.03 * float(trace.cost_BS.std())
    others = [planned(three.artifacts, starts, eps, other)[1] for other in ACTING_REFERENCES if other != reference]
    assert min(abs(other - synops) for other in others) > 0.05 * synops


def test_shared_work_is_charged_on_zero_alone() -> None:
    with pytest.raises(UserError, match="shared work is on zero, not on previous_step; leave out one of them"):
        ActingTraining(copies=COPIES, shared=DeltaTraining(), reference="previous_step", once=True)


def test_training_sends_less_and_acts_the_same(three: Three, make_predictor: Callable[..., Any]) -> None:
    """Of the twins, and of the integer networks converted with the thresholds that they learned."""
    _, latent, action = make_predictor()
    students = copy.deepcopy(three.dense)
    chains, rows = three.chains(students), []
    shared = DeltaTraining(steps=60, records=6, rate=1e-3, threshold_rate=0.1, rate_weight=2.0)
    finetune_acting(
        chains,
        three.teachers,
        three.starts,
        (),
        ActingTraining(copies=COPIES, shared=shared),
        generator=torch.Generator().manual_seed(0),
        report=rows.append,
    )
    assert len(rows) == 60 and rows[-1]["density"] < 0.85 * rows[0]["density"]
    assert chains.value is not None
    learned = [chain.thresholds() for chain in (chains.predictor, chains.policy, chains.value)]
    tuned = spiking(students, Calibration(latent, action), latent.flip(0), learned)
    eps, starts = noise(40, 1), three.starts
    much, (after, less) = planned(three.artifacts, starts, eps, "zero")[1], planned(tuned, starts, eps, "zero")
    assert less < 0.85 * much
    stray = eps[:, :, None] * (LIMIT * COPIES.spread * torch.tensor([0.9**t for t in range(3)]))[:, None]
    wanted, acted, _ = dense_futures(three.teachers, starts.latent_ND, starts.told_NG, stray)
    still = (wanted - starts.latent_ND[:, None, None]).square().mean()
    assert float((after.latents_BSHD - wanted).square().mean()) < 0.2 * float(still), "and it still predicts"
    assert float((after.actions_BSHA - acted).abs().mean()) < 0.2 * float(acted.abs().mean()), "and acts"


def test_the_loop_is_closed_and_randomness_passed_in(three: Three) -> None:
    """What the policy holds back is seen in the predictor's latents; a seed decides a run."""

    def first(seed: int, **changes: Any) -> dict[str, float]:
        rows: list[dict[str, float]] = []
        config = replace(ActingTraining(copies=COPIES, shared=DeltaTraining(steps=2, records=4)), **changes)
        chains = three.chains(copy.deepcopy(three.dense))
        with torch.no_grad():
            chains.policy.log_threshold.fill_(quiet)
        finetune_acting(
            chains,
            three.teachers,
            three.starts,
            (),
            config,
            generator=torch.Generator().manual_seed(seed),
            report=rows.append,
        )
        return rows[0]

    quiet = -9.0
    busy = first(0)
    assert busy == first(0) != first(1)
    quiet = 3.0
    silent = first(0)
    assert silent["prediction"] > 1.01 * busy["prediction"] and silent["imitation"] > 10 * busy["imitation"]
    with pytest.raises(UserError, match="reference 'previous_iteration' is not offered; use zero, previous_step"):
        first(0, reference="previous_iteration")
    with pytest.raises(UserError, match=r"policy: 2 thresholds for 3 sending layers \(coder first\)"):
        convert_policy(three.dense[1], three.artifacts[0], torch.randn(9, 6), torch.randn(9, 6), thresholds=(0.1, 0.1))


@pytest.mark.parametrize(("how", "share"), [("magnitude", 0.6), ("movement", 0.6), ("saliency", 0.6), ("n_of_m", 0.5)])
def test_training_for_the_bill_takes_out_weights_and_lowers_it(three: Three, how: str, share: float) -> None:
    """Shares as asked for; zeros stay zeros through conversion, and the bill falls by more than without taking anything out."""
    students, rows = copy.deepcopy(three.dense), []
    chains = three.chains(students)
    shared = DeltaTraining(steps=40, records=6, rate=1e-3, threshold_rate=0.05)
    finetune_acting(
        chains,
        three.teachers,
        three.starts,
        (),
        ActingTraining(copies=COPIES, shared=shared, sparse=SparseTraining(pruned=share, how=how)),
        generator=torch.Generator().manual_seed(0),
        report=rows.append,
    )
    assert rows[-1]["density"] < 0.8 * rows[0]["density"]
    learned = [chain.thresholds() for chain in (chains.predictor, chains.policy, chains.value)]
    tuned = spiking(students, three.data, three.told, learned)
    weights = [linear.weight.detach() for net in students for linear in net.linears()]
    zero = sum(int((w == 0).sum()) for w in weights) / sum(w.numel() for w in weights)
    assert zero == pytest.approx(share, abs=0.05), "two of four keeps all of a last group that is not whole"
    layers = [layer for artifact in tuned for layer in artifact.layers[1:]]
    for weight, layer in zip(weights, layers, strict=True):
        assert not layer.weight[(weight == 0).numpy()].any()


def test_removed_neurons_shrink_the_network_and_its_updates(three: Three) -> None:
    students = copy.deepcopy(three.dense)
    chains = three.chains(students)
    before = remaining(chains)
    finetune_acting(
        chains,
        three.teachers,
        three.starts,
        (),
        ActingTraining(
            copies=COPIES,
            shared=DeltaTraining(steps=20, records=4),
            sparse=SparseTraining(pruned=0.0, removed=0.5),
        ),
        generator=torch.Generator().manual_seed(0),
    )
    after = remaining(chains)
    hidden = sum(linear.out_features for net in three.dense for linear in net.linears()[:-1])
    assert before - after == pytest.approx(0.5 * hidden, abs=1)
    for net in students:
        smaller = shrunk(net.linears())
        x = torch.randn(50, smaller[0].in_features)
        theirs = net.linears()
        assert sum(one.out_features for one in smaller) < sum(one.out_features for one in theirs)
        assert torch.allclose(forward(smaller, x), forward(theirs, x), atol=1e-5)


def remaining(chains: ActingChains) -> float:
    return sum(float(chain.remaining().detach()) for chain in (chains.predictor, chains.policy, chains.value))


def forward(linears: Any, x: Tensor) -> Tensor:
    for linear in linears[:-1]:
        x = linear(x).relu()
    out: Tensor = linears[-1](x)
    return out
