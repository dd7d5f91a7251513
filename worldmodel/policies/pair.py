"""A policy with the predictor that it acts in, or alone, as what a method makes: one thing to be planned with and counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from spikeplan.core.chips import ChipLimits
from spikeplan.core.counts.operations import ACTING_REFERENCES, LayerCounts
from spikeplan.core.errors import UserError
from spikeplan.core.groups import NeuronGroups, acting, judged_by
from spikeplan.worldmodel.planning.costs import Cost, CostToGo, Sum
from spikeplan.worldmodel.policies.networks import Policy
from spikeplan.worldmodel.predictor import Predictor


@dataclass
class Acting:
    """Where both stand in a rollout; `policy`: None where it keeps no state; `step`: of the proposals."""

    predictor: Any
    policy: Any = None
    step: int = 0


@dataclass(frozen=True)
class Pair:
    """A predictor and the policy that acts in it, as one thing to be counted and placed. `value`: the policy's cost-to-go.

    Where predictor and policy are `shared`, the policy's first pass is made once for all copies, which start alike, and what it
    is told takes part once a plan. What is planned stays the same to the bit."""

    predictor: Predictor
    policy: Policy
    value: Policy | None = None

    def judging(self, own: Cost, weight: float) -> Cost:
        """A planner's cost, and the cost-to-go at its end. Raises UserError where there is none."""
        value = self.value_of(weight)
        return own if value is None else Sum((own, CostToGo(network=value, weight=weight)))

    def value_of(self, weight: float) -> Policy | None:
        """The cost-to-go of a planner that weighs it so; None at 0. Raises UserError where there is none."""
        if weight and self.value is None:
            raise UserError(
                "this method has no cost-to-go; plan with --to-go 0, or make TASK.cost-to-go.safetensors with "
                "`spikeplan train --task TASK`"
            )
        return self.value if weight else None

    @property
    def references(self) -> tuple[str, ...]:
        return tuple(name for name in self.predictor.references if name in ACTING_REFERENCES)

    @property
    def spiking(self) -> bool:
        return self.predictor.spiking

    @property
    def precision(self) -> str:
        return self.predictor.precision

    @property
    def pipeline_steps(self) -> tuple[int, int]:
        """Policy and predictor one after the other; a dense policy runs beside the chip and takes none of its steps."""
        own, other = self.predictor.pipeline_steps, self.policy_steps
        return own if other is None else (own[0] + other[0], own[1] + other[1])

    @property
    def policy_steps(self) -> tuple[int, int] | None:
        """How many of those are the policy's; None where it is dense."""
        return self.policy.pipeline_steps if self.policy.spiking else None

    @property
    def value_steps(self) -> tuple[int, int] | None:
        """Of a cost-to-go, which takes its own; None where there is none or it is dense."""
        return self.value.pipeline_steps if self.value is not None and self.value.spiking else None

    def memory(self) -> dict[str, tuple[int, int]]:
        return {
            **self.policy.memory(),
            **self.predictor.memory(),
            **({} if self.value is None else self.value.memory()),
        }

    def weights_left(self) -> dict[str, int]:
        own = {**self.policy.weights_left(), **self.predictor.weights_left()}
        return own if self.value is None else own | self.value.weights_left()

    def neuron_groups(self, chip: ChipLimits, *, contexts: int = 0) -> NeuronGroups | None:
        """Of both, where both are spiking; a dense policy runs beside the chip."""
        predictor = self.predictor.neuron_groups(chip, contexts=contexts)
        policy = self.policy.neuron_groups(chip, contexts=contexts)
        both = predictor if predictor is None or policy is None else acting(policy, predictor)
        value = None if self.value is None else self.value.neuron_groups(chip)
        return both if both is None or value is None else judged_by(both, value)

    def begin(self, latent_BD: Tensor, candidates_BSHA: Tensor, reference: str, previous: Any = None) -> Any:
        return self.predictor.begin(latent_BD, candidates_BSHA, reference, previous)

    def begin_acting(self, latent_BD: Tensor, order_BSHA: Tensor, reference: str) -> Acting:
        """Where the policy's actions are not known yet: copies that start together are ordered by what perturbs them."""
        begin = getattr(self.predictor, "begin_acting", self.predictor.begin)
        compared = getattr(self.policy, "begin_acting", None)
        policy = None if compared is None else compared(order_BSHA, reference)
        return Acting(begin(latent_BD, order_BSHA, reference), policy)

    def propose(self, latent_BSD: Tensor, told_BG: Tensor, state: Acting) -> tuple[Tensor, list[LayerCounts]]:
        """The policy's actions in this step of the rollout, and the operations of each of its layers."""
        act: Callable[..., tuple[Tensor, list[LayerCounts]]] = self.policy.act
        asked = latent_BSD
        if getattr(self.policy, "shared", False):
            first = state.step == 0
            asked = latent_BSD[:, :1] if first else latent_BSD
            act = partial(act, told_rows=len(latent_BSD) if first else 0)
        state.step += 1
        if state.policy is not None:
            state.policy.mean_latent = state.predictor.mean_latent
            act = partial(act, state=state.policy)
        action, counts = act(asked, told_BG)
        return action.expand(*latent_BSD.shape[:2], -1), counts

    def follow(self, latent_BSD: Tensor, action_BSA: Tensor, state: Acting) -> tuple[Tensor, Acting, list[LayerCounts]]:
        """The predictor's step after it."""
        reached, state.predictor, counts = self.predictor.step(latent_BSD, action_BSA, state.predictor)
        return reached, state, counts

    def step(self, latent_BSD: Tensor, action_BSA: Tensor, state: Any) -> tuple[Tensor, Any, list[LayerCounts]]:
        return self.predictor.step(latent_BSD, action_BSA, state)


@dataclass(frozen=True)
class PolicyAlone:
    """A policy that acts without a model. It imagines nothing, so a planner that asks it to is told so."""

    policy: Policy
    references = ("zero",)

    @property
    def spiking(self) -> bool:
        return self.policy.spiking

    @property
    def precision(self) -> str:
        return self.policy.precision

    @property
    def pipeline_steps(self) -> tuple[int, int]:
        return self.policy.pipeline_steps

    def memory(self) -> dict[str, tuple[int, int]]:
        return self.policy.memory()

    def weights_left(self) -> dict[str, int]:
        return self.policy.weights_left()

    def neuron_groups(self, chip: ChipLimits, *, contexts: int = 0) -> NeuronGroups | None:
        return self.policy.neuron_groups(chip, contexts=contexts)

    def begin(self, latent_BD: Tensor, candidates_BSHA: Tensor, reference: str, previous: Any = None) -> Any:
        raise UserError(
            "a policy alone imagines nothing: plan with the planner direct, or with a method that has a predictor"
        )

    def step(self, latent_BSD: Tensor, action_BSA: Tensor, state: Any) -> tuple[Tensor, Any, list[LayerCounts]]:
        raise UserError(
            "a policy alone imagines nothing: plan with the planner direct, or with a method that has a predictor"
        )
