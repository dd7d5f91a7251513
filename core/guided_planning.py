"""Settings of planners that a policy guides, and the union of all planners' settings.

DirectConfig   a policy that acts without imagining anything
GuidedConfig   copies of a policy act inside the model, the best one acts in the world
RefinedConfig  the same, and the cross-entropy method starts from what it found
GradientConfig the same, and each copy's plan is improved along its cost's gradient
PlannerConfig  any of them, or CEMConfig
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from spikeplan.core.errors import UserError
from spikeplan.core.planning import LARGEST, MOST_PREDICTIONS, CEMConfig, Pass


@dataclass(frozen=True, kw_only=True)
class GuidedConfig:
    """Copies of a policy, imagined for a while, the best of which acts.

    Args:
        samples, horizon: copies, and steps that each is imagined.
        spread: of a copy's perturbation, in units of the action limit; copy 0 has none.
        decay: of the perturbation with each step.
        correlation: of the perturbation from one step to the next: 1 held, 0 white, between them coloured (first order).
        mirrored: copies stray in pairs, each to the other's opposite side.
        to_go: weight of the policy's cost-to-go at the end of the horizon; 0: none.
        energy, reduce: of the cost, as in CEMConfig.

    >>> GuidedConfig(samples=4, horizon=12).label
    'guided 4 H12'
    """

    samples: int = 4
    horizon: int = 12
    spread: float = 0.3
    decay: float = 0.8
    correlation: float = 1.0
    mirrored: bool = False
    to_go: float = 0.0
    energy: str = "l1"
    reduce: str = "sum"

    word: ClassVar[str] = "guided"
    iterations: ClassVar[int] = 1
    elites: ClassVar[int] = 1
    variables: ClassVar[int] = 1  # the first action alone is sent

    def __post_init__(self) -> None:
        for name in ("samples", "horizon"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST:
                raise UserError(
                    f"{self.word}: {name} {value} must be at least 1 and at most {LARGEST}; change --{name}"
                )
        for name, most in (("spread", 1e3), ("decay", 1.0), ("correlation", 1.0), ("to_go", 1e3)):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value <= most:
                option = name.replace("_", "-")
                raise UserError(f"{self.word}: {name} {value!r} must lie between 0 and {most:g}; change --{option}")
        if self.evaluations > MOST_PREDICTIONS:
            raise UserError(
                f"{self.word}: {self.evaluations:,} predictions an action, at most {MOST_PREDICTIONS:,}; lower --samples"
            )
        if self.energy not in ("l1", "mse") or self.reduce not in ("sum", "last"):
            raise UserError(f"{self.word}: energy {self.energy!r} / reduce {self.reduce!r}; use l1 or mse, sum or last")

    @property
    def evaluations(self) -> int:
        """Predictor calls per action, and calls of the policy."""
        return self.samples * self.horizon

    @property
    def passes(self) -> tuple[Pass, ...]:
        one = Pass(samples=self.samples, horizon=self.horizon, variables=self.variables, policy=True)
        return (replace(one, to_go=self.to_go > 0),)

    @property
    def label(self) -> str:
        return f"guided {self.samples} H{self.horizon}{_ahead(self.to_go)}"

    def at(self, **changes: Any) -> GuidedConfig:
        """Another budget. Raises UserError for a setting that this planner does not have."""
        unknown = changes.keys() - asdict(self).keys()
        if unknown:
            raise UserError(f"{self.word}: no setting {', '.join(sorted(unknown))}; it has {', '.join(asdict(self))}")
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True)
class DirectConfig:
    """A policy that acts without imagining anything: nothing is set."""

    samples: ClassVar[int] = 1
    iterations: ClassVar[int] = 1
    elites: ClassVar[int] = 1
    horizon: ClassVar[int] = 1
    variables: ClassVar[int] = 1
    evaluations: ClassVar[int] = 1
    label: ClassVar[str] = "direct"
    passes: ClassVar[tuple[Pass, ...]] = ()  # nothing is imagined

    def at(self, **changes: Any) -> DirectConfig:
        """Raises UserError for whatever is changed: there is no budget."""
        if changes:
            raise UserError(
                "a policy that acts alone has no budget; leave out "
                + ", ".join(f"--{name.replace('_', '-')}" for name in changes)
            )
        return self


@dataclass(frozen=True, kw_only=True)
class RefinedConfig(CEMConfig):
    """CEM that starts from the better of its last plan and the best of `copies` of a policy; the best candidate seen acts.

    Args:
        copies: of the policy.
        spread, decay, correlation, mirrored, to_go: as in GuidedConfig.

    >>> RefinedConfig(samples=32, iterations=3, copies=8).label
    'refined 8 + 32x3 H12'
    """

    copies: int = 8
    spread: float = 0.3
    decay: float = 0.8
    correlation: float = 1.0
    mirrored: bool = False
    to_go: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.guided  # refuses what a guided pass refuses

    @property
    def guided(self) -> GuidedConfig:
        """Of the copies."""
        return GuidedConfig(
            samples=self.copies,
            horizon=self.horizon,
            spread=self.spread,
            decay=self.decay,
            correlation=self.correlation,
            mirrored=self.mirrored,
            to_go=self.to_go,
            energy=self.energy,
            reduce=self.reduce,
        )

    @property
    def evaluations(self) -> int:
        """Predictor calls per action: copies, both plans to start from, and every iteration's samples."""
        return sum(one.evaluations for one in self.passes)

    @property
    def passes(self) -> tuple[Pass, ...]:
        to_go = self.to_go > 0
        return (*self.guided.passes, replace(self.start, to_go=to_go), replace(self.search, to_go=to_go))

    @property
    def start(self) -> Pass:
        """The last plan, moved on, against the policy's."""
        return Pass(samples=2, horizon=self.horizon, variables=self.variables)

    @property
    def label(self) -> str:
        budget = f"{self.copies} + {self.samples}x{self.iterations} H{self.horizon}"
        return f"refined {budget}{_ahead(self.to_go)}"


