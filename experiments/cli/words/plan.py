"""`spikeplan plan`: one method alone in closed loop."""

from __future__ import annotations

from typing import Annotated

from rich.console import Console

from spikeplan.experiments.cli import names
from spikeplan.experiments.cli.words.common import Command, Overwrite, Seed, Task, text

RECIPE = "the network's own"


def plan(
    task: Task,
    method: Annotated[str, text("how the plan is made: {methods}", "METHOD")],
    out: Annotated[str, text("folder of config.json, metrics.jsonl and summary.json", "DIR")],
    episodes: Annotated[int, text("episodes, from 1", "N")] = 100,
    seed: Seed = 0,
    reference: Annotated[
        str | None,
        text("what changes are taken against: {references}; sigma-delta methods only", "REF", "the artifact's"),
    ] = None,
    threshold: Annotated[
        float | None,
        text(
            "factor on the learned thresholds, above 0 and at most 1000; sigma-delta methods only",
            "FACTOR",
            "the artifact's",
        ),
    ] = None,
    planner: Annotated[str | None, text("how the method searches: {planners}", "PLANNER", "the method's own")] = None,
    cost: Annotated[str | None, text("what a plan is for: {costs}", "COST", "distance")] = None,
    samples: Annotated[int | None, text("candidates an iteration", "N", RECIPE)] = None,
    iterations: Annotated[int | None, text("CEM iterations an action", "N", RECIPE)] = None,
    elites: Annotated[int | None, text("candidates that are refitted", "N", RECIPE)] = None,
    horizon: Annotated[int | None, text("rollout steps", "N", RECIPE)] = None,
    chunk: Annotated[int | None, text("rollout steps that share an action", "N", RECIPE)] = None,
    copies: Annotated[int | None, text("of the policy; planner refined only", "N", RECIPE)] = None,
    spread: Annotated[
        float | None, text("of a copy, in action limits; planners guided, refined, gradient", "SHARE", RECIPE)
    ] = None,
    decay: Annotated[float | None, text("of the spread with each step, 0 to 1; as --spread", "FACTOR", RECIPE)] = None,
    correlation: Annotated[
        float | None, text("of a copy's perturbation from step to step: 1 held, 0 white; as --spread", "SHARE", RECIPE)
    ] = None,
    mirrored: Annotated[bool, text("copies stray in pairs, to opposite sides; as --spread")] = False,
    to_go: Annotated[
        float | None, text("of the policy's cost-to-go at the horizon's end, 0 none; as --spread", "WEIGHT", RECIPE)
    ] = None,
    descents: Annotated[int | None, text("gradient steps; planner gradient only", "N", RECIPE)] = None,
    rate: Annotated[float | None, text("of a gradient step, in action limits; as --descents", "SHARE", RECIPE)] = None,
    checkpoint: Annotated[str | None, text("world model, .safetensors", "FILE", "the shipped one")] = None,
    artifact: Annotated[str | None, text("sigma-delta network, .safetensors", "FILE", "beside the checkpoint")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Plan with one method alone; summary.json has the same fields as that of the main study.

    `--method lava` closes the loop through Lava, episode by episode, and compares every plan with the reference.
    """
    names.check("tasks", task)
    names.check("methods", method)
    if reference is not None:
        names.check("references", reference)
    if planner is not None:
        names.check("planners", planner)
    if cost is not None:
        names.check("costs", cost)
    from spikeplan.experiments.cli.plan import plan_command

    budget: dict[str, float | None] = {
        "samples": samples,
        "iterations": iterations,
        "elites": elites,
        "horizon": horizon,
        "chunk": chunk,
    }
    budget |= {"copies": copies, "spread": spread, "decay": decay, "correlation": correlation, "to_go": to_go}
    budget |= {"descents": descents, "rate": rate} | ({"mirrored": True} if mirrored else {})
    plan_command(
        task=task,
        method=method,
        out=out,
        episodes=episodes,
        seed=seed,
        reference=reference,
        threshold=threshold,
        with_planner=planner,
        cost=cost,
        budget={k: v for k, v in budget.items() if v is not None},
        checkpoint=checkpoint,
        artifact=artifact,
        overwrite=overwrite,
        console=Console(),
    )


COMMANDS = {
    "plan": Command(
        plan, kept="finished shards are kept (of --method lava nothing); the same command goes on from there"
    )
}
