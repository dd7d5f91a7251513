"""`spikeplan fusion`: films, estimators and closed loops of all conditions; one result directory, resumable part by part."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.digest import code_digest
from spikeplan.core.errors import UserError
from spikeplan.core.json_file import read_json
from spikeplan.evaluation.rows import to_json
from spikeplan.evaluation.shard import EPISODE_SEED, MADE_BY, shards
from spikeplan.experiments.fusion_study import reaction_time as fuse_turn
from spikeplan.experiments.fusion_study.convert import lava_equality, watch
from spikeplan.experiments.fusion_study.front_end_energy import front_end
from spikeplan.experiments.fusion_study.rows import FrontEndRow, FusionLavaRow, FusionSummary, TunedRow
from spikeplan.experiments.fusion_study.shard import (
    Part,
    clean_latents,
    film_of,
    film_part,
    run_part,
    stream_of,
    tune_part,
)
from spikeplan.experiments.fusion_study.summary import (
    HEADLINE,
    SUCCESS_FACTOR,
    claims,
    latency_rows,
    losses,
    method_rows,
)
from spikeplan.experiments.report.figures.fusion import write_figures
from spikeplan.experiments.runner.output import open_output, versions, write_json, write_text
from spikeplan.experiments.runner.pool import run_each
from spikeplan.fusion.checkpoint import FuseBundle, load_fusion
from spikeplan.fusion.streams import CONDITIONS, Condition
from spikeplan.worldmodel.train import VALIDATION_SEED

SHARD = 25
VALIDATION_EPISODES = 24
TURNS = 64
TURN_CONDITIONS = ("nominal", "light 1/64", "drop 75 %", "latency 50 ms")
LAVA_WINDOWS = 60
MOST = {"episodes": 10_000, "seeds": 20}


def chosen_conditions(names: str | None) -> tuple[Condition, ...]:
    if names is None:
        return CONDITIONS
    known = {condition.name: condition for condition in CONDITIONS}
    asked = [name.strip() for name in names.split(",")]
    for name in asked:
        if name not in known:
            raise UserError(f"--conditions: {name!r} is unknown; use some of {', '.join(known)}")
    return tuple(condition for condition in CONDITIONS if condition.name in asked)


def groups_of(conditions: Sequence[Condition]) -> list[tuple[Condition, ...]]:
    """Conditions that share a film."""
    keys = dict.fromkeys((c.speed, c.light) for c in conditions)
    return [tuple(c for c in conditions if (c.speed, c.light) == key) for key in keys]


def fuse_command(
    out: str,
    *,
    episodes: int,
    seeds: int,
    conditions: str | None,
    checkpoint: str | None,
    lava: bool,
    console: Console,
    overwrite: bool = False,
    turns: int = TURNS,
    validation: int = VALIDATION_EPISODES,
) -> FusionSummary:
    """Film, tune, follow and turn round in every condition; writes the results directory and its figures."""
    for name, value in (("episodes", episodes), ("seeds", seeds)):
        if not 1 <= value <= MOST[name]:
            raise UserError(f"--{name} {value} must be at least 1 and at most {MOST[name]}")
    chosen = chosen_conditions(conditions)
    bundle = load_fusion(None if checkpoint is None else Path(checkpoint))
    asked = {
        "episodes": episodes,
        "seeds": seeds,
        "conditions": [asdict(c) for c in chosen],
        "checkpoint": checkpoint,
        "lava": lava,
    }
    folder = open_output(Path(out), command="fusion", asked=asked, overwrite=overwrite)
    began = time.monotonic()
    parts = Parts(folder / "parts", bundle, checkpoint, console)
    groups = groups_of(chosen)
    tuning = [Part(conditions=group, first=0, count=validation, validation=True) for group in groups]
    films = str(folder / "parts")
    work = [
        Part(conditions=group, first=first, count=count, seed=seed)
        for seed in range(seeds)
        for first, count in shards(episodes, SHARD)
        for group in groups
    ]
    run_each(film_part, [(part, films) for part in (*tuning, *work)], console=console, label="filming")
    tuned = {
        k: v for found in parts.run(tune_part, [(part, films) for part in tuning], "tuning") for k, v in found.items()
    }
    followed = parts.run(
        run_part, [(part, {c.name: tuned[c.name] for c in part.conditions}, films) for part in work], "following"
    )
    turning = [c for c in chosen if c.name in TURN_CONDITIONS]
    turned = parts.run(fuse_turn.run_turn, [(c, tuned[c.name], turns, 0) for c in turning], "turning round")
    methods = {c.name: method_rows(followed, c, seeds=seeds, tolerance=bundle.world.tolerance) for c in chosen}
    latency = latency_rows({c.name: seconds for c, seconds in zip(turning, turned, strict=True)})
    tuning_rows = [TunedRow.from_json({"condition": name, "methods": each}) for name, each in tuned.items()]
    fronts = [
        row for c in chosen for row in stream_rows(bundle, c, [part[c.name] for part in followed if c.name in part])
    ]
    in_lava = lava_row(bundle, folder / "lava") if lava else None
    every = [row for rows in methods.values() for row in rows]
    summary = FusionSummary(
        episodes=episodes,
        seeds=seeds,
        headline=HEADLINE,
        success_below=SUCCESS_FACTOR * bundle.world.tolerance,
        claims=claims(every),
        where_events_do_not_help=losses(every),
        seconds=round(time.monotonic() - began, 1),
        conditions=methods,
        latency=latency,
        front_end=fronts,
        lava=in_lava,
    )
    config = {
        "command": "fusion",
        **asked,
        "episode_seed": EPISODE_SEED,
        "validation_seed": VALIDATION_SEED,
        "files_sha256": bundle.digests,
        "training": bundle.meta.get("config"),
        "versions": versions(),
    }
    write_json(folder / "config.json", config, indent=1)
    rows = [*every, *latency, *tuning_rows, *fronts, *([] if in_lava is None else [in_lava])]
    write_text(folder / "metrics.jsonl", "".join(json.dumps(row.to_json(), allow_nan=False) + "\n" for row in rows))
    write_json(folder / "summary.json", to_json(summary), indent=1)
    write_figures(folder)
    print_summary(summary, console)
    return summary


class Parts:
    """Results by content: a part whose code, files and settings are the same is not run again."""

    def __init__(self, folder: Path, bundle: FuseBundle, checkpoint: str | None, console: Console) -> None:
        self.folder, self.checkpoint, self.console = folder, checkpoint, console
        self.known = [code_digest(*MADE_BY, "fusion", "eventdata", "experiments/fusion_study"), bundle.digests]
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder}: cannot keep results there ({error}); choose another --out") from error

    def run(self, function: Any, arguments: list[tuple[Any, ...]], label: str) -> list[dict[str, Any]]:
        paths = [self.folder / f"{self.key(function.__name__, args)}.json" for args in arguments]
        missing = [
            (function, (*args, self.checkpoint), path)
            for args, path in zip(arguments, paths, strict=True)
            if _kept(path) is None
        ]
        if len(missing) == 1:
            kept_part(*missing[0])
        elif missing:
            run_each(kept_part, missing, console=self.console, label=label)
        return [json.loads(path.read_text()) for path in paths]

    def key(self, name: str, args: tuple[Any, ...]) -> str:
        plain = [asdict(a) if hasattr(a, "__dataclass_fields__") else a for a in args]
        text = json.dumps([name, plain, self.known], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]


def _kept(path: Path) -> dict[str, Any] | None:
    """A part's result; None where there is none, or where the file is damaged and the part has to be run again."""
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found else None