@dataclass(frozen=True, kw_only=True)
class GradientConfig(GuidedConfig):
    """Copies of a policy, whose plans are improved by gradient descent; the cheapest that was seen acts.

    Args:
        descents: steps of Adam.
        rate: of a step, in action limits.

    >>> GradientConfig(samples=4, horizon=8, descents=3).label
    'gradient 4x3 H8'
    """

    descents: int = 3
    rate: float = 0.1
    word: ClassVar[str] = "gradient"

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.descents, bool) or not isinstance(self.descents, int) or not 1 <= self.descents <= LARGEST:
            raise UserError(
                f"gradient: descents {self.descents} must be at least 1 and at most {LARGEST}; change --descents"
            )
        if not 0 < self.rate <= 1e3:
            raise UserError(f"gradient: rate {self.rate!r} must be above 0 and at most 1000; change --rate")

    @property
    def guided(self) -> GuidedConfig:
        """Of the copies."""
        own = asdict(self)
        return GuidedConfig(**{name: value for name, value in own.items() if name not in ("descents", "rate")})

    @property
    def evaluations(self) -> int:
        """Predictor calls per action, a backward pass counted as one: copies and the last plan, then back and there K times."""
        return self.horizon * (self.samples * (2 * self.descents + 1) + 1)

    @property
    def passes(self) -> tuple[Pass, ...]:
        """None that a chip runs."""
        return ()

    @property
    def label(self) -> str:
        return f"gradient {self.samples}x{self.descents} H{self.horizon}{_ahead(self.to_go)}"


def _ahead(to_go: float) -> str:
    return f" + {to_go:g} V" if to_go else ""


PlannerConfig = CEMConfig | GuidedConfig | DirectConfig  # RefinedConfig is a CEMConfig
