"""`spikeplan train --predictors`: other shapes are distilled from a task's teacher, the same seed to the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.training.predictors import predictor_path, recorded_for, train_predictor
from spikeplan.experiments.cli.main import main
from spikeplan.worldmodel.distil import Distillation
from spikeplan.worldmodel.predictor_file import load_predictor

TINY = Distillation(short_steps=25, short_rows=16, steps=25, records=2, candidates=4)


@pytest.mark.parametrize("kind", ["transformer", "gated"])
def test_a_seed_makes_the_same_file_twice_and_another_one_another(kind: str, tmp_path: Path) -> None:
    bundle = load_bundle("keep-out")
    records, rows = recorded_for(bundle, 2), []
    files = [tmp_path / name / predictor_path(bundle, kind).name for name in ("a", "b", "c")]
    for file, seed in zip(files, (1, 1, 2), strict=True):
        train_predictor(
            bundle, kind, records, file, seed=seed, config=TINY, report=lambda name, row: rows.append((name, row))
        )
    assert files[0].read_bytes() == files[1].read_bytes() != files[2].read_bytes()
    assert len(rows) == 3 * 50 and {name for name, _ in rows} == {kind} and rows[0][1]["total_steps"] == 50
    net = load_predictor(files[0])
    latent, action = torch.randn(3, 32), torch.zeros(3, 2)
    assert net(latent, action).shape == (3, 32)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "--task two-room --predictors gated",
            "task two-room has no teacher to learn other predictors from; use keep-out",
        ),
        ("--task keep-out --predictors bad", "predictor 'bad' is unknown; use one of gated, residual, transformer"),
        (
            "--task keep-out --predictors gated --steps 5",
            "--steps is of a world model, which --predictors does not train",
        ),
    ],
)
def test_what_cannot_be_trained_is_one_line_and_leaves_nothing(
    words: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", *words.split(), "--out", str(tmp_path / "out")])
    assert ended.value.code == 2 and said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
