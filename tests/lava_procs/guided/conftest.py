"""A small policy and predictor, and one plan of them in plain numbers: one copy after the other, one number after the other.

`plain_plan` is written from the equations and shares no code with lava_procs/ or core/prices/; networks are `plain_pass`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from spikeplan.core.guided_params import GuidedParams
from spikeplan.core.ir.artifact import Artifact, save
from spikeplan.core.noise import candidate_noise
from spikeplan.core.prices import Priced

TOP = 2**23 - 1
D, A = 4, 2


def _params(**changes: Any) -> GuidedParams:
    """Two places to keep out of, and sums that four saturated distances take beyond 24 bits."""
    settings: dict[str, Any] = {
        "samples": 5,
        "horizon": 4,
        "limit": 400,
        "action_shift": 1,
        "spread": (300, 200, 150, 101),
        "cost_shift": 1,
        "latent_dim": D,
        "action_dim": A,
        "places": 2,
        "prices": (Priced(name="distance"), Priced(name="avoid", weight=3, settings={"margin": 4000})),
    }
    return GuidedParams(**{**settings, **changes})


class PlainPlan(NamedTuple):
    cost: list[int]
    winner: int
    actions: np.ndarray  # (H, S, A)
    path: np.ndarray  # (H, S, D)
    policy_messages: list[int]
    predictor_messages: list[int]
    value_messages: list[int]
    saturated: int
    action_clips: int


class _Clip:
    """Clips single numbers to 24 bits, and counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, x: int) -> int:
        inside = max(-TOP, min(TOP, x))
        self.count += inside != x
        return inside


@pytest.fixture(scope="session")
def params() -> Callable[..., GuidedParams]:
    return _params


@pytest.fixture(scope="session")
def networks(make_chain: Callable[..., Artifact]) -> dict[str, Artifact]:
    """All layers send both zeros and others; a policy's outputs go beyond the action's limit now and then. A policy has no
    residual edge. `told`: a policy that is told the mean of the places, too. `value`: a cost-to-go."""
    rng = np.random.default_rng(8)
    acting: dict[str, Any] = {"shifts": (5, 7, 4), "thresholds": (32, 200), "weight_exps": (2, 2), "action_scale": 1e-4}
    policy = make_chain(rng, (2 * D, 12, A), **acting)
    predictor = make_chain(
        rng, (D + A, 14, 10, D), shifts=(5, 7, 6, 2), thresholds=(40, 300, 70), weight_exps=(2, 1, 1)
    )
    told = make_chain(rng, (3 * D, 12, A), **acting)
    value = make_chain(rng, (2 * D, 10, 1), **acting)
    feeds = tuple(edge for edge in policy.edges if edge.role == "feed")
    return {
        "policy": replace(policy, edges=feeds),
        "predictor": predictor,
        "told": replace(told, edges=feeds),
        "value": replace(value, edges=feeds),
    }


@pytest.fixture(scope="session")
def files(networks: dict[str, Artifact], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("networks")
    policy, predictor = (save(networks[name], folder / f"{name}.safetensors") for name in ("policy", "predictor"))
    return policy, predictor


@pytest.fixture(scope="session")
def value_file(networks: dict[str, Artifact], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(networks["value"], tmp_path_factory.mktemp("value") / "value.safetensors")


@pytest.fixture(scope="session")
def told_files(
    files: tuple[Path, Path], networks: dict[str, Artifact], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    return save(networks["told"], tmp_path_factory.mktemp("told") / "policy.safetensors"), files[1]


@pytest.fixture(scope="session")
def plain_plan(networks: dict[str, Artifact], plain_pass: Callable[..., Any]) -> Callable[..., PlainPlan]:
    def run(
        p: GuidedParams,
        z: np.ndarray,
        goal: np.ndarray,
        places: np.ndarray,
        seed: int,
        *,
        reference: str = "zero",
        price: Callable[..., int] | None = None,
        mean: np.ndarray | None = None,
    ) -> PlainPlan:
        """`price(z, a, goal, places)`: of a user, in place of the price named mine. `mean`: what the policy is told beside the
        goal, where it is told."""
        acts, told = ("policy", [*goal]) if mean is None else ("told", [*goal, *mean])
        noise = candidate_noise(np.array([seed]), p.samples, 1, p.action_dim)[0, :, 0].astype(int)
        for copy in range(2, p.samples, 2) if p.mirrored else ():
            noise[copy] = [-int(e) for e in noise[copy - 1]]
        clip, action_clips = _Clip(), 0
        cost, actions, path = [], np.zeros((p.horizon, p.samples, A), int), np.zeros((p.horizon, p.samples, D), int)
        sent = {name: [0] * len(networks[name].layers) for name in networks}

        def through(name: str, x: list[int], state: Any) -> tuple[list[int], Any]:
            done = plain_pass(networks[name], np.array(x, np.int64), state if reference == "previous_step" else None)
            clip.count += sum(done.clipped.values()) + sum(done.saturated.values())
            for i, layer in enumerate(networks[name].layers):
                sent[name][i] += (
                    int((done.messages[layer.name] != 0).sum()) if layer.name in done.messages else layer.n_out
                )
            return [int(v) for v in done.value], done.state

        for s in range(p.samples):
            here, total, states = [int(v) for v in z], 0, dict.fromkeys(networks)
            for t in range(p.horizon):
                proposal, states[acts] = through(acts, [*here, *told], states[acts])
                act = []
                for b, e in zip(proposal, noise[s], strict=True):
                    wanted = b + int(p.spread[t] * int(e) / 256) * 2**p.action_shift
                    end = p.limit * 2**p.action_shift
                    act.append(max(-end, min(end, wanted)))
                    action_clips += abs(wanted) > end
                change, states["predictor"] = through("predictor", [*here, *act], states["predictor"])
                here = [clip(x + dx) for x, dx in zip(here, change, strict=True)]
                added = 0
                for term in p.prices:
                    if term.name == "distance":
                        found = sum(abs(x - int(g)) for x, g in zip(here, goal, strict=True))
                    elif term.name == "avoid":
                        nearest = min(
                            sum(abs(x - int(o)) for x, o in zip(here, place, strict=True)) for place in places
                        )
                        found = max(0, term.settings["margin"] - nearest)
                    else:
                        assert price is not None
                        found = price(here, act, goal, places)
                    added += clip(term.weight * (clip(found) // 2**p.cost_shift))
                total = clip(total + added)
                actions[t, s], path[t, s] = act, here
            if p.to_go_weight:
                (told_V,), _ = through("value", [*here, *goal], None)
                inside = max(-p.to_go_limit, min(p.to_go_limit, told_V))
                total = clip(total + clip(p.to_go_weight * int(inside / 2**p.to_go_shift)))
            cost.append(total)
        messages = sent[acts], sent["predictor"], sent["value"] if p.to_go_weight else []
        return PlainPlan(cost, cost.index(min(cost)), actions, path, *messages, clip.count, action_clips)

    return run
