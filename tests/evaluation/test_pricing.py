"""`spikeplan energy`: a run made by hand, whose counts and verdicts can be followed with a pencil."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeplan import energy
from spikeplan.core.counts.exchange import read_rows
from spikeplan.core.counts.operations import LayerCounts, OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.energy.uncertainty import PRIORS, Swing
from spikeplan.evaluation.methods import METHODS
from spikeplan.evaluation.pricing.layers import connections
from spikeplan.evaluation.pricing.price import Pricing, gains
from spikeplan.evaluation.pricing.report import energy_report
from spikeplan.evaluation.pricing.runs import read_run
from spikeplan.experiments.cli.main import main
from spikeplan.experiments.report.readme_energy import energy_section

ACTIONS, PREDICTIONS = 2, 100
LAYERS = {"h1": (10, 40), "out": (40, 8)}  # inputs, outputs: 400 + 320 = 720 MACs a prediction
SENT = {"code": 9, "h1": 4}  # messages a prediction: 9 x 40 + 4 x 8 = 392 synops


def dense_op_counts(method: str, precision: str, predictions: int = PREDICTIONS) -> OperationCounts:
    op_counts = OperationCounts(method=method, reference="zero", precision=precision, spiking=False)
    rows = predictions * ACTIONS
    for name, (n_in, n_out) in LAYERS.items():
        macs = rows * n_in * n_out
        op_counts.add("predictor", LayerCounts(layer=name, macs=macs, dense_macs=macs, calls=rows), iteration=0, step=0)
        op_counts.set_memory(name, weight_bytes=n_in * n_out * (4 if precision == "fp32" else 1), state_bytes=0)
    op_counts.actions = ACTIONS
    return op_counts


def spiking_op_counts(predictions: int = PREDICTIONS) -> OperationCounts:
    op_counts = OperationCounts(
        method="sigma_delta", reference="zero", precision="int8", spiking=True, sequential_steps=3
    )
    rows = predictions * ACTIONS
    for name, neurons, fan_out in (("code", 10, 40), ("h1", 40, 8), ("out", 8, 0)):
        sent = SENT.get(name, 8) * rows
        n_in, n_out = LAYERS.get(name, (0, 0))
        counts = LayerCounts(
            layer=name,
            synops=sent * fan_out,
            updates=rows * neurons,
            updates_active=sent,
            messages=sent,
            message_bits=8 * sent,
            dense_macs=rows * n_in * n_out,
            calls=rows,
        )
        op_counts.add("predictor", counts, iteration=0, step=0)
    op_counts.actions = ACTIONS
    return op_counts


def family(method: str) -> str:
    base, _, how = method.partition("/")
    return {"dense": "dense_replay", "skip": "zero_skipping"}.get(how) or METHODS[base].family


def row_of(
    method: str, op_counts: OperationCounts, *, success: float = 0.9, role: str = "headline", budget: str = "4x2 H3"
) -> Any:
    return {
        "kind": "op_counts",
        "task": "toy",
        "method": method,
        "family": family(method),
        "budget": budget,
        "reference": "zero",
        "threshold": None,
        "role": role,
        "success": success,
        "episodes": 50,
        "ci95": [0.8, 1.0],
        "paired_vs_dense": [-0.02, 0.02],
        "evaluations": PREDICTIONS,
        "samples": 4,
        "op_counts": op_counts.dump(),
    }


def run_dir(folder: Path, rows: list[Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"command": "toy"}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def rows_of_a_run(spiking_success: float = 0.9) -> list[Any]:
    return [
        row_of("dense", dense_op_counts("dense", "fp32")),
        row_of("int8", dense_op_counts("int8", "int8")),
        row_of("sigma_delta", spiking_op_counts(), success=spiking_success),
        row_of("sigma_delta/dense", dense_op_counts("sigma_delta/dense", "int8"), success=spiking_success),
    ]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = run_dir(tmp_path_factory.mktemp("run"), rows_of_a_run())
    return energy_report(folder, energy.default(), draws=400, rng=np.random.default_rng(1))


def pair_of(found: dict[str, Any], chip: str, device: str, schedule: str = "interleaved") -> dict[str, Any]:
    return next(
        row
        for row in found["tasks"]["toy"]["pairs"]
        if (row["chip"], row["device"], row["schedule"]) == (chip, device, schedule)
    )


def test_a_pair_by_hand(report: dict[str, Any]):
    # An action: 392 synops + 10 x 58 updates = 972 synop-equivalents x 100 = 97,200 x 17.7 pJ = 1.72044 uJ;
    # 100 steps x 5.8 us + 0.94 ns x 39,200 / 3 cores = 592.28 us x 0.232 W = 137.41 uJ
    row = pair_of(report, "loihi2", "h100")
    time = 100 * 5.8e-6 + 0.94e-9 * 39_200 / 3
    assert row["spiking"]["nominal"] == pytest.approx(97_200 * 17.7e-12 + 0.232 * time)
    # 72,000 MACs: two rows, each bound by its one fetch of weights, 720 bytes at 3.35e12 B/s, or by 2 MAC / (0.5 F)
    seconds = sum(max(2 * 100 * n / (0.5 * 1978.9e12), n / 3.35e12) for n in (400, 320))
    assert row["dense"]["nominal"] == pytest.approx(700 * seconds)
    assert row["ratio"] == pytest.approx(row["spiking"]["nominal"] / row["dense"]["nominal"])
    assert row["algorithm_gain"] == pytest.approx(72_000 / 97_200)
    assert row["algorithm_gain"] * row["hardware_gain"] == pytest.approx(1 / row["ratio"])
    assert row["ahead"] == "dense" and set(row["probability"]) == set(PRIORS)


def test_every_pair_of_devices_is_there_in_both_schedules(report: dict[str, Any]):
    found = {(r["chip"], r["device"], r["schedule"]) for r in report["tasks"]["toy"]["pairs"]}
    devices = energy.default().devices.values()
    chips = {d.name for d in devices if d.spiking} - {"speck", "akida"}
    dense = {d.name for d in devices if not d.spiking}
    assert found == {(c, d, s) for c in chips for d in dense for s in ("sequential", "interleaved")}
    refused = report["tasks"]["toy"]["refused"]
    assert "supply it: --devices" in refused["sigma_delta on speck"] and "t_action" in refused["sigma_delta on akida"]


def test_probability_agrees_with_the_band(report: dict[str, Any]):
    for row in report["tasks"]["toy"]["pairs"]:
        chances = row["probability"].values()
        if row["ratio_low"] > 1:
            assert max(chances) == 0, row["chip"]
        if row["ratio_high"] < 1:
            assert min(chances) == 1, row["chip"]
    hala, one = (pair_of(report, chip, "h100")["ratio"] for chip in ("hala_point", "loihi2"))
    assert hala > 1000 * one, "1152 chips that are on"


def test_the_order_of_schedules_and_the_host_of_the_opponent(report: dict[str, Any]):
    for device in ("h100", "orin_nano"):
        slow, fast = (pair_of(report, "loihi2", device, s)["spiking"]["nominal"] for s in ("sequential", "interleaved"))
        assert slow > 2 * fast


def test_the_encoder_of_a_pair_runs_on_the_opponent(tmp_path: Path):
    # 100 int8 MACs of an encoder an action, left to the host by a chip that takes no MACs; the CPU is measured in fp32
    spiking = spiking_op_counts()
    spiking.add(
        "encoder",
        LayerCounts(layer="vit", macs=100 * ACTIONS, dense_macs=100 * ACTIONS, calls=ACTIONS),
        iteration=0,
        step=0,
    )
    method = read_run(run_dir(tmp_path, [row_of("sigma_delta", spiking)])).methods["toy"][0]
    cpu = energy.CpuPeak(flop_per_s=1e9, bytes_per_s=1e9, cores=2, power_w=5.0)
    pricing = Pricing(catalogue=energy.default(), cpu=cpu)
    for host, said in (("cpu", "int8 charged as fp32"), ("h100", "encoder on h100")):
        assert said in pricing.price(method, "loihi2", "interleaved", host=host).evidence
    a = pricing.price(method, "loihi2", "interleaved", scope="compute", host="cpu")
    alone = pricing.price(method, "loihi2", "interleaved", scope="compute", extent="predictor")
    assert a.nominal - alone.nominal == pytest.approx(2 * 100 / 1e9 * 5.0)
    assert "encoder on cpu" in a.evidence


def test_connections_by_hand(tmp_path: Path):
    method = next(a for a in read_run(run_dir(tmp_path, rows_of_a_run())).methods["toy"] if a.spiking)
    h1, out = connections(method)
    # h1: 9 of 10 inputs send, 360 of 400 synops; its 40 neurons and the coder's 10. out: 4 of 40, 32 of 320; 8 neurons
    assert (h1["layer"], h1["macs"], h1["synops"], h1["updates"], h1["s"]) == ("h1", 40_000, 36_000, 5_000, 0.9)
    assert (out["layer"], out["macs"], out["synops"], out["updates"], out["s"]) == ("out", 32_000, 3_200, 800, 0.1)


def test_break_even_by_hand(report: dict[str, Any]):
    out = next(row for row in report["tasks"]["toy"]["layers"] if row["layer"] == "out")
    star = out["s_star"]["orin_nano"]
    # e_mac 50 / 33.5e12 J over 17.7 pJ; 10 x 800 / 32,000; static by the share of the MACs
    assert star["first"] == pytest.approx(50 / 33.5e12 / 17.7e-12) and star["update"] == pytest.approx(0.25)
    time = 100 * 5.8e-6 + 0.94e-9 * 39_200 / 3
    assert star["static"] == pytest.approx(0.232 * time / (72_000 * 17.7e-12))
    assert star["s_star"] == pytest.approx(star["first"] - star["update"] - star["static"])


def test_the_opponents_are_all_named(report: dict[str, Any]):
    rows = report["tasks"]["toy"]["opponents"]["rows"]
    said = " ".join(row["opponent"] for row in rows)
    for word in ("dense fp32", "dense int8", "matched bits (8)", "skipped", "pruned", "reduced budget", "batch 1"):
        assert word in said, word
    matched = next(row for row in rows if "matched bits" in row["opponent"])
    assert matched["method"] == "sigma_delta/dense 4x2 H3" and matched["algorithm_gain"] == pytest.approx(
        72_000 / 97_200
    )
    one, many = (row["joules"] for row in (rows[-1], rows[-2]))
    assert one > many and rows[-1]["method"] == rows[-2]["method"]
    assert next(row for row in rows if "pruned" in row["opponent"])["method"] is None, "no narrow network in this run"


def test_pruned_networks_are_opponents_on_both_readings(tmp_path: Path):
    """90 % of the weights zero: 72 of 720 MACs where they are skipped, all of them where not; 95 % plans too badly."""
    skip = OperationCounts(method="pruned-90/skip", reference="zero", precision="int8", spiking=False)
    rows = PREDICTIONS * ACTIONS
    for name, kept in (("h1", 40), ("out", 32)):
        skip.add(
            "predictor",
            LayerCounts(layer=name, macs=rows * kept, dense_macs=rows * 10 * kept, calls=rows),
            iteration=0,
            step=0,
        )
        skip.set_memory(name, weight_bytes=kept, state_bytes=0)
    skip.actions = ACTIONS
    full = dense_op_counts("pruned-90", "int8")
    pruned = [
        row_of("pruned-90", full, role="front"),
        row_of("pruned-90/skip", skip, role="front"),
        row_of("pruned-95/skip", skip, role="front", success=0.5),
    ]
    found = energy_report(run_dir(tmp_path, rows_of_a_run() + pruned), energy.default(), draws=10)["tasks"]["toy"]
    every, zeros = (row for row in found["opponents"]["rows"] if "single weights" in row["opponent"])
    assert (every["method"], zeros["method"]) == ("pruned-90 4x2 H3", "pruned-90/skip 4x2 H3")
    assert (every["equivalents"], zeros["equivalents"]) == (72_000, 7_200)
    assert zeros["joules"] < every["joules"] and "hypothetical" in zeros["note"]
    assert zeros["algorithm_gain"] == pytest.approx(7_200 / 97_200)
    assert not any("/skip" in row["dense_method"] for row in found["pairs"]), "pairs are with hardware that exists"


def test_a_gpu_that_waits_by_hand(report: dict[str, Any]):
    row = next(r for r in report["tasks"]["toy"]["gpu"] if (r["device"], r["method"]) == ("h100", "int8 4x2 H3"))
    assert row["kernels"] == 2
    assert row["launched_s"] == pytest.approx(row["roofline_s"] + 2 * 1.3e-6)
    assert row["idle_joules"] == pytest.approx(row["joules"] + 80.3 * 2 * 1.3e-6)
    assert row["full_joules"] == pytest.approx(700 * row["launched_s"])


def test_who_waits_is_charged_on_both_sides(tmp_path: Path):
    """A host that idles until the chip is done draws what a GPU draws that idles from kernel to kernel."""
    rows = []
    for name, op_counts in (
        ("dense", dense_op_counts("dense", "fp32")),
        ("int8", dense_op_counts("int8", "int8")),
        ("sigma_delta", spiking_op_counts()),
    ):
        op_counts.add("encoder", LayerCounts(layer="see", macs=ACTIONS * 50, dense_macs=ACTIONS * 50, calls=ACTIONS))
        rows.append(row_of(name, op_counts))
    pair = pair_of(energy_report(run_dir(tmp_path, rows), energy.default(), draws=50), "loihi2", "h100")
    wait, chip = 1.3e-6, 100 * 5.8e-6 + 0.94e-9 * 39_200 / 3  # a kernel; the chip as in test_a_pair_by_hand
    found = pair["waiting"]
    assert found["dense"] == pytest.approx(pair["dense"]["nominal"] + 80.3 * 3 * wait)  # encoder, h1, out
    idle = 80.3 * (wait + chip)
    assert found["spiking"] == pytest.approx(pair["spiking"]["nominal"] + idle + 0.232 * wait)
    # 313 uJ a kernel and draw on one side, 47 mJ of a host that does nothing on the other
    assert found["spiking"] > 50 * found["dense"] and pair["probability_waiting"] == 0.0
    alone = pair_of(energy_report(run_dir(tmp_path, rows_of_a_run()), energy.default(), draws=50), "loihi2", "h100")
    assert alone["waiting"]["spiking"] == alone["spiking"]["nominal"], "no encoder, no host that waits"
    assert (
        pair_of(energy_report(run_dir(tmp_path, rows), energy.default(), draws=5), "seneca", "h100")["waiting"] is None
    )


def test_a_figure_that_turns_the_verdict_is_never_cut_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    many = [Swing(figure=f"f{i}", at_low=0.9, at_high=2.0 + i, turns=i == 8) for i in range(10)]
    monkeypatch.setattr("spikeplan.evaluation.pricing.pairs.sensitivity", lambda *_: many)
    found = energy_report(run_dir(tmp_path, rows_of_a_run()), energy.default(), draws=5)
    assert [s["figure"] for s in pair_of(found, "loihi2", "h100")["sensitivity"]] == [
        *(f"f{i}" for i in range(6)),
        "f8",
    ]
    assert all("turned by f8 alone" in said for said in found["tasks"]["toy"]["verdicts"])


def test_density_moves_the_ratio(report: dict[str, Any]):
    for line in report["tasks"]["toy"]["curves"]:
        assert np.all(np.diff(line["nominal"]) >= 0) and line["nominal"][-1] > line["nominal"][0]
        assert line["measured_s"] == pytest.approx(392 / 720)
        assert np.interp(line["measured_s"], line["s"], line["nominal"]) == pytest.approx(
            line["measured_ratio"], rel=0.01
        )


def test_a_spiking_method_that_plans_worse_is_no_point(tmp_path: Path):
    found = energy_report(run_dir(tmp_path, rows_of_a_run(spiking_success=0.8)), energy.default(), draws=10)
    assert found["tasks"]["toy"]["pairs"] == [] and found["tasks"]["toy"]["opponents"] is None


def test_a_run_of_one_method_is_priced_without_a_verdict(tmp_path: Path):
    found = energy_report(run_dir(tmp_path, [row_of("sigma_delta", spiking_op_counts())]), energy.default(), draws=10)
    task = found["tasks"]["toy"]
    assert task["pairs"] == [] and {row["device"] for row in task["chips"]} >= {"loihi2", "loihi1", "seneca"}


def test_a_dense_method_alone_is_priced_on_the_devices_that_take_its_precision(tmp_path: Path):
    run = run_dir(tmp_path, [row_of("dense", dense_op_counts("dense", "fp32"))])
    rows = energy_report(run, energy.default(), draws=10)["tasks"]["toy"]["dense"]
    assert {row["device"] for row in rows} == {"cpu", "rtx4090", "agx_orin", "digital45"}
    one = next(row for row in rows if row["device"] == "digital45")
    assert one["compute"] == pytest.approx(72_000 * 4.6e-12) and one["compute"] <= one["chip"] <= one["system"]


def test_gains_multiply_to_the_ratio():
    found = gains(spiking=2.0, dense=6.0, spiking_ops=10.0, dense_ops=40.0)
    assert found == {"ratio": pytest.approx(1 / 3), "algorithm_gain": 4.0, "hardware_gain": pytest.approx(0.75)}


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = run_dir(tmp_path / "run", rows_of_a_run())
    own = tmp_path / "own.toml"
    own.write_text(
        '[devices.speck.figures]\ne_synop = { value = 2, unit = "pJ", source = "me", evidence = "R", node = "x" }\n'
    )
    main(
        [
            "energy",
            "report",
            str(folder),
            "--json",
            str(tmp_path / "r.json"),
            "--svg",
            str(tmp_path / "r.svg"),
            "--counts_files",
            str(tmp_path / "l"),
            "--draws",
            "50",
            "--devices",
            str(own),
        ]
    )
    said = capsys.readouterr().out
    assert "P(win)" in said and "Opponents of sigma_delta" in said and "no chip was" in said
    found = json.loads((tmp_path / "r.json").read_text())
    assert "toy" in energy_section(found) and "loihi2 | interleaved, not placed | h100" in energy_section(found)
    assert (tmp_path / "r.svg").read_text().count("<svg") == 1
    files = sorted(str(path) for path in (tmp_path / "l").glob("*.json"))
    assert len(files) == 3 + 2  # three dense methods, two schedules of the spiking one
    again = [read_rows(Path(name)) for name in files if "interleaved" in name]
    assert again[0] == (spiking_op_counts().rows("interleaved"), ACTIONS)
    main(["energy", "compare", *files, "--json", str(tmp_path / "c.json")])
    compared = json.loads((tmp_path / "c.json").read_text())["rows"]
    chip = next(r for r in compared if r["device"] == "loihi2" and r["schedule"] == "interleaved")
    # The encoder's host aside (there is no encoder here) compare and report price the same counts alike.
    assert chip["nominal"] == pytest.approx(pair_of(found, "loihi2", "h100")["spiking"]["nominal"])
    capsys.readouterr()
    main(["energy", "devices", "--json", "--devices", str(own)])
    devices = json.loads(capsys.readouterr().out)["devices"]
    assert devices["speck"]["figures"]["e_synop"]["value"] == 2
    for device in devices.values():
        for figure in device["figures"].values():
            assert {"value", "unit", "low", "high", "node", "source", "evidence"} <= figure.keys()
            assert figure["low"] <= figure["value"] <= figure["high"]
    main(["energy", "devices"])
    assert "not available" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.pop("ci95"), "ci95"),
        (lambda row: row.update(success=None), "success is None"),
        (lambda row: row.update(method=7), "method is 7"),
        (lambda row: row.update(op_counts=[]), "list indices"),
        (lambda row: row.update(threshold="x"), "threshold is 'x'"),
        (lambda row: row.update(method="dense", family="dense"), "spiking is True"),
        (lambda row: row["op_counts"].update(memory=None), "memory"),
        (lambda row: row["op_counts"].update(host_words=True), "host_words"),
        (lambda row: row["op_counts"].update(reference=float("nan")), "no results directory .NaN is no number"),
        (lambda row: row["op_counts"].update(actions=10**400), "actions is 1000"),
        (lambda row: row["op_counts"].update(actions=0), "actions is 0"),
        (lambda row: row["op_counts"].update(counts=[]), "no operations"),
        (lambda row: row["op_counts"]["counts"][0].__setitem__(1, 1.5), "counts are not of"),
    ],
)
def test_a_damaged_row_of_a_run_is_one_line_and_writes_nothing(tmp_path: Path, change: Any, message: str):
    row = row_of("sigma_delta", spiking_op_counts())
    change(row)
    with pytest.raises(UserError, match=message):
        read_run(run_dir(tmp_path, [row_of("dense", dense_op_counts("dense", "fp32")), row]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["report", "{no}"], "no results directory"),
        (["report", "{run}", "--json", "{no}/x.json"], "--json"),
        (["report", "{run}", "--draws", "0"], "--draws 0 must be"),
        (["report", "{run}", "--seed", "-1"], "--seed -1"),
        (["report", "{run}", "--devices", "{no}"], "cannot read the device catalogue"),
        (["report", "{run}", "--json", "{run}/config.json"], "would write over an input"),
        (["report", "{one}", "--svg", "{one}/x.svg"], "nothing to draw"),
        (["report", "{old}"], "a results directory of version 0.1"),
        (["report", "{bad}"], "a damaged op_counts of method 'sigma_delta'"),
        (["compare", "{no}"], "cannot read a op_counts"),
        (["compare", "{nan}"], "row 0: method 'x', layer 'h': macs is nan"),
        (["compare", "{dram}", "--json", "{no}"], "no device of the catalogue can be priced; the first says: "),
        (["compare", "{nan}", "--json", "{nan}"], "would write over"),
        (["devices", "--devices", "{toml}"], "source is missing"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str):
    damaged = row_of("sigma_delta", spiking_op_counts())
    damaged["op_counts"]["counts"][0][4]["synops"] = "many"
    nan, toml = tmp_path / "nan.json", tmp_path / "own.toml"
    first = {"method": "x", "phase": "predictor", "layer": "h", "schedule": "batched", "macs": float("nan")}
    nan.write_text(json.dumps({"format": "spikeplan-counts", "version": 3, "actions": 1, "rows": [first]}))
    dram = tmp_path / "dram.json"  # synops keep it off dense devices, DRAM off the chips
    dram.write_text(nan.read_text().replace("NaN", '0, "synops": 7, "dram_bytes": 1').replace("batched", "sequential"))
    toml.write_text('[devices.speck.figures]\ne_synop = { value = 2, unit = "pJ", evidence = "R" }\n')
    places = {
        "no": tmp_path / "none",
        "run": run_dir(tmp_path / "run", rows_of_a_run()),
        "nan": nan,
        "dram": dram,
        "toml": toml,
        "one": run_dir(tmp_path / "one", [row_of("sigma_delta", spiking_op_counts())]),
        "old": run_dir(tmp_path / "old", [{"kind": "method"}]),
        "bad": run_dir(tmp_path / "bad", [damaged]),
    }
    with pytest.raises(SystemExit) as stop:
        main(["energy", *(word.format(**places) for word in words)])
    said = capsys.readouterr().err
    assert stop.value.code == 2 and message in said and said.count("\n") == 1
    assert not (tmp_path / "none").exists()
