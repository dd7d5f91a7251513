"""Event-rate fine-tuning of a predictor together with the policy that acts in it and the policy's cost-to-go.

    a_hat[s,t]   = clip(policy_hat(z_hat[s,t], told) + stray[s,t]),    z_hat[s,t+1] = predictor_hat(z_hat[s,t], a_hat[s,t])
    J_hat[s]     = cost(z_hat[s], a_hat[s]) + w V_hat(z_hat[s,H], goal)
    L            = mean |z_hat - z|^2 + mean |policy_hat(z_hat) - policy(z_hat)|^2 / limit^2
                   + mean (J_hat - J)^2 / mean var_s J + lambda synops / dense MACs

With `sparse` the last term is the chip's whole bill (snn/bill.py) in place of the synops, and weights and neurons go meanwhile
(snn/sparse_training.py).

A planner clips what the policy says before it strays, too; the twin clips once, so that a policy at its limit has a gradient.
z, J: the dense networks' own imagined futures, their copies straying alike. The loop is closed: what thresholds hold back in one
network is paid by the other. Synops are those of all three networks in a plan, on the reference that they are trained for.
Every other step is the predictor's alone, on the candidates of a recorded search where there is one (finetune_delta.py), so that
it stays right beside the policy's own way.
Shapes: B records, S copies, H steps, D latent, A action, G told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from spikeplan.core.counts.operations import ACTING_REFERENCES
from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.snn.bill import KEPT, Bill, Shares
from spikeplan.snn.delta_chain import DeltaChain, SendingChain
from spikeplan.snn.finetune_delta import DeltaTraining, Judge, Rollouts, delta_losses, train_chains
from spikeplan.snn.sparse_training import Part, Pruner, SparseTraining


class Acting(Protocol):
    """A policy or cost-to-go in real numbers: GoalPolicy."""

    @property
    def action_limit(self) -> float: ...
    def raw(self, latent: Tensor, told: Tensor) -> Tensor: ...


class Starts(NamedTuple):
    """Where planning started and what its policy was told, its goal first; `judge` as in Rollouts, without a cost-to-go."""

    latent_ND: Tensor
    told_NG: Tensor
    judge: Judge


class Teachers(NamedTuple):
    """The dense networks."""

    predictor: Callable[[Tensor, Tensor], Tensor]
    policy: Acting
    value: Acting


@dataclass(frozen=True, kw_only=True)
class ActingTraining:
    """`copies`: how many act, how far, how they stray, and the weight of the cost-to-go. `shared`: as fine-tuning a predictor.
    `sparse`: what is taken out meanwhile; None: nothing, and synops alone are charged. `once`: what copies have in common is
    charged once, as `Pair` plans it where its networks are shared."""

    copies: GuidedConfig
    shared: DeltaTraining
    reference: str = "zero"
    action_weight: float = 1.0
    sparse: SparseTraining | None = None
    once: bool = False

    def __post_init__(self) -> None:
        if self.reference not in ACTING_REFERENCES:
            raise UserError(
                f"fine-tuning on reference {self.reference!r} is not offered; use {', '.join(ACTING_REFERENCES)}"
            )
        if self.once and self.reference != "zero":
            raise UserError(
                f"fine-tuning together: shared work is on zero, not on {self.reference}; leave out one of them"
            )
        if self.copies.samples < 2 or self.copies.correlation != 1:
            raise UserError(
                f"fine-tuning together: {self.copies.samples} copies with correlation {self.copies.correlation:g}; it takes at "
                "least 2, whose perturbation is held"
            )


class Imagined(NamedTuple):
    """What copies imagined and did; `proposed_BSHA`: by the policy alone, in action limits, before the clip. `bill`: of one."""

    latents_BSHD: Tensor
    actions_BSHA: Tensor
    proposed_BSHA: Tensor
    value_BS: Tensor
    bill: Bill

    @property
    def synops(self) -> Tensor:
        """Of one copy."""
        return self.bill.synops


class _Compared:
    """One chain in a rollout, compared with earlier passes. Copies are in the order in which they are compared."""

    def __init__(self, chain: SendingChain, like: Tensor, reference: str) -> None:
        self.chain, self.reference, self.silent = chain, reference, chain.silent(like)
        self.refs = self.silent

    def run(
        self, x_BSI: Tensor, mean_B1I: Tensor | None, charged: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Outputs, the mean copy's, and synops of a copy's pass. `charged`: as SendingChain.sent has it, on zero."""
        if self.reference == "previous_candidate":
            refs, outs, total = self.silent, [], x_BSI.new_zeros(())
            for s in range(x_BSI.shape[1]):
                out, refs, _, synops = self.chain.sent(x_BSI[:, s], refs)
                outs.append(out)
                total = total + synops
            return torch.stack(outs, 1), None, total / x_BSI.shape[1]
        mean_out, more = None, x_BSI.new_zeros(())
        if mean_B1I is not None:
            mean_out, self.refs, _, synops = self.chain.sent(mean_B1I, self.refs)
            more = synops / x_BSI.shape[1]
        out, refs, _, synops = self.chain.sent(x_BSI, self.refs, charged)
        if self.reference == "previous_step":
            self.refs = refs
        return out, mean_out, synops + more


