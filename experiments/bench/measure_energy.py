"""`spikeplan energy measure`: the dense planner's predictor on this machine's meters, labelled measured, idle subtracted.

The work is one action's: `iterations` x `horizon` predictions of all candidates in one batch, by the shipped dense network at the
task's full budget. Choosing among the candidates is left out, as it is on every device. CPU: RAPL; GPU: NVML, with a torch that
has CUDA. What cannot be read is a row without figures that says why.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.errors import UserError
from spikeplan.core.planning import CEMConfig
from spikeplan.energy.meter import Measured, Meter, NotReadable, NvmlMeter, RaplMeter, measure
from spikeplan.evaluation.shard import bundle_of
from spikeplan.experiments.runner.output import write_report
from spikeplan.experiments.runner.progress import working
from spikeplan.worldmodel.mac_counter import count_macs
from spikeplan.worldmodel.planning.rollout import unroll
from spikeplan.worldmodel.predictor import ResidualPredictor

SEED = 0


class DensePlan:
    """The predictions of one action, as a call: S candidates from latents and actions that are drawn once."""

    def __init__(self, predictor: ResidualPredictor, planner: CEMConfig, device: str = "cpu") -> None:
        generator = torch.Generator().manual_seed(SEED)
        self.planner, self.device = planner, device
        self.predictor = deepcopy(predictor).eval().to(device)
        self.latent_SD = torch.randn(planner.samples, predictor.latent_dim, generator=generator).to(device)
        self.action_SA = torch.randn(planner.samples, predictor.action_dim, generator=generator).to(device)

        self.actions_SHA = self.action_SA[:, None].expand(-1, planner.horizon, -1)

    @property
    def macs(self) -> int:
        once = count_macs(self.predictor, self.latent_SD, self.action_SA).macs.total
        return once * self.planner.iterations * self.planner.horizon

    def _step(self, latent_BSD: Tensor, action_BSA: Tensor, state: None) -> tuple[Tensor, None, list[LayerCounts]]:
        return self.predictor(latent_BSD, action_BSA), None, []

    @torch.no_grad()
    def __call__(self) -> None:
        for _ in range(self.planner.iterations):
            unroll(self._step, self.latent_SD[None], self.actions_SHA[None], None)
        if self.device != "cpu":
            torch.cuda.synchronize()


def rapl_plan() -> tuple[Meter, str]:
    return RaplMeter(), "cpu"


def nvml_plan() -> tuple[Meter, str]:
    meter = NvmlMeter()
    if not torch.cuda.is_available():
        raise NotReadable("NVML: a GPU is there, but this torch has no CUDA to run the planner on it")
    return meter, "cuda"


PLACES: dict[str, Callable[[], tuple[Meter, str]]] = {"cpu": rapl_plan, "gpu": nvml_plan}


def measure_planner(task: str, seconds: float) -> list[dict[str, Any]]:
    """One row a place: {place, meter, evidence, runs, seconds, gross_J, idle_W, net_J, pJ_per_mac, macs, note}."""
    if not 0 < seconds < float("inf"):
        raise UserError(f"--seconds {seconds} must be finite and > 0")
    model = bundle_of(task, None, None).model
    rows = []
    for place, start in PLACES.items():
        try:
            meter, device = start()
            plan = DensePlan(model.predictor, model.planner, device)
            rows.append(row_of(place, plan.macs, measure(meter, plan, least_s=seconds, idle_s=seconds)))
        except NotReadable as reason:
            rows.append({"place": place, "evidence": "not readable here", "note": str(reason)})
    return rows


def row_of(place: str, macs: int, found: Measured) -> dict[str, Any]:
    net, idle = found.net_J, found.idle_W
    told = net.low > 0
    return {
        "place": place,
        "meter": found.meter,
        "evidence": found.evidence,
        "runs": found.runs,
        "seconds": found.seconds,
        "gross_J": found.gross_J,
        "idle_W": {"low": idle.low, "nominal": idle.nominal, "high": idle.high},
        "net_J": {"low": net.low, "nominal": net.nominal, "high": net.high},
        "pJ_per_mac": net.nominal / macs * 1e12 if told else None,
        "macs": macs,
        "note": "the whole package or board, other programs' work included" if told else "not told apart from idle",
    }


def measure_command(*, task: str, seconds: float, json: str | None, console: Console) -> None:
    with working("measuring"):
        rows = measure_planner(task, seconds)
    if json is not None:
        write_report(json, rows)
    console.print(f"dense predictor of {task}, one action's predictions", markup=False)
    for row in rows:
        said = f"{row['place']}: {row['evidence']}. "
        if "meter" in row:
            net, idle, per = row["net_J"], row["idle_W"], row["pJ_per_mac"]
            said += (
                f"{net['nominal'] * 1e3:.4g} mJ above idle ({net['low'] * 1e3:.4g} to {net['high'] * 1e3:.4g}), "
                f"{row['gross_J'] * 1e3:.4g} mJ in all, {row['seconds'] * 1e3:.4g} ms; idle {idle['nominal']:.4g} W "
                f"({idle['low']:.4g} to {idle['high']:.4g}); {row['runs']} runs of {row['macs']:,} MACs"
                + ("" if per is None else f", {per:.3g} pJ a MAC")
                + f". {row['meter']}: "
            )
        console.print(said + row["note"], markup=False, highlight=False)
