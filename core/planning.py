"""Settings of planners, once for every package.

CEMConfig     the budget and the shape of one plan, of any planner that samples candidates
Pass          what it does between two selections, so often: a plan is one pass, or several after one another
PlanParams    constants of the integer planner: what the reference (worldmodel/planning/integer_cem.py, which has the
              equations) and the Lava loop (lava_procs/planning.py) are both given. They travel as JSON; both sides write
              their arithmetic from them on their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import STATE_BITS, limit
from spikeplan.core.noise import CENTRE

LEAST_FACTOR = 8  # of the spread's estimate: rounded to a whole number, at most 6 % off
LARGEST = 100_000  # of any setting that multiplies the work
MOST_PREDICTIONS = 10_000_000  # an action
MOST_PAIRED = 64  # candidates of which a chip compares all pairs: 2,016 neurons


class Budget(Protocol):
    """What counting reads of a planner's settings."""

    @property
    def samples(self) -> int: ...
    @property
    def iterations(self) -> int: ...
    @property
    def elites(self) -> int: ...
    @property
    def horizon(self) -> int: ...
    @property
    def variables(self) -> int: ...


class PlanBudget(Budget, Protocol):
    """And what placement reads."""

    @property
    def passes(self) -> tuple[Pass, ...]: ...


@dataclass(frozen=True, kw_only=True)
class Pass:
    """`iterations` times: `samples` futures of `horizon` steps, then a selection among them.

    Args:
        elites: that the selection keeps.
        variables: actions of a candidate that the source makes.
        policy: whether a policy acts in it; else the actions are known before the rollout.
        to_go: whether a cost-to-go judges where each future ends.
    """

    samples: int
    iterations: int = 1
    elites: int = 1
    horizon: int
    variables: int
    policy: bool = False
    to_go: bool = False

    @property
    def evaluations(self) -> int:
        return self.samples * self.iterations * self.horizon

    @property
    def by_pairs(self) -> bool:
        """Whether one winner is all that is sought, among so few that a chip compares all pairs at once."""
        return self.elites == self.iterations == 1 and self.samples <= MOST_PAIRED


@dataclass(frozen=True, kw_only=True)
class CEMConfig:
    samples: int = 64
    iterations: int = 4
    elites: int = 8
    horizon: int = 12
    chunk: int = 1
    sigma: float = 0.7  # initial spread in units of the action limit
    sigma_floor: float = 0.05
    energy: str = "l1"
    reduce: str = "sum"

    def __post_init__(self) -> None:
        for name in ("samples", "iterations", "elites", "horizon", "chunk"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST:
                raise UserError(f"CEM: {name} {value} must be at least 1 and at most {LARGEST}; change --{name}")
        for name in ("sigma", "sigma_floor"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value <= 1e3:
                raise UserError(f"CEM: {name} {value!r} must be > 0 and at most 1000")
        if self.evaluations > MOST_PREDICTIONS:
            raise UserError(
                f"CEM: {self.samples} samples x {self.iterations} iterations x {self.horizon} steps are {self.evaluations:,} "
                f"predictions an action, at most {MOST_PREDICTIONS:,}; lower --samples or --horizon"
            )
        if self.elites > self.samples:
            raise UserError(
                f"CEM: elites {self.elites} exceed samples {self.samples}; lower --elites or raise --samples"
            )
        if self.energy not in ("l1", "mse") or self.reduce not in ("sum", "last"):
            raise UserError(f"CEM: energy {self.energy!r} / reduce {self.reduce!r}; use l1 or mse, sum or last")

    @property
    def variables(self) -> int:
        return -(-self.horizon // self.chunk)

    @property
    def evaluations(self) -> int:
        """Predictor calls per action."""
        return self.samples * self.iterations * self.horizon

    @property
    def passes(self) -> tuple[Pass, ...]:
        return (self.search,)

    @property
    def search(self) -> Pass:
        return Pass(
            samples=self.samples,
            iterations=self.iterations,
            elites=self.elites,
            horizon=self.horizon,
            variables=self.variables,
        )

    @property
    def label(self) -> str:
        return f"{self.samples}x{self.iterations} H{self.horizon}"

    def at(self, **changes: Any) -> CEMConfig:
        """Another budget; elites keep their share of the samples unless given. Raises UserError for a setting that it lacks."""
        if unknown := changes.keys() - asdict(self).keys():
            raise UserError(f"CEM: no setting {', '.join(sorted(unknown))}; it has {', '.join(asdict(self))}")
        samples = changes.get("samples", self.samples)
        share = max(1, round(samples * self.elites / self.samples))
        return replace(self, **{"elites": min(share, samples), **changes})


@dataclass(frozen=True, kw_only=True)
class PlanParams:
    """`limit` in plan LSB, `start_spread` and `least_spread` in its spread unit; `deviation_factor` is C and `warm_factor` R of
    the equations. Elites are at most 64: the factor falls as 1 / k."""

    samples: int
    iterations: int
    elites: int
    horizon: int
    chunk: int
    limit: int
    action_shift: int
    cost_shift: int
    start_spread: int
    least_spread: int
    deviation_factor: int
    warm_factor: int
    latent_dim: int
    action_dim: int

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not isinstance(value, int) or value < (0 if name.endswith("shift") else 1):
                raise UserError(f"plan: {name} {value!r} must be a positive integer")
        if self.elites & (self.elites - 1) or self.elites > self.samples:
            raise UserError(f"plan: elites {self.elites} must be a power of two and at most {self.samples} samples")
        if self.deviation_factor < LEAST_FACTOR:
            raise UserError(
                f"plan: elites {self.elites} leave a spread factor of {self.deviation_factor}, too coarse below "
                f"{LEAST_FACTOR}; use fewer elites"
            )
        self._check_widths()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> PlanParams:
        try:
            return cls(**values)
        except TypeError as error:
            raise UserError(f"plan: {error}") from error

    def _check_widths(self) -> None:
        """No product or sum of the planner's own registers leaves 24 bits; latents, distances and costs saturate, counted."""
        k, top = self.elites, self.limit
        widest = max(self.start_spread, self.least_spread, self.deviation_factor * k * top >> 8)
        for what, reaches, remedy in (
            ("a spread times its noise", widest * CENTRE, "lower --sigma"),
            ("the elites' deviation times its factor", self.deviation_factor * k * top, "use fewer elites"),
            ("a warm start's product", self.warm_factor * self.chunk * top, "shorten --chunk"),
            ("an action", top << self.action_shift, "convert with a larger action scale"),
        ):
            if reaches > limit(STATE_BITS):
                raise UserError(f"plan: {what} reaches {reaches}, beyond {STATE_BITS} bits; {remedy}")

    @property
    def variables(self) -> int:
        return -(-self.horizon // self.chunk)