class ActingChains(nn.Module):
    """The twins of the three networks."""

    def __init__(self, predictor: DeltaChain, policy: SendingChain, value: SendingChain) -> None:
        super().__init__()
        self.predictor, self.policy, self.value = predictor, policy, value

    def dense(self, horizon: int) -> float:
        """MACs of one copy."""
        return horizon * (self.predictor.macs + self.policy.macs) + self.value.macs

    def shares(self, copies: int, latent_dim: int) -> Shares:
        """What one of so many copies is charged of common work."""
        return Shares(
            policy=self.policy, predictor=self.predictor, value=self.value, copies=copies, latent_dim=latent_dim
        )

    def imagine(
        self,
        z_BD: Tensor,
        told_BG: Tensor,
        stray_BSHA: Tensor,
        limits: tuple[float, float],
        on: str,
        *,
        once: bool = False,
    ) -> Imagined:
        """`limits`: of an action, and of the cost-to-go. `on`: the reference. `once`: what copies share is charged once."""
        s, horizon, d = *stray_BSHA.shape[1:3], z_BD.shape[1]
        limit, most = limits
        acting, predicting = (_Compared(chain, z_BD, on) for chain in (self.policy, self.predictor))
        z, told = z_BD[:, None].expand(-1, s, -1), told_BG[:, None]
        mean = z_BD[:, None] if on == "mean_candidate" else None
        path, taken, proposed, synops = [], [], [], z_BD.new_zeros(())
        share = self.shares(s, d) if once else None
        for t in range(horizon):
            asked = torch.cat([z, told.expand(-1, s, -1)], -1)
            out, _, sent = acting.run(
                asked, None if mean is None else torch.cat([mean, told], -1), None if share is None else share.told(t)
            )
            action = (limit * out + stray_BSHA[:, :, t]).clamp(-limit, limit)
            of_mean = None if mean is None else torch.cat([mean, action.mean(1, keepdim=True)], -1)
            change, mean_change, more = predicting.run(
                torch.cat([z, action], -1), of_mean, None if share is None else share.start(t)
            )
            mean = None if mean is None or mean_change is None else mean + mean_change
            z, synops = z + change, synops + sent * (1.0 if share is None else share.passes(t)) + more
            path.append(z)
            taken.append(action)
            proposed.append(out)
        goal = told[..., :d].expand(-1, s, -1)
        out, _, sent = _Compared(self.value, z_BD, "zero").run(
            torch.cat([z, goal], -1), None, None if share is None else share.goal()
        )
        value = most * out[..., 0].clamp(-1.0, 1.0)
        looped, judging, kept = self.policy.remaining() + self.predictor.remaining(), self.value.remaining(), KEPT[on]
        bill = Bill(
            synops + sent,
            horizon * kept.updates(s) * looped + judging - (0.0 if share is None else share.updates(horizon)),
            horizon * (kept.restores(s) * looped + d),
        )
        return Imagined(torch.stack(path, 2), torch.stack(taken, 2), torch.stack(proposed, 2), value, bill)


