"""Fine-tuning to ternary weights, with straight-through gradients.

    forward    T = clip(round(W / s), -1, 1), s = mean |W|;  q = clip(trunc(x / u)), u: largest |x| / 127, measured now and then
    backward   dL/dW = dL/d(s T),  dL/dx = dL/d(u q) where x is within range
    loss       sum over k = 1..span of |z_hat[k] - z[k]|^2 / var(z[1] - z[0]);   z[k] = forward(z[k-1], a[k])

The real weights W are kept beside the ternary ones and take the small steps (Bengio et al. 2013; Ma et al. 2024). Teacher and
student each go on from their own latent. The first pair of a span is a row of the calibration, later actions are those of other
rows.
Shapes: N rows, D latent, A action.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from spikeplan.conversion.calibration import Calibration
from spikeplan.conversion.recipes.compiled import Compiled
from spikeplan.conversion.tracing import Traced
from spikeplan.core.descent import descend
from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import limit
from spikeplan.snn.delta_program import Coded, Step

WEIGHT_BITS = 2
MEASURE_EVERY, MEASURED_ROWS = 50, 512
CLIP = 1.0  # of the gradient's norm


@dataclass(frozen=True, kw_only=True)
class TernaryTraining:
    """`steps` of `rows` spans each; `rate`: the highest, of a cycle that rises and falls. `seed`: of the batches."""

    steps: int
    rows: int
    span: int
    rate: float
    seed: int

    def __post_init__(self) -> None:
        for name, low, high in (("steps", 0, 10**6), ("rows", 1, 10**6), ("span", 1, 64), ("seed", 0, 2**63 - 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise UserError(f"recipe: {name} {value!r:.40} must be an integer from {low} to {high}")
        if not 0 < self.rate < float("inf"):
            raise UserError(f"recipe: rate {self.rate} must be above 0 and finite")


def ternary(weight: Tensor) -> tuple[Tensor, Tensor]:
    """-1, 0 and 1 as int8, and the real value of 1, one for the whole matrix (1, 1)."""
    scale = weight.detach().abs().mean().clamp_min(1e-12).view(1, 1)
    return (weight.detach() / scale).round().clamp(-1, 1).to(torch.int8), scale


class TernaryStudent(nn.Module):
    """A compiled program whose layers of weights are ternary, to be trained. Weights, biases and gains are copies."""

    def __init__(self, found: Compiled, traced: Traced) -> None:
        super().__init__()
        self.found = found
        trained = {name for name, path in traced.paths.items() if path in dict(traced.module.named_parameters())}
        of = {_weight(step): found.floats[step.name] for step in found.program.coded}
        others = {name: value for name, value in found.program.constants.items() if name in trained and name not in of}
        self.weights = nn.ParameterDict({name: nn.Parameter(value.clone()) for name, value in of.items()})
        self.others = nn.ParameterDict({name: nn.Parameter(value.clone()) for name, value in others.items()})
        self.units: dict[str, float] = {}

    @torch.no_grad()
    def measure(self, latent_ND: Tensor, action_NA: Tensor) -> None:
        """Sets the activations' steps; before, they are not rounded."""
        found: dict[str, float] = {}

        def watch(step: Coded, x: Tensor) -> None:
            found[step.name] = max(float(x.abs().max()), 1e-12) / limit(step.bits)

        self._run(latent_ND, action_NA, watch)
        self.units = found

    def forward(self, latent_ND: Tensor, action_NA: Tensor) -> Tensor:
        return self._run(latent_ND, action_NA, None)

    def _run(self, latent_ND: Tensor, action_NA: Tensor, watch: Any) -> Tensor:
        p = self.found.program
        values: dict[str, Any] = {**p.constants, p.latent: latent_ND, p.action: action_NA, **self.others}
        values |= {name: _through(weight, _product(*ternary(weight))) for name, weight in self.weights.items()}
        for step in p.steps:
            args, kwargs = step.arguments(values)
            if isinstance(step, Coded):
                if watch is not None:
                    watch(step, args[step.data])
                args = _with(args, step.data, self._rounded(step, args[step.data]))
            values[step.name] = step.target(*args, **kwargs)
        out: Tensor = values[p.output]
        return out

    def _rounded(self, step: Coded, x: Tensor) -> Tensor:
        unit = self.units.get(step.name)
        if unit is None:
            return x
        top = unit * limit(step.bits)
        kept = x.clamp(-top, top)
        return _through(kept, (kept / unit).trunc() * unit)

    @torch.no_grad()
    def compiled(self) -> Compiled:
        """The program with the weights as they are now."""
        found, floats, steps = self.found, dict(self.found.floats), list[Step]()
        for step in found.program.steps:
            if isinstance(step, Coded):
                whole, scale = ternary(self.weights[_weight(step)])
                if not bool(whole.any()):
                    raise UserError(f"layer '{step.layer}': its ternary weights are all zero; lower the recipe's rate")
                floats[step.name] = _product(whole, scale)
                step = replace(step, whole=whole, scale=scale, weight_bits=WEIGHT_BITS, sparse=True)
            steps.append(step)
        constants = {**found.program.constants, **{name: value.detach().clone() for name, value in self.others.items()}}
        return replace(found, program=replace(found.program, steps=tuple(steps), constants=constants), floats=floats)


def fine_tuned(found: Compiled, traced: Traced, data: Calibration, training: TernaryTraining) -> Compiled:
    """The program in ternary weights, trained to answer as `traced.forward` does."""
    student, n = TernaryStudent(found, traced), len(data.latent_ND)
    stride = -(-n // MEASURED_ROWS)
    if training.steps:
        generator = torch.Generator().manual_seed(training.seed)
        optimizer = torch.optim.AdamW(student.parameters(), training.rate, weight_decay=0.0)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, training.rate, total_steps=training.steps, pct_start=0.1
        )
        change = traced.forward(data.latent_ND[::stride], data.action_NA[::stride]) - data.latent_ND[::stride]
        size = change.var(0).mean().clamp_min(1e-12)

        def losses(step: int) -> dict[str, Tensor]:
            if step % MEASURE_EVERY == 0:
                student.measure(data.latent_ND[::stride], data.action_NA[::stride])
            pick = torch.randint(n, (training.span, min(training.rows, n)), generator=generator)
            wanted = z = data.latent_ND[pick[0]]
            loss = z.new_zeros(())
            for rows in pick:
                action = data.action_NA[rows]
                wanted, z = traced.forward(wanted, action), student(z, action)
                loss = loss + (z - wanted).square().mean() / size
            return {"total": loss}

        with torch.enable_grad():
            descend(
                range(1, training.steps + 1),
                losses,
                optimizer=optimizer,
                schedule=schedule,
                clip=lambda: nn.utils.clip_grad_norm_(student.parameters(), CLIP),
            )
    return student.compiled()


def _weight(step: Coded) -> str:
    """The constant that a layer takes its weight from; several layers may share one."""
    return str(step.args[step.weight].name)


def _product(whole: Tensor, scale: Tensor) -> Tensor:
    return whole.float() * scale


def _through(real: Tensor, rounded: Tensor) -> Tensor:
    """The rounded value with the real one's gradient."""
    return real + (rounded - real).detach()


def _with(args: tuple[Any, ...], position: int, value: Any) -> tuple[Any, ...]:
    return (*args[:position], value, *args[position + 1 :])
