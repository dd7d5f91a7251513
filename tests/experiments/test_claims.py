"""The claims of the articles: each is recomputed, each verdict follows from numbers, and none goes without a source."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from spikeplan.core.errors import UserError
from spikeplan.energy.catalogue import default
from spikeplan.energy.claims import PATH, Claim, load_claims
from spikeplan.experiments.claims.basis import VERDICTS, Basis
from spikeplan.experiments.claims.recompute import RECKON
from spikeplan.experiments.claims.table import check_claims, claims_command
from spikeplan.experiments.cli.main import main

VERDICT = {
    "candidate_step": "holds",
    "two_frames": "holds",
    "action_flop": "holds",
    "step_flop": "fails",
    "plan_flop": "fails",
    "vjepa2_ac_time": "holds",
    "cosmos_time": "holds",
    "rendering_low": "fails",
    "rendering_high": "fails",
    "jepa_r_power": "fails",
    "jepa_r_latency": "fails",
    "envelope": "depends",
    "fall_detection": "holds",
    "llm_energy": "fails",
    "cpu_gain": "unsupported",
    "gpu_gain": "unsupported",
    "latent_log": "depends",
    "akida_standby": "not found",
}
# By hand. M = 81.923 GMAC (tests/worldmodel/test_vjepa2_ac.py), 8000 evaluations.
BY_HAND = {
    "candidate_step": 81.923,
    "two_frames": 340.78,
    "action_flop": 1.31077,
    "step_flop": 163.847,
    "plan_flop": 1310.77,
    "vjepa2_ac_time": 1310.77 / 165.15,
    "cosmos_time": 4.0,
    "rendering_low": 1250 / 163.847,
    "rendering_high": 10000 / 163.847,
    "jepa_r_power": 655.387 * 0.077 / 0.010,
    "jepa_r_latency": 655.387 * 0.077 / 15 * 1000,
    "envelope": 655.387 * (2 * 130 / 517.5) / 16,  # Thor: 130 W, 517.5 TOPS int8, dense
    "fall_detection": 90.0,
    "llm_energy": 2.0,
    "cpu_gain": 157 / 102,
    "gpu_gain": (2 * 25 / 33.5) / (17.6 * 10 * (256 + 256 + 64) / (66 * 256 + 256 * 256 + 256 * 64)),
    "latent_log": 256 * 1408 * 50 / 1000,
}


@pytest.fixture(scope="module")
def rows():
    return dict(zip(load_claims().claims, check_claims(), strict=True))


@pytest.mark.parametrize("name", VERDICT)
def test_verdict_and_figure(name: str, rows):
    row = rows[name]
    assert list(row) == ["claim", "source", "stated", "computed", "unit", "verdict", "working"]
    assert row["verdict"] == VERDICT[name]
    assert row["verdict"] in VERDICTS
    if name in BY_HAND:
        assert row["computed"] == pytest.approx(BY_HAND[name], rel=1e-3)
    else:
        assert row["computed"] is None


def test_every_claim_is_here(rows):
    assert rows.keys() == VERDICT.keys() == RECKON.keys()


@pytest.mark.parametrize(
    ("name", "stated", "verdict"),
    [
        ("step_flop", 163.8, "holds"),
        ("candidate_step", 80.0, "fails"),
        ("jepa_r_power", 6000, "holds"),
        ("llm_energy", 2.0, "holds"),
        ("cpu_gain", 1.5, "holds"),
        ("latent_log", 50, "fails"),
        ("vjepa2_ac_time", 5, "fails"),
    ],
)
def test_a_verdict_follows_the_numbers(name: str, stated: float, verdict: str):
    claim = Claim(claim="c", stated=stated, unit="u", source="s")
    assert RECKON[name](claim, Basis(default(), load_claims())).verdict == verdict


def test_json_and_table(capsys, rows):
    claims_command(json="-", console=Console(quiet=True))
    assert json.loads(capsys.readouterr().out) == list(rows.values())
    claims_command(json=None, console=Console(width=80))
    out = capsys.readouterr().out
    assert "81.92" in out
    assert "unsupported" in out


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('source = "arXiv 2511.22554, abstract"', 'source = " "', r"claims.fall_detection: source is ' '"),
        ("stated = 81.9\n", "stated = nan\n", r"claims.candidate_step: stated nan must be a finite number > 0"),
        ("stated = 81.9\n", "", r"claims.candidate_step has claim, source, unit; a claim has exactly"),
        ('evidence = "Q"', 'evidence = "M"', r"figures.nxtf_loihi: evidence 'M' is not one of"),
        ("[claims.envelope]", "[claim.envelope]", r"has tables claim, claims, figures; expected \[claims.NAME\]"),
        ("[claims.envelope]", "[claims.envelope", "not a TOML file"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, old: str, new: str, message: str):
    text = PATH.read_text()
    assert old in text
    path = tmp_path / "claims.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        load_claims(path)


def test_a_claim_without_a_sum_is_refused(tmp_path: Path):
    path = tmp_path / "claims.toml"
    path.write_text(PATH.read_text().replace("[claims.envelope]", "[claims.other]"))
    with pytest.raises(UserError, match="differ in envelope, other"):
        check_claims(claims=load_claims(path))
    path.write_text(PATH.read_text().replace("[figures.cem_samples]", "[figures.samples]"))
    with pytest.raises(UserError, match=r"figures.cem_samples is missing"):
        check_claims(claims=load_claims(path))
    with pytest.raises(UserError, match="cannot read the claims"):
        load_claims(tmp_path / "none.toml")


def test_the_command_line(capsys):
    main(["energy", "claims", "--json"])
    assert [row["verdict"] for row in json.loads(capsys.readouterr().out)] == list(VERDICT.values())


@pytest.mark.parametrize(("stated", "verdict"), [(30.0, "depends"), (1.0, "fails"), (1e9, "holds")])
def test_the_envelopes_verdict_follows_from_its_numbers(stated: float, verdict: str):
    # 20.6 W at one action in 16 s, 33 kW at one in 10 ms
    basis = Basis(default(), load_claims())
    answer = RECKON["envelope"](replace(basis.claims.claims["envelope"], stated=stated), basis)
    assert answer.verdict == verdict and ("which fits" in answer.working) == (verdict != "fails")
