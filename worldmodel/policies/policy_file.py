"""Policy files: one safetensors file whose header carries task, recipe, config and the digest of the world model.

A cost-to-go is kept the same way: a network of [z, z_goal] with one output (`cost_to_go.py`).
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from spikeplan.core.errors import UserError
from spikeplan.core.files import write_whole
from spikeplan.core.tensor_file import FileKind
from spikeplan.worldmodel.policies.base import GoalPolicy

FILE = FileKind(
    key="policy",
    name="policy",
    form="policy of `spikeplan train`",
    make="make one with `spikeplan train --task TASK`",
    again="train it again",
)
VERSION = 1
TO_GO = "cost_to_go"  # the recipe of a file that holds no policy


@dataclass(frozen=True, kw_only=True)
class PolicyMeta:
    """`config`: a dataclass. `source_sha256`: of the file that it was made with: a policy's world model, a cost-to-go's policy.
    `validation_success`: of a policy."""

    task: str
    recipe: str
    config: Any
    source_sha256: str
    validation_success: float | None = None


def made_so(path: Path, *, recipe: str, config: Any, source_sha256: str) -> bool:
    """Whether a file stands that was made by this recipe, with these settings and from this source."""
    known = FILE.header(path)
    made = known.get("recipe"), known.get("config"), known.get("source_sha256")
    return made == (recipe, json.loads(json.dumps(asdict(config))), source_sha256)


def save_policy(policy: GoalPolicy, path: str | os.PathLike[str], meta: PolicyMeta) -> Path:
    """Write a policy, whole or not at all. Raises UserError where the folder cannot be written."""
    target = Path(path)
    sizes = {
        "latent_dim": policy.latent_dim,
        "action_dim": policy.action_dim,
        "action_limit": policy.action_limit,
        "hidden": list(policy.hidden),
        "places": policy.places,
    }
    header = {"version": VERSION, "sizes": sizes, **asdict(meta), "versions": {"torch": torch.__version__}}
    tensors = {name: value.detach().contiguous() for name, value in policy.state_dict().items()}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, lambda part: save_file(tensors, part, metadata=FILE.metadata(header)))
    except OSError as error:
        raise UserError(f"{target}: cannot write the policy ({error}); choose a writable directory") from error
    return target


def load_cost_to_go(path: str | os.PathLike[str], *, task: str, latent_dim: int) -> GoalPolicy:
    """Read a cost-to-go; its limit is the largest cost that it tells. Raises UserError as `load_policy`."""
    found = load_policy(path, task=task, latent_dim=latent_dim, action_dim=1, to_go=True)
    if found.places:
        raise UserError(f"{path}: a cost-to-go that is told of places, which none is; train it again")
    return found


def load_policy(
    path: str | os.PathLike[str], *, task: str, latent_dim: int, action_dim: int, to_go: bool = False
) -> GoalPolicy:
    """Read a policy for a world model of these widths; `to_go`: a cost-to-go.

    Raises UserError, in one line, for a file that is missing, damaged, of another task or of other widths, or not finite.
    """
    source, (meta, tensors) = Path(path), FILE.read(path)
    try:
        if meta["version"] != VERSION:
            raise ValueError(f"version {meta['version']}, this build reads {VERSION}")
        sizes: dict[str, Any] = meta["sizes"]
        policy = GoalPolicy(
            sizes["latent_dim"],
            sizes["action_dim"],
            action_limit=float(sizes["action_limit"]),
            hidden=tuple(sizes["hidden"]),
            places=bool(sizes.get("places", False)),  # files of before 0.2 have none
        )
        policy.load_state_dict(tensors)
        own, is_to_go = str(meta["task"]), meta["recipe"] == TO_GO
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        detail = " ".join(str(error).split())[:160] or repr(error)
        raise UserError(f"{source}: damaged policy header or weights ({detail}); train it again") from error
    if not 0 < policy.action_limit < math.inf:
        raise UserError(f"{source}: a limit of {policy.action_limit}, not above 0 and finite; train it again")
    if is_to_go != to_go:
        kinds = ("a cost-to-go", "a policy") if is_to_go else ("a policy", "a cost-to-go")
        raise UserError(f"{source}: {kinds[0]}, not {kinds[1]}; make one with `spikeplan train --task {own}`")
    if own != task:
        word = "a cost-to-go" if to_go else "a policy"
        raise UserError(f"{source}: {word} for task {own}, not {task}; use --task {own}")
    if (policy.latent_dim, policy.action_dim) != (latent_dim, action_dim):
        raise UserError(
            f"{source}: made for latents of {policy.latent_dim} and actions of {policy.action_dim}, the world model has "
            f"{latent_dim} and {action_dim}; train it again"
        )
    if not all(torch.isfinite(value).all() for value in tensors.values()):
        raise UserError(f"{source}: weights are not finite; train it again")
    return policy.eval()
