"""An amortised policy: alone, the opponent of every planner, and guided, where its copies act inside the model.

A name says the predictor and then the policy, where they differ: guided-sigma_delta has both in spikes, guided-sigma_delta-int8
a spiking predictor and a dense policy of 8 bits. lif: both fire binary spikes over a few time steps.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from spikeplan.conversion import Calibration
from spikeplan.conversion.policy import convert_policy
from spikeplan.core.counts.operations import VALUE_PREFIX
from spikeplan.core.ir.artifact import Artifact
from spikeplan.evaluation.bundle import POLICY, TO_GO
from spikeplan.evaluation.methods.base import Method, Site
from spikeplan.evaluation.methods.dense import int8_predictor
from spikeplan.evaluation.methods.smaller import WIDTHS
from spikeplan.snn.delta_policy import DeltaPolicy
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.snn.lif_predictor import LIFPredictor
from spikeplan.worldmodel.int8 import Int8Predictor
from spikeplan.worldmodel.policies import GoalPolicy
from spikeplan.worldmodel.policies.networks import DensePolicy, Int8Policy, Policy
from spikeplan.worldmodel.policies.pair import Pair, PolicyAlone
from spikeplan.worldmodel.predictor import DensePredictor, Predictor

if TYPE_CHECKING:
    from spikeplan.evaluation.bundle import Bundle
    from spikeplan.evaluation.rows import LavaLoopRow

PURPLE = "#CC79A7"


def _dense(site: Site) -> Policy:
    return DensePolicy(site.bundle.policy())


def _int8(site: Site) -> Policy:
    policy = site.bundle.policy()
    return site.once("policy int8", lambda: Int8Policy(policy, *asked(policy, site.calibration)))


def asked(policy: GoalPolicy, data: Calibration) -> tuple[Tensor, Tensor]:
    """Latents of the calibration data, each with what a policy might be told there: latents from elsewhere in them."""
    latent_ND = data.latent_ND
    others = [latent_ND.flip(0), latent_ND.roll(len(latent_ND) // 2, 0)]
    return latent_ND, torch.cat(others[: 1 + policy.places], -1)


def _artifact(width: int | None, bundle: Bundle) -> Artifact:
    """The sigma-delta predictor of the task; None: the whole one."""
    return bundle.guided_artifact if width is None else bundle.guided_narrow_artifact(width)


def spiking_policy(site: Site, width: int | None = None) -> DeltaPolicy:
    """The policy in the integers of the task's sigma-delta predictor of this width: fine-tuned together with it, or converted by
    the data of every calibration."""

    def make() -> DeltaPolicy:
        policy, artifact = site.bundle.policy(), site.bundle.acting(POLICY, width)
        if artifact is None:
            artifact = convert_policy(policy, _artifact(width, site.bundle), *asked(policy, site.calibration))
        return DeltaPolicy(artifact.scaled(site.threshold), action_limit=policy.action_limit)

    return site.once(f"policy sigma_delta {width}", make)


def _valued(arithmetic: str, site: Site, width: int | None = None) -> Policy | None:
    """The policy's cost-to-go in the policy's own arithmetic; None where there is no file of it."""
    needed = site.bundle.lif_to_go_files if arithmetic == "lif" else site.bundle.to_go_files
    if not needed:
        return None
    if arithmetic == "lif":
        return site.bundle.lif_cost_to_go
    network = site.bundle.cost_to_go()
    latent, goal = asked(network, site.calibration)
    if arithmetic == "fp32":
        return DensePolicy(network, VALUE_PREFIX)
    if arithmetic == "int8":
        return site.once("to go int8", lambda: Int8Policy(network, latent, goal, VALUE_PREFIX))

    def make() -> DeltaPolicy:
        artifact = site.bundle.acting(TO_GO, width)
        if artifact is None:
            artifact = convert_policy(network, _artifact(width, site.bundle), latent, goal, prefix=VALUE_PREFIX)
        return DeltaPolicy(artifact.scaled(site.threshold), action_limit=network.action_limit, output="value")

    return site.once(f"to go sigma_delta {width}", make)


def _int8_predictor(site: Site, width: int | None = None) -> Predictor:
    if width is None:
        return int8_predictor(site)
    data, module = site.calibration, site.bundle.guided_narrow(width)
    return site.once(f"guided narrow {width}", lambda: Int8Predictor(module, data.latent_ND, data.action_NA))


def _narrow(width: int, site: Site) -> Predictor:
    return Pair(_int8_predictor(site, width), _int8(site), _valued("int8", site))


def _narrow_spikes(width: int, site: Site) -> Predictor:
    return Pair(_sigma_delta(site, width), spiking_policy(site, width), _valued("sigma_delta", site, width))


def _narrow_files(width: int, bundle: Bundle) -> list[Path]:
    return [bundle.model_path, bundle.guided_narrow_path(width), bundle.policy_path, *bundle.to_go_files]


def _spikes_files(width: int | None, bundle: Bundle) -> list[Path]:
    return [
        bundle.model_path,
        bundle.acting_in(width),
        bundle.policy_path,
        *bundle.to_go_files,
        *bundle.acting_files(width),
    ]


def _files(*names: str) -> Callable[[Bundle], list[Path]]:
    return lambda bundle: [bundle.model_path, *(bundle.beside(name) for name in names), *bundle.to_go_files]


def _lif_files(bundle: Bundle) -> list[Path]:
    return [bundle.model_path, bundle.lif_policy_path, *bundle.lif_to_go_files]


def _policy_files(*names: str) -> Callable[[Bundle], list[Path]]:
    return lambda bundle: [*_files(*names)(bundle), bundle.policy_path]


def _method(name: str, make: Callable[[Site], Predictor], planner: str, **more: Any) -> Method:
    settings: dict[str, Any] = {"family": "dense", "files": _policy_files(), "colour": PURPLE, "marker": "P"}
    return Method(name=name, make=make, planner=planner, **(settings | more))


def _pair(predictor: Callable[[Site], Predictor], arithmetic: str, site: Site) -> Predictor:
    """`arithmetic`: of policy and cost-to-go, one of POLICY_IN."""
    return Pair(predictor(site), POLICY_IN[arithmetic](site), _valued(arithmetic, site))


def _dense_predictor(site: Site) -> Predictor:
    return DensePredictor(site.bundle.model.predictor)


def _sigma_delta(site: Site, width: int | None = None) -> Predictor:
    return DeltaPredictor(_artifact(width, site.bundle).scaled(site.threshold))


def _lif_predictor(site: Site) -> Predictor:
    return LIFPredictor(site.bundle.guided_lif)


def _lif(site: Site) -> Policy:
    return site.bundle.lif_policy


POLICY_IN: dict[str, Callable[[Site], Policy]] = {
    "fp32": _dense,
    "int8": _int8,
    "sigma_delta": spiking_policy,
    "lif": _lif,
}


def _in_lava(*, cost: str | None = None, **settings: Any) -> LavaLoopRow:
    from spikeplan.evaluation.lava.guided import guided_episodes

    return guided_episodes(cost=cost, **settings)


SPIKING: dict[str, Any] = {
    "family": "spiking",
    "files": partial(_spikes_files, None),
    "artifact": lambda bundle: bundle.guided_artifact,
    "colour": "#D55E00",
    "relative_cost": 1.6,
}
SPIKING_WIDTHS = {"guided": (64, 96, 128), "refined": (96, 128)}  # of narrow predictors
ALONE: dict[str, Any] = {"relative_cost": 0.01, "marker": "*"}
BINARY: dict[str, Any] = {
    "family": "spiking",
    "files": lambda bundle: [bundle.guided_lif_path, *_lif_files(bundle)],
    "colour": "#CC79A7",
    "marker": "s",
    "relative_cost": 5.8,
}
MIXED: dict[str, Any] = SPIKING | {
    "files": lambda bundle: [bundle.guided_path, *_lif_files(bundle)],
    "colour": "#E69F00",
    "marker": "s",
}
ORANGE: dict[str, Any] = {"colour": "#E69F00"}


def _narrow_spiking(planner: str, width: int) -> Method:
    own: dict[str, Any] = {
        "files": partial(_spikes_files, width),
        "artifact": partial(_artifact, width),
        "relative_cost": 0.6,
        "marker": WIDTHS[width],
    }
    name = f"{planner}-sigma_delta-{width}"
    return _method(name, partial(_narrow_spikes, width), planner, **(SPIKING | ORANGE | own))


def _gradient_narrow(width: int, site: Site) -> Predictor:
    """In fp32, which has a gradient; as many MACs as in 8 bits."""
    return Pair(DensePredictor(site.bundle.guided_narrow(width)), _dense(site), _valued("fp32", site))


METHOD = (
    _method("policy", lambda site: PolicyAlone(_dense(site)), "direct", **ALONE),
    _method("policy-int8", lambda site: PolicyAlone(_int8(site)), "direct", **ALONE),
    _method("policy-sigma_delta", lambda site: PolicyAlone(spiking_policy(site)), "direct", **(SPIKING | ALONE)),
    _method(
        "policy-lif",
        lambda site: PolicyAlone(_lif(site)),
        "direct",
        **(BINARY | ALONE | {"files": _lif_files}),
    ),
    *(
        method
        for planner in ("guided", "refined")
        for method in (
            _method(planner, partial(_pair, _dense_predictor, "fp32"), planner),
            _method(f"{planner}-int8", partial(_pair, _int8_predictor, "int8"), planner),
            _method(f"{planner}-sigma_delta", partial(_pair, _sigma_delta, "sigma_delta"), planner, **SPIKING),
            _method(f"{planner}-sigma_delta-int8", partial(_pair, _sigma_delta, "int8"), planner, **(SPIKING | ORANGE)),
        )
    ),
    *(
        _method(f"{planner}-lif", partial(_pair, _lif_predictor, "lif"), planner, **BINARY)
        for planner in ("guided", "refined")
    ),
    _method(
        "guided-lif-int8",
        partial(_pair, _lif_predictor, "int8"),
        "guided",
        **(BINARY | {"files": lambda bundle: [bundle.guided_lif_path, *_policy_files()(bundle)]}),
    ),
    _method("guided-sigma_delta-lif", partial(_pair, _sigma_delta, "lif"), "guided", **MIXED),
    *(
        _method(name, partial(_pair, _sigma_delta, "sigma_delta"), "integer_guided", **(SPIKING | more))
        for name, more in (
            ("guided-integer", {"marker": "D"}),
            ("guided-lava", {"marker": "^", "closed_loop": _in_lava}),
        )
    ),
    *(
        _method(
            f"{planner}-narrow-{width}",
            partial(_narrow, width),
            planner,
            files=partial(_narrow_files, width),
            marker="X",
        )
        for planner in ("guided", "refined")
        for width in WIDTHS
    ),
    _method("gradient", partial(_pair, _dense_predictor, "fp32"), "gradient", relative_cost=1.5),
    *(
        _method(
            f"gradient-narrow-{width}",
            partial(_gradient_narrow, width),
            "gradient",
            files=partial(_narrow_files, width),
            marker="X",
        )
        for width in (96, 128)
    ),
    *(_narrow_spiking(planner, width) for planner, widths in SPIKING_WIDTHS.items() for width in widths),
)