@torch.no_grad()
def dense_futures(
    teachers: Teachers, z_BD: Tensor, told_BG: Tensor, stray_BSHA: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The dense networks' latents (B, S, H, D), actions (B, S, H, A) and cost-to-go (B, S)."""
    s, limit = stray_BSHA.shape[1], teachers.policy.action_limit
    z, told, path, taken = z_BD[:, None].expand(-1, s, -1), told_BG[:, None].expand(-1, s, -1), [], []
    for t in range(stray_BSHA.shape[2]):
        own = limit * teachers.policy.raw(z, told).clamp(-1.0, 1.0)
        taken.append((own + stray_BSHA[:, :, t]).clamp(-limit, limit))
        z = teachers.predictor(z, taken[-1])
        path.append(z)
    goal = told[..., : z.shape[-1]]
    value = teachers.value.action_limit * teachers.value.raw(z, goal)[..., 0].clamp(-1.0, 1.0)
    return torch.stack(path, 2), torch.stack(taken, 2), value


def strayed(
    config: ActingTraining, records: int, action_dim: int, limit: float, *, generator: torch.Generator
) -> Tensor:
    """How copies stray (B, S, H, A), as the planner draws it; on `previous_candidate` in the order in which they are compared."""
    c = config.copies
    fading = limit * c.spread * torch.tensor([c.decay**t for t in range(c.horizon)])[:, None]
    eps = torch.randn(records, c.samples, 1, action_dim, generator=generator)
    if c.mirrored:
        eps[:, 2::2] = -eps[:, 1:-1:2]
    eps[:, 0] = 0.0
    if config.reference == "previous_candidate":
        order = eps[:, :, 0, 0].argsort(dim=1, stable=True)
        eps = eps[torch.arange(records)[:, None], order]
    return eps * fading


def finetune_acting(
    chains: ActingChains,
    teachers: Teachers,
    starts: Starts,
    searched: Sequence[Rollouts],
    config: ActingTraining,
    *,
    generator: torch.Generator,
    report: Callable[[dict[str, float]], None] | None = None,
) -> None:
    """Train `chains` in place. `searched`: what a search asked of the predictor; none: the copies are all it learns from.

    Raises UserError for searches on a reference but zero, which the predictor's own steps do not have.
    """
    if searched and config.reference != "zero":
        raise UserError(f"fine-tuning together: searches are on zero, not on {config.reference}; leave them out")
    c, shared, limit = config.copies, config.shared, teachers.policy.action_limit
    dense, actions_of = chains.dense(c.horizon), int(chains.policy.fan_out[-1])

    def losses(step: int) -> dict[str, Tensor]:
        if searched and step % 2:
            return delta_losses(chains.predictor, searched[(step // 2) % len(searched)], shared, generator)
        pick = torch.randint(len(starts.latent_ND), (shared.records,), generator=generator)
        z, told = starts.latent_ND[pick], starts.told_NG[pick]
        stray = strayed(config, shared.records, actions_of, limit, generator=generator)
        latents, actions, value = dense_futures(teachers, z, told, stray)
        limits = (limit, teachers.value.action_limit)
        ours = chains.imagine(z, told, stray, limits, config.reference, once=config.once)
        prediction = (ours.latents_BSHD - latents).square().mean()
        before = torch.cat([z[:, None, None].expand(-1, c.samples, 1, -1), ours.latents_BSHD[:, :, :-1]], 2).detach()
        with torch.no_grad():
            wanted = teachers.policy.raw(before, told[:, None, None].expand(*before.shape[:3], -1)).clamp(-1.0, 1.0)
        inside = ours.proposed_BSHA - wanted  # beyond the clip it may go farther
        beyond = (wanted.abs() == 1.0) & (inside * wanted > 0)
        imitation = inside.masked_fill(beyond, 0.0).square().mean()
        cost = starts.judge(pick, ours.latents_BSHD, ours.actions_BSHA) + c.to_go * ours.value_BS
        target = starts.judge(pick, latents, actions) + c.to_go * value
        ranking = (cost - target).square().mean() / target.var(1).mean().clamp_min(1e-6)
        density = (ours.synops if config.sparse is None else ours.bill.equivalents) / dense
        loss = prediction + config.action_weight * imitation + shared.cost_weight * ranking
        total = loss + shared.rate_weight * density
        parts = {"prediction": prediction, "imitation": imitation, "ranking": ranking, "density": density}
        return {"total": total, **parts}

    def tell(step: int, row: dict[str, float]) -> None:
        if report and "imitation" in row:
            report({"step": step, **{name: value for name, value in row.items() if name != "total"}})

    pruner = None
    if config.sparse is not None:
        kept = KEPT[config.reference]
        passes, restores = kept.updates(c.samples), kept.restores(c.samples)
        parts = [
            Part(chains.predictor, c.horizon, passes + restores),
            Part(chains.policy, c.horizon, passes + restores),
            Part(chains.value, 1, 1.0),
        ]
        pruner = Pruner(parts, config.sparse, shared.steps)
    train_chains(chains, losses, shared, tell, pruner)
