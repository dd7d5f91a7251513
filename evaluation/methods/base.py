"""A method: how it predicts and plans, what it reads from disk, what it is called and how it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from spikeplan.core.errors import UserError
from spikeplan.core.files import file_digest
from spikeplan.core.ir.artifact import Artifact

if TYPE_CHECKING:
    from spikeplan.conversion import Calibration
    from spikeplan.evaluation.bundle import Bundle
    from spikeplan.evaluation.rows import LavaLoopRow
    from spikeplan.worldmodel.predictor import Predictor

T = TypeVar("T")
# floor          no model at all
# oracle         the simulator itself as predictor; nothing is counted
# dense          networks trained to run densely: every MAC is computed
# dense_replay   a sigma-delta network's own function, every MAC computed
# zero_skipping  MACs of zero activations or weights are skipped, at no cost for finding them: the most favourable count
# spiking        message-driven: synops, neuron updates, restores
FAMILIES = ("floor", "oracle", "dense", "dense_replay", "zero_skipping", "spiking")


@dataclass(frozen=True)
class Site:
    """Where a method is made: the task's trained files, and the factor on the thresholds that a sweep asks for.

    >>> METHODS["dense"].predictor(Site(load_bundle("two-room"), 1.0))
    """

    bundle: Bundle
    threshold: float = 1.0

    @cached_property
    def calibration(self) -> Calibration:
        """What the dense predictor saw in recorded plans; four episodes are planned for it."""
        return _calibration(self.bundle.model_path, file_digest(self.bundle.model_path))

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What `make` makes, made at the first call of this name: calibrating takes longer than planning a short shard."""
        if name not in self._made:
            self._made[name] = make()
        made: T = self._made[name]
        return made

    @cached_property
    def _made(self) -> dict[str, Any]:
        return {}


@lru_cache(maxsize=8)
def _calibration(path: Path, digest: str) -> Calibration:
    """Of a world model's file: the same for every task, method and threshold that uses it."""
    from spikeplan.evaluation.recorded_plans import RECORD_SEED, record_plans
    from spikeplan.worldmodel.checkpoint import load_model

    return record_plans(load_model(path), episodes=4, seed=RECORD_SEED, every=5).calibration()


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to plan.

    Args:
        name: what `--method` takes and every row carries.
        family: one of FAMILIES; iso-success compares families.
        make: makes the predictor. None: a method that acts without one (`family` floor) or plans by itself (`closed_loop`).
        files: the trained files that it reads; a cached result is void when one of them changes.
        artifact: the sigma-delta network, whose file says at which reference it runs. None: no such network.
        planner: name of its planner in PLANNERS.
        closed_loop: plans whole episodes by itself (Lava); gets what `lava_episodes` takes and returns one row. One that takes
            `cost`, a name in COSTS, is given it where the user asks for one.
        readings: the same run charged to other hardware, as runs of their own; takes and returns evaluation.aggregate.Run.
        relative_cost: time of a prediction, in those of the dense one; for progress and scheduling only.
        colour, marker: how figures draw it.

    >>> METHOD = Method(name="mine", family="dense", make=lambda site: DensePredictor(site.bundle.model.predictor))
    """

    name: str
    family: str
    make: Callable[[Site], Predictor] | None = None
    files: Callable[[Bundle], list[Path]] = lambda bundle: [bundle.model_path]
    artifact: Callable[[Bundle], Artifact] | None = None
    planner: str = "cem"
    closed_loop: Callable[..., LavaLoopRow] | None = None
    readings: Callable[[Any], list[Any]] = lambda run: []
    relative_cost: float = 1.0
    colour: str = "#7A7A7A"
    marker: str = "o"

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise UserError(
                f"method {self.name!r}: family {self.family!r} is unknown; use one of {', '.join(FAMILIES)}"
            )

    @property
    def spiking(self) -> bool:
        return self.family == "spiking"

    @property
    def takes_cost(self) -> bool:
        """Whether it may be told to plan with another cost than its own."""
        if self.family == "floor":
            return False
        return self.closed_loop is None or "cost" in signature(self.closed_loop).parameters

    @property
    def reads_files(self) -> bool:
        return self.family not in ("floor", "oracle")

    def predictor(self, site: Site) -> Predictor:
        """Raises UserError for a method that has none."""
        if self.make is None:
            raise UserError(f"method {self.name!r} has no predictor of its own; choose another")
        return self.make(site)
