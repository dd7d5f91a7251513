"""A made-up results directory, written from the schema, with nulls and gaps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from spikeplan.core.counts.operations import LayerCounts, OperationCounts
from spikeplan.evaluation.iso_success import family_of
from spikeplan.experiments.report import write_report

TASK = "two-room"


REFERENCES = ("zero", "previous_step", "previous_candidate", "mean_candidate", "previous_iteration")
LAYERS = ("input", "h1", "h2", "out")


DENSITY = {
    "zero": 0.521,
    "previous_step": 0.447,
    "previous_candidate": 0.402,
    "mean_candidate": 0.383,
    "previous_iteration": 0.284,
}


def method(success: float | None, **fields: object) -> dict:
    keys = "episodes success ci95 paired_vs_dense latent_nmse density spearman topk_overlap macs_per_action synops_per_action"
    keys += " neuron_updates_per_action synop_equivalents_per_action values_compared values_different"
    row = dict.fromkeys(keys.split())
    if success is not None:
        row |= {"episodes": 100, "success": success, "ci95": [max(0.0, success - 0.07), min(1.0, success + 0.06)]}
    return row | fields


def front_row(
    name: str, budget: str, success: float, cost: float, device: str, joules: float, **fields: object
) -> dict:
    band = {device: {"low": joules / 4, "nominal": joules, "high": joules * 2}}
    ends = [max(0.0, success - 0.06), min(1.0, success + 0.05)]
    row = {"kind": "front", "task": TASK, "method": name, "budget": budget, "reference": "zero", "threshold": None}
    row |= {"family": family_of(name), "role": "front", "paired_vs_dense": [-0.03, 0.01], "episodes": 100}
    won = "1" * round(100 * success) + "0" * (100 - round(100 * success))
    row |= {"success": success, "ci95": ends, "synop_equivalents": cost, "joules": band, "episodes_won": won}
    return row | fields


def front() -> list[dict]:
    budgets = [("64x4 H12", 0.88, 1.0), ("32x4 H12", 0.85, 0.5), ("32x3 H12", 0.81, 0.38), ("16x3 H8", 0.62, 0.14)]
    rows = [front_row("int8", b, s, 2.9e8 * c, "orin_nano", 1.1e-3 * c, schedule="batched") for b, s, c in budgets]
    rows += [
        front_row("narrow-96", b, s - 0.02, 1.1e8 * c, "orin_nano", 6e-4 * c, schedule="batched") for b, s, c in budgets
    ]
    rows.append(front_row("dense", "64x4 H1", 0.11, 2.5e7, "orin_nano", 1e-4, schedule="batched"))
    for factor, loss, share in ((1.0, 0.0, 0.45), (1.5, 0.03, 0.36), (2.0, 0.1, 0.30)):
        for schedule, cost in (("sequential", 1.6), ("interleaved", 1.0)):
            for budget, success, c in budgets[:3]:
                fields = {"reference": "previous_iteration", "threshold": factor, "schedule": schedule}
                at = (success - loss, 2.9e8 * c * cost * share, "loihi2", 6e-3 * c * cost)
                rows.append(front_row("sigma_delta", budget, *at, **fields))
    rows.append(front_row("lif", "64x4 H12", 0.71, 4.1e8, "loihi2", 2.2e-2, schedule="interleaved"))
    for reference, success in (
        ("zero", 0.88),
        ("previous_step", 0.31),
        ("mean_candidate", 0.4),
    ):  # cheap and, on `none`, as good as full
        for factor in (1.0, 0.25):
            fields = {"reference": reference, "threshold": factor, "schedule": "interleaved", "role": "sweep"}
            rows.append(front_row("sigma_delta", "64x4 H12", success, 1e7 / factor, "loihi2", 1e-5, **fields))
    return rows


def energies() -> list[dict]:
    rows = []
    methods = [
        ("int8", "orin_nano", "batched", 1e-3),
        ("dense", "h100", "batched", 2e-3),
        ("int8", "cpu", "batched", 0.4),
    ]
    methods += [("sigma_delta", "loihi2", "sequential", 9e-3), ("sigma_delta", "loihi2", "interleaved", 5e-3)]
    for name, device, schedule, joules in methods:
        for scope, factor in (("compute", 0.2), ("chip", 0.35), ("system", 1.0)):
            for extent, part in (("predictor", 0.8), ("loop", 1.0)):
                nominal = joules * factor * part
                row = {
                    "kind": "energy",
                    "task": TASK,
                    "device": device,
                    "method": name,
                    "scope": scope,
                    "extent": extent,
                }
                row |= {"schedule": schedule, "low": nominal / 8, "nominal": nominal, "high": 1.6 * nominal}
                rows.append(row | {"unit": "J/action", "evidence": "D,R; simulated counts", "latency_s": 0.021})
    return rows


def metrics() -> list[dict]:
    rng = np.random.default_rng(0)
    rows = front() + energies()
    for name, reference in [
        ("dense", "zero"),
        ("int8", "zero"),
        *(("sigma_delta", reference) for reference in REFERENCES),
        ("lif", "zero"),
    ]:
        spiking = name in ("sigma_delta", "lif")
        total = 2.9e8 * (DENSITY[reference] if spiking else 1.0)
        whole = {"interleaved": total, "sequential": 1.6 * total} if spiking else {"batched": total}
        phases = {"encoder": 1.2e7, "predictor": total - 1.6e7, "evaluation": 3e6, "selection": 1e6}
        operations = {"macs": 1.2e7, "acs": 0, "synops": total / 2, "updates": 8e6, "updates_active": 2e6}
        operations |= {"state_restores": 1e6, "messages": 2e6, "host_words": 6144}
        row = {
            "kind": "method",
            "task": TASK,
            "method": name,
            "planner_name": "cem",
            "reference": reference,
            "threshold": 1.0 if spiking else None,
        }
        row |= {"per_action": operations, "equivalents": whole, "equivalents_predictor": whole, "by_phase": phases}
        row |= {"episodes": 100, "seeds": 1, "ci95": [0.8, 0.9], "paired_vs_dense": None, "synop_share": None}
        rows.append(row | {"success": 0.87, "floor": 8e7 if spiking else None, "seconds": 3.0})
        density = {
            "total": DENSITY[reference],
            "by_iteration_step": (DENSITY[reference] * rng.uniform(0.6, 1.3, (4, 12))).tolist(),
            "messages_per_update": dict(zip(LAYERS[:3], rng.uniform(0.1, 0.6, 3).tolist(), strict=True)),
            "saturated": dict.fromkeys(LAYERS, 0),
        }
        row = {
            "kind": "agreement",
            "task": TASK,
            "method": name,
            "reference": reference,
            "spearman": 0.96,
            "topk_overlap": 0.81,
            "headline": reference == "zero",
        }
        drift = (0.01 * np.arange(1, 13) * rng.uniform(0.5, 1.5)).tolist()
        if name != "dense":
            rows.append(row | {"latent_nmse": 0.05, "nmse_by_step": drift, "density": density if spiking else None})
    budgets = [("full", "64x4 H12", 0.88), ("budget5", "16x2 H5", 0.41), ("greedy", "64x4 H1", 0.11)]
    levels = [{"name": n, "budget": b, "success": s, "ci95": [s - 0.05, s + 0.05]} for n, b, s in budgets]
    best = {n: s for n, _, s in budgets}
    rows.append({"kind": "admission", "task": TASK, "rows": levels, **best, "holds": True})
    layer = {"nmse": 0.012, "density": 0.4, "saturated": 0, "threshold_lsb": 96, "threshold": 0.11}
    rows.append(
        {"kind": "layers", "task": TASK, "layers": {n: layer | {"nmse": 0.004 * 3**i} for i, n in enumerate(LAYERS)}}
    )
    table = [
        {
            "reference": a,
            "factor": f,
            "success": 0.9 - 0.1 * i * i / 4,
            "density": DENSITY[a] / (1 + i / 2),
            "equivalents": 1e8,
        }
        for a in REFERENCES
        for i, f in enumerate((0.5, 1.0, 1.5, 2.0))
    ]
    rows.append({"kind": "thresholds", "task": TASK, "dense_success": 0.9, "table": table, "chosen": table[-3]})
    gates = {"probe_r2": 0.99, "effective_rank": 21.0, "std_min": 0.4, "rollout_nmse_1": 0.02, "distance_rank": 0.93}
    bad = {"probe_r2": 0.02, "effective_rank": 1.3, "std_min": 1e-5, "rollout_nmse_1": 1.4, "distance_rank": 0.1}
    won = {"trained": 0.88, "untrained": 0.07, "shuffled_actions": 0.05, "collapsed": 0.02}
    rows.append({"kind": "gates", "task": TASK, "trained": gates, "untrained": bad, "collapsed": bad, "success": won})
    raster = {n: (rng.random((49, k)) < p).astype(int).tolist() for n, k, p in (("input", 66, 0.6), ("h1", 256, 0.2))}
    lava = {"kind": "lava", "task": TASK, "reference": "mean_candidate", "passes": 3072, "values_compared": 4_521_984}
    lava |= {"values_different": 0, "nonzero_share": {"input": 0.61, "h1": 0.2}, "positive_crossed": {"input": 9}}
    lava |= {"threshold": 1.0, "first_difference": None, "saturated": {"input": 0}, "seconds": 61.2}
    rows.append(lava | {"negative_crossed": {"input": 4, "h1": 2}, "raster": raster})
    for device, first, static in (("orin_nano", 0.084, 0.4), ("h100", 0.040, 0.4)):
        terms = {"first_term": first, "update_term": 0.058, "static_term": static, "s_star": first - 0.058 - static}
        rows.append({"kind": "break_even", "task": TASK, "device": device} | terms)
    way = np.stack([np.linspace(0.2, 0.8, 26), np.linspace(0.3, 0.5, 26)], 1)
    for name in ("dense", "sigma_delta"):
        episode = {"kind": "episode", "task": TASK, "method": name, "poses": way.tolist(), "goal": [0.8, 0.5]}
        rows.append(episode | {"start": [0.2, 0.3], "layout": [0.51], "success": name == "dense"})
    return [*rows, counts("dense", "dense", "fp32"), counts("sigma_delta", "spiking", "int8")]


def counts(name: str, family: str, precision: str) -> dict:
    """A run of one layer, 100 x 50, that is priced on whole systems."""
    spiking = family == "spiking"
    kept = OperationCounts(method=name, reference="zero", precision=precision, spiking=spiking)
    work = {"synops": 1000, "updates": 50, "updates_active": 5} if spiking else {"macs": 5000}
    kept.add("predictor", LayerCounts(layer="h1", dense_macs=5000, calls=1, **work))
    kept.set_memory("h1", weight_bytes=5000, state_bytes=300 * spiking)
    kept.actions = 1
    row = {
        "kind": "op_counts",
        "task": TASK,
        "method": name,
        "family": family,
        "budget": "64x4 H12",
        "reference": "zero",
    }
    row |= {"threshold": None, "role": "headline", "success": 0.87, "episodes": 100, "ci95": [0.8, 0.9]}
    return row | {"paired_vs_dense": None, "evaluations": 1, "samples": 64, "op_counts": kept.dump()}


def brief(*kinds: str) -> list[dict]:
    """The first row of each kind: enough for every section, drawn quickly."""
    first = {row["kind"]: row for row in reversed(metrics())}
    return [row for kind, row in first.items() if not kinds or kind in kinds]


def summary() -> dict:
    dense = {"macs_per_action": 2.9e8, "synop_equivalents_per_action": 2.9e8}
    spikes = {"synops_per_action": 1.1e8, "neuron_updates_per_action": 8e6, "synop_equivalents_per_action": 1.9e8}
    methods = {
        "random": method(0.03),
        "oracle": method(0.97),
        "dense": method(0.88, **dense),
        "int8": method(
            0.8731, paired_vs_dense=[-0.02, 0.006], latent_nmse=0.002, spearman=0.991, topk_overlap=0.94, **dense
        ),
        "sigma_delta": method(
            0.871,
            paired_vs_dense=[-0.029, 0.011],
            latent_nmse=0.05,
            reference="previous_iteration",
            density=DENSITY,
            spearman=0.96,
            **spikes,
        ),
        "lif": method(0.71, paired_vs_dense=[-0.23, -0.11], density={"zero": 0.22}, **spikes),
        "lava": method(None, values_compared=4_521_984, values_different=0),
    }
    targets = [
        {"name": "dense success", "goal": ">= .85", "value": 0.88, "holds": True},
        {"name": "int8 paired lower bound", "goal": ">= -.03", "value": -0.02, "holds": True},
        {"name": "synops of dense MACs, best reference", "goal": "<= .30", "value": 0.38, "holds": False},
        {"name": "training seeds", "goal": "3", "value": None, "holds": None},
    ]
    task = {
        "admission": {"full": 0.88, "budget5": 0.41, "greedy": 0.11, "holds": True},
        "methods": methods,
        "targets": targets,
    }
    task |= {"verdict": "Dense int8 needs less energy at every success rate & the chip is <simulated>."}
    task["energy"] = {
        "loihi2": {
            "sigma_delta": {
                "scope": "system",
                "low": 1e-3,
                "nominal": 5e-3,
                "high": 9e-3,
                "unit": "J/action",
                "evidence": "D",
            }
        }
    }
    return {"episodes": 100, "seeds": 1, "seconds": 212.5, "tasks": {TASK: task}}


def store(out: Path, *, rows: list[dict] | None = None, found: dict | None = None, events: bool = True) -> Path:
    out.mkdir(exist_ok=True, parents=True)
    config = {"episodes": 100, "task": TASK, "planner": {"samples": 64}, "versions": {"torch": "2.13.0"}}
    (out / "config.json").write_text(json.dumps(config))
    (out / "summary.json").write_text(json.dumps(summary() if found is None else found))
    (out / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (metrics() if rows is None else rows)))
    if events:
        rng = np.random.default_rng(1)
        frame = np.clip(np.linspace(0, 1, 48)[None] * np.ones((48, 1)), 0, 1).astype(np.float32)
        shot = np.where(rng.random((48, 48, 1)) < 0.1, [255, 0, 0], [255, 255, 255]).astype(np.uint8)
        np.savez(out / "events.npz", frame=frame, events=shot, caption=np.array("the arm, 10 ms"))
    return out


@pytest.fixture(scope="session")
def report(tmp_path_factory) -> tuple[Path, str]:
    out = store(tmp_path_factory.mktemp("results"))
    path = write_report(out)
    assert path == out / "report.html"
    return out, path.read_text(encoding="utf-8")


class Results(NamedTuple):
    """What the tests of this folder make their results with."""

    brief = staticmethod(brief)
    summary = staticmethod(summary)
    store = staticmethod(store)


@pytest.fixture(scope="session")
def results() -> Results:
    return Results()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `kind` runs once for each kind of row."""
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", sorted({row["kind"] for row in metrics()}))
