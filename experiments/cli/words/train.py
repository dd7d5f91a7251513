"""`spikeplan train`: a task's world model and everything derived from it."""

from __future__ import annotations

from typing import Annotated

from rich.console import Console

from spikeplan.experiments.cli import names
from spikeplan.experiments.cli.words.common import Command, text


def train(
    task: Annotated[str, text("the task: {trainable}", "TASK")],
    seed: Annotated[int, text("training seed, 0 to 2^63 - 1; the first of --seeds", "N")] = 0,
    seeds: Annotated[int, text("how many seeds are trained, one after the other, 1 to 1000", "N")] = 1,
    out: Annotated[str, text("folder of the networks", "DIR")] = "runs",
    steps: Annotated[
        int | None, text("training steps of the world model, 1 to 10000000", "N", "the task's recipe")
    ] = None,
    predictors: Annotated[
        str | None,
        text(
            "distils these instead, from the shipped networks of a task that plans with a policy: {predictors}",
            "NAME,NAME",
            "none",
        ),
    ] = None,
) -> None:
    """Train one task's world model and the networks derived from it: sigma-delta, LIF, narrow, pruned.

    An interrupted run resumes where it stopped. More than one of --seeds prints the spread over them. With --predictors, only
    predictors of other shapes are made, for `keep-out` and its like.
    """
    if predictors is not None:
        kinds = tuple(predictors.split(","))
        names.check("tasks", task)
        for kind in kinds:
            names.check("predictors", kind)
        from spikeplan.experiments.cli.train import predictors_command

        predictors_command(task, kinds, seed=seed, seeds=seeds, out=out, steps=steps, console=Console())
        return
    names.check("trainable", task)
    from spikeplan.experiments.cli.train import train_command

    train_command(task, seed=seed, seeds=seeds, out=out, steps=steps, console=Console())


COMMANDS = {
    "train": Command(
        train,
        kept="the world model at its last step and every finished network are kept; the same command goes on from there",
    )
}
