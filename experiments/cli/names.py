"""What can be named on the command line, and the answer to a name that is not known.

Most registries import torch, which takes seconds. So what ships is listed here as plain words; a test holds each list to
its registry. A name is first sought in the list. Only where a plugin was loaded may it be in the registry alone.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable

from spikeplan.core.chips import CHIPS
from spikeplan.core.counts.operations import REFERENCES
from spikeplan.core.errors import UserError
from spikeplan.core.registry import plugin_names

SHIPPED: dict[str, tuple[str, ...]] = {
    "tasks": (
        "keep-out",
        "keep-out-two",
        "planar-reach",
        "planar-reach-near",
        "planar-reach-anywhere",
        "two-room",
        "two-room-random",
    ),
    "trainable": ("planar-reach", "two-room", "two-room-random"),
    "methods": (
        "converted-delta_transformer",
        "converted-lif_latency",
        "converted-lif_rate",
        "converted-matmul_free",
        "converted-one_quantum",
        "dense",
        "int8",
        "zero_skipping",
        "lif",
        "oracle",
        "policy",
        "policy-int8",
        "policy-sigma_delta",
        "policy-lif",
        "guided",
        "guided-int8",
        "guided-sigma_delta",
        "guided-sigma_delta-int8",
        "refined",
        "refined-int8",
        "refined-sigma_delta",
        "refined-sigma_delta-int8",
        "guided-lif",
        "refined-lif",
        "guided-lif-int8",
        "guided-sigma_delta-lif",
        "guided-integer",
        "guided-lava",
        "guided-narrow-64",
        "guided-narrow-96",
        "guided-narrow-128",
        "refined-narrow-64",
        "refined-narrow-96",
        "refined-narrow-128",
        "gradient",
        "gradient-narrow-96",
        "gradient-narrow-128",
        "guided-sigma_delta-64",
        "guided-sigma_delta-96",
        "guided-sigma_delta-128",
        "refined-sigma_delta-96",
        "refined-sigma_delta-128",
        "random",
        "sigma_delta",
        "sigma_delta-64",
        "sigma_delta-96",
        "sigma_delta-128",
        "sigma_delta-mad",
        "integer",
        "lava",
        "narrow-64",
        "narrow-96",
        "narrow-128",
        "pruned-80",
        "pruned-90",
        "pruned-95",
    ),
    "planners": ("cem", "cem_mad", "direct", "gradient", "guided", "integer_cem", "integer_guided", "refined"),
    "costs": ("distance", "last_distance", "effort", "squared"),
    "policies": ("cloned", "hindsight", "relabelled"),
    "predictors": ("gated", "residual", "transformer"),
    "recipes": ("delta_transformer", "lif_latency", "lif_rate", "matmul_free", "one_quantum", "sigma_delta"),
    "chips": tuple(CHIPS),
    "references": tuple(REFERENCES),
    "benches": (
        "plan",
        "lava",
        "events",
        "energy",
        "planner",
        "references",
        "convert",
        "converters",
        "sparse_front",
        "shared_work",
        "wide",
        "predictors",
    ),
}
ABOUT = {
    "tasks": "what is planned, for --task",
    "trainable": "tasks that `spikeplan train` trains",
    "methods": "how a plan is made, for --method",
    "planners": "how a method searches, for --planner; `spikeplan planners` compares them",
    "costs": "what a plan is for, for `plan --cost`",
    "policies": "recipes of amortised policies, for `spikeplan train`",
    "predictors": "networks that imagine the next latent; a checkpoint says which one it holds",
    "recipes": "how a dense network becomes spiking, for `convert --recipe`; tasks to train: `spikeplan list trainable`",
    "references": "what a sigma-delta network takes changes against, for --reference",
    "chips": "spiking chips whose limits are known, for --chip",
    "machines": "what `spikeplan energy` prices, with your own by --devices",
    "formats": "event recordings that are read",
    "conditions": "what `spikeplan fusion` varies, for --conditions",
    "benches": "what `spikeplan bench` compares",
}
GYM = "gym:"  # any gymnasium environment is a task by its id


def tasks() -> tuple[str, ...]:
    from spikeplan.worldmodel.tasks import TASKS

    return tuple(TASKS)


def trainable() -> tuple[str, ...]:
    from spikeplan.worldmodel.tasks import TASKS

    return tuple(name for name, task in TASKS.items() if task.recipe is not None)


def methods() -> tuple[str, ...]:
    from spikeplan.evaluation.methods import METHODS

    return tuple(METHODS)


def planners() -> tuple[str, ...]:
    from spikeplan.worldmodel.planning import PLANNERS

    return tuple(PLANNERS)


def costs() -> tuple[str, ...]:
    from spikeplan.worldmodel.planning.costs import COSTS

    return tuple(COSTS)


def policies() -> tuple[str, ...]:
    from spikeplan.worldmodel.policies import POLICIES

    return tuple(POLICIES)


def predictors() -> tuple[str, ...]:
    from spikeplan.worldmodel.predictors import PREDICTORS

    return tuple(PREDICTORS)


def recipes() -> tuple[str, ...]:
    from spikeplan.conversion.recipes import RECIPES

    return tuple(RECIPES)


def references() -> tuple[str, ...]:
    return tuple(REFERENCES)


def chips() -> tuple[str, ...]:
    return tuple(CHIPS)


def machines() -> tuple[str, ...]:
    from spikeplan.energy.catalogue import default

    return tuple(default().devices)


def formats() -> tuple[str, ...]:
    from spikeplan.eventdata.formats import FORMATS

    return tuple(f"{name} (.{', .'.join(found.suffixes)})" for name, found in FORMATS.items())


def conditions() -> tuple[str, ...]:
    from spikeplan.fusion.streams import CONDITIONS

    return tuple(condition.name for condition in CONDITIONS)


def benches() -> tuple[str, ...]:
    from spikeplan.experiments.bench.plan import BENCHES

    return tuple(BENCHES)


KINDS: dict[str, Callable[[], tuple[str, ...]]] = {
    "tasks": tasks,
    "trainable": trainable,
    "methods": methods,
    "planners": planners,
    "costs": costs,
    "policies": policies,
    "predictors": predictors,
    "recipes": recipes,
    "references": references,
    "chips": chips,
    "machines": machines,
    "formats": formats,
    "conditions": conditions,
    "benches": benches,
}
OLD_METHODS = {"zero-skip": "zero_skipping"} | {
    old: f"sigma_{old}" for old in ("delta", "delta-64", "delta-96", "delta-128", "delta-mad")
}
OLD_REFERENCES = {
    "none": "zero",
    "rollout": "previous_step",
    "order": "previous_candidate",
    "mean": "mean_candidate",
    "iteration": "previous_iteration",
}


def check(kind: str, name: str) -> None:
    """Refuses a name that is not known, without importing torch unless a plugin may have brought it.

    `kind` is a key of KINDS. Raises UserError with the names there are and the closest one.
    """
    plugged = bool(plugin_names())
    if name in SHIPPED[kind] or (plugged and name in KINDS[kind]()):
        return
    if kind in ("tasks", "trainable") and name.startswith(GYM):
        return
    if kind == "references" and name in OLD_REFERENCES:
        raise UserError(
            f"reference {name!r} is called {OLD_REFERENCES[name]} now; use --reference {OLD_REFERENCES[name]}"
        )
    known = known_names(kind)
    if kind == "methods" and name in OLD_METHODS:
        raise UserError(f"method {name!r} is called {OLD_METHODS[name]} now; use --method {OLD_METHODS[name]}")
    what = "has no training recipe" if kind == "trainable" else "is unknown"
    word = {"trainable": "task", "benches": "bench"}.get(kind, kind.removesuffix("s"))
    raise UserError(f"{word} {name!r} {what}; {did_you_mean(name, known)}use one of {', '.join(known)}")


def known_names(kind: str) -> tuple[str, ...]:
    """What ships, then what plug-ins brought; without a plug-in no registry is imported."""
    shipped = SHIPPED[kind]
    return (*shipped, *(each for each in KINDS[kind]() if each not in shipped)) if plugin_names() else shipped


def did_you_mean(word: str, known: tuple[str, ...]) -> str:
    """`did you mean X? ` for a slip of the keyboard, else nothing."""
    close = difflib.get_close_matches(word.lower().replace("_", "-"), known, 1, 0.6)
    return f"did you mean {close[0]}? " if close else ""