def kept_part(function: Any, args: tuple[Any, ...], path: Path) -> None:
    write_json(path, function(*args))


def stream_rows(bundle: FuseBundle, condition: Condition, parts: list[dict[str, Any]]) -> list[FrontEndRow]:
    """Rates and costs of the front ends on this condition's streams."""
    seconds = sum(part["seconds"] for part in parts)
    counts = [LayerCounts(**layer) for layer in parts[0]["spiking"]]
    for part in parts[1:]:
        counts = [a + LayerCounts(**b) for a, b in zip(counts, part["spiking"], strict=True)]
    return [
        FrontEndRow(
            condition=condition.name,
            events_per_s=sum(part["events"] for part in parts) / seconds,
            frames_per_s=sum(part["frames"] for part in parts) / seconds,
            event_density=sum(c.synops for c in counts) / max(1, sum(c.dense_macs for c in counts)),
            saturated=sum(c.saturated for c in counts),
            **vars(cost),
        )
        for cost in front_end(bundle, counts, seconds)
    ]


@torch.no_grad()
def lava_row(bundle: FuseBundle, workdir: Path) -> FusionLavaRow:
    """The first windows of one nominal episode through the Lava chain."""
    condition = CONDITIONS[0]
    part = Part(conditions=(condition,), first=0, count=1)
    made = film_of(part, None)
    truth = clean_latents(bundle, made.pose_NKP)
    latent, event, _ = watch(bundle.fused, stream_of(bundle, part, condition, made, truth), 0, LAVA_WINDOWS)
    return lava_equality(bundle.artifact, latent[:, 0], event[:, 0], workdir=workdir)


def print_summary(summary: FusionSummary, console: Console) -> None:
    table = Table(
        title=f"success (distance below {summary.success_below:.3g}) and mean distance; {HEADLINE} against the rest"
    )
    for name in ("condition", "frames", "best frame-only", "events", HEADLINE, "1 kHz", "gain in distance, 95 %"):
        table.add_column(name)
    for name, rows in summary.conditions.items():
        method = {row.method: row for row in rows}
        gain = method[HEADLINE].gain
        assert gain is not None
        shown = (method[a] for a in ("frames", gain.best_frame_only, "events", HEADLINE, "1 kHz frames"))
        cells = [f"{row.success:.2f}  {row.distance[0]:.4f}" for row in shown]
        cells[1] += f" ({gain.best_frame_only})"
        table.add_row(name, *cells, "{:+.4f}  {:+.4f} .. {:+.4f}".format(*gain.distance))
    console.print(table)
    for claim in summary.claims:
        console.print(
            f"{claim.claim} ({claim.condition}): distance {'holds' if claim.holds_distance else 'FAILS'}, "
            f"success {'holds' if claim.holds_success else 'FAILS'}"
        )
    for line in summary.where_events_do_not_help:
        console.print(f"no help: {line}")
    if summary.lava is not None:
        row = summary.lava
        console.print(f"Lava: {row.values_compared} values compared, {row.values_different} different")
