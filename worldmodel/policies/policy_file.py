"""Policy files: one safetensors file whose header carries task, recipe, config and the digest of the world model."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from spikeplan.core.errors import UserError
from spikeplan.core.files import write_whole
from spikeplan.core.tensor_file import FileKind
from spikeplan.worldmodel.policies.base import GoalPolicy, PolicyConfig

FILE = FileKind(
    key="policy",
    name="policy",
    form="policy of `spikeplan train`",
    make="make one with `spikeplan train --task TASK`",
    again="train it again",
)
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class PolicyMeta:
    """`source_sha256`: of the world model that the policy was made with."""

    task: str
    recipe: str
    config: PolicyConfig
    source_sha256: str
    validation_success: float


def save_policy(policy: GoalPolicy, path: str | os.PathLike[str], meta: PolicyMeta) -> Path:
    """Write a policy, whole or not at all. Raises UserError where the folder cannot be written."""
    target = Path(path)
    sizes = {
        "latent_dim": policy.latent_dim,
        "action_dim": policy.action_dim,
        "action_limit": policy.action_limit,
        "hidden": list(policy.hidden),
    }
    header = {"version": VERSION, "sizes": sizes, **asdict(meta), "versions": {"torch": torch.__version__}}
    tensors = {name: value.detach().contiguous() for name, value in policy.state_dict().items()}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, lambda part: save_file(tensors, part, metadata=FILE.metadata(header)))
    except OSError as error:
        raise UserError(f"{target}: cannot write the policy ({error}); choose a writable directory") from error
    return target


def load_policy(path: str | os.PathLike[str], *, task: str, latent_dim: int, action_dim: int) -> GoalPolicy:
    """Read a policy for a world model of these widths.

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
        )
        policy.load_state_dict(tensors)
        own = str(meta["task"])
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        detail = " ".join(str(error).split())[:160] or repr(error)
        raise UserError(f"{source}: damaged policy header or weights ({detail}); train it again") from error
    if own != task:
        raise UserError(f"{source}: a policy for task {own}, not {task}; use --task {own}")
    if (policy.latent_dim, policy.action_dim) != (latent_dim, action_dim):
        raise UserError(
            f"{source}: made for latents of {policy.latent_dim} and actions of {policy.action_dim}, the world model has "
            f"{latent_dim} and {action_dim}; train it again"
        )
    if not all(torch.isfinite(value).all() for value in tensors.values()):
        raise UserError(f"{source}: weights are not finite; train it again")
    return policy.eval()
