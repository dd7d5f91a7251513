"""What a planner of somebody else may get wrong: each is one line that names the planner and what was expected of it.

Our own planners are checked too, but a mistake inside of them keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from spikeplan.core.errors import UserError, short
from spikeplan.worldmodel.planning.base import Planner

PARTS = ("config", "op_counts", "predictor", "noise", "shift", "plan")
PLANNED = "plan must return (action (B, A), mean (B, V, A), trace)"


def check_planner(found: Any, name: str) -> Planner:
    """What a planner's `make` returned. Raises UserError where it is no Planner."""
    missing = [part for part in PARTS if not hasattr(found, part)]
    if missing:
        raise UserError(
            f"planner {name!r}: make returned a {type(found).__name__} without {', '.join(missing)}; "
            "it must return a planning.base.Planner"
        )
    planner: Planner = found
    return planner


@contextmanager
def called(where: str, expected: str, *, ours: bool) -> Iterator[None]:
    """What a call into a plug-in raises, in one line; `ours`: our own code, whose mistakes are shown whole."""
    try:
        yield
    except (UserError, OSError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        # A signal and the command line's own exit are subclasses of SystemExit.
        if ours or (isinstance(error, SystemExit) and type(error) is not SystemExit):
            raise
        raise UserError(f"{where}: failed ({type(error).__name__}: {short(error)}); {expected}") from error


class Checked:
    """A planner whose noise, actions and means have the shapes that were asked for.

    Args:
        name: how messages call it; None: by its class.

    >>> action, mean, trace = Checked(planner, action_dim=2).plan(latent, goal, noise, None, record=False)
    """

    def __init__(self, planner: Planner, *, action_dim: int, name: str | None = None) -> None:
        self.planner, self.action_dim = planner, action_dim
        self.name = f"planner {(name or type(planner).__name__)!r}"
        self.ours = type(planner).__module__.startswith("spikeplan.")

    def noise(self, episodes: int, generator: torch.Generator) -> Tensor:
        """A row an episode."""
        expected = f"noise({episodes}, generator) must return a tensor with {episodes} rows, one an episode"
        with called(self.name, expected, ours=self.ours):
            found = self.planner.noise(episodes, generator)
        if not isinstance(found, Tensor) or found.ndim < 1 or len(found) != episodes:
            raise UserError(f"{self.name}: noise is {_shape(found)}; {expected}")
        return found

    def plan(
        self, latent_BD: Tensor, goal: Any, noise: Tensor, warm: Tensor | None, *, record: bool
    ) -> tuple[Tensor, Tensor, Any]:
        """Action (B, A), finite; the mean (B, V, A) one step later, as the next warm start; trace."""
        batch, dim = len(latent_BD), self.action_dim
        with called(self.name, PLANNED, ours=self.ours):
            found: Any = self.planner.plan(latent_BD, goal, noise, warm, record=record)
        if not isinstance(found, tuple) or len(found) != 3:
            parts = f" of {len(found)}" if isinstance(found, tuple) else ""
            raise UserError(f"{self.name}: plan returned a {type(found).__name__}{parts}; {PLANNED}")
        action, mean, trace = found
        if not isinstance(action, Tensor) or action.shape != (batch, dim):
            raise UserError(f"{self.name}: action is {_shape(action)}, not ({batch}, {dim}); {PLANNED}")
        if not isinstance(mean, Tensor) or mean.ndim != 3 or (len(mean), mean.shape[2]) != (batch, dim):
            raise UserError(f"{self.name}: mean is {_shape(mean)}, not ({batch}, V, {dim}); {PLANNED}")
        if action.is_complex() or not torch.isfinite(action).all():
            raise UserError(f"{self.name}: an action is not finite; {PLANNED}, of finite numbers")
        with called(self.name, "shift(mean) must return the next warm start", ours=self.ours):
            warm = self.planner.shift(mean)
        return action.detach().cpu(), warm, trace


def _shape(found: object) -> str:
    shape = getattr(found, "shape", None)
    kind = "a tensor" if isinstance(found, Tensor) else f"a {type(found).__name__}"
    return kind if shape is None else f"{kind} of shape {tuple(shape)}"
