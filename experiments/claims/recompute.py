"""`spikeplan energy claims`: what the articles behind the project state, recomputed.

Every figure comes from the counter run on the real architecture, from the device catalogue or from energy/claims.toml, where
it has its source; nothing physical is typed in here. A verdict follows from the numbers:

    holds          what is stated and what is computed agree
    fails          they do not
    unsupported    stated in general; what is published or computed covers part of it, or contradicts it elsewhere
    depends        true for some networks, rates or latents and false for others, said which
    not found      nothing to compute it from
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from spikeplan.core.counts.operations import BYTES, UPDATE_WEIGHT
from spikeplan.energy.claims import Claim
from spikeplan.energy.dense import e_mac
from spikeplan.experiments.claims.basis import Answer, Basis, agrees, count_vjepa2_ac
from spikeplan.worldmodel.mac_counter import count_macs
from spikeplan.worldmodel.predictor import ResidualPredictor
from spikeplan.worldmodel.vjepa2_ac import VJEPA2ACConfig

LATENT, ACTION = 64, 2  # of this project's own predictor


def candidate_step(claim: Claim, b: Basis) -> Answer:
    macs = b.one_frame.macs
    config = VJEPA2ACConfig()
    return Answer(
        macs.total / 1e9,
        agrees(claim, macs.total / 1e9),
        f"counter on the skeleton: {config.depth} blocks of width {config.width}, {config.tokens} tokens: "
        f"{macs.weight / 1e9:.2f} GMAC with weights + {macs.activation / 1e9:.2f} GMAC of attention "
        f"({macs.activation / macs.total:.1%}, activation x activation: no stored synapses)",
    )


def two_frames(claim: Claim, b: Basis) -> Answer:
    total = count_vjepa2_ac(2).macs.total
    return Answer(
        2 * total / 1e9,
        agrees(claim, 2 * total / 1e9),
        f"counter on the skeleton, 2 frames: {total / 1e9:.1f} GMAC x 2; masked products count, the kernels compute them",
    )


def action_flop(claim: Claim, b: Basis) -> Answer:
    found = 2 * b.action_macs / 1e15
    return Answer(
        found,
        agrees(claim, found),
        f"{b.step_flop / 1e9:.1f} GFLOP x {b.value('cem_samples'):.0f} samples x {b.value('cem_iterations'):.0f} "
        f"iterations x horizon 1 = {found:.3f} PFLOP",
    )


def step_flop(claim: Claim, b: Basis) -> Answer:
    found = b.step_flop / 1e9
    return Answer(
        found,
        agrees(claim, found, 1.0),
        f"V-JEPA 2-AC's predictor by the counter: {found:.1f} GFLOP, {found / claim.stated:.0f} times as much; "
        "a smaller predictor may take less, but the robot results that the article quotes are this one's",
    )


def plan_flop(claim: Claim, b: Basis) -> Answer:
    found, premise = 2 * b.action_macs / 1e12, b.evaluations * b.value("jepa_r_step_flop") / 1e12
    return Answer(
        found,
        agrees(claim, found, 1.0),
        f"{b.evaluations:.0f} evaluations x {b.step_flop / 1e9:.1f} GFLOP = {found:.0f} TFLOP, "
        f"{found / claim.stated:.0f} times as much; the article's product is right on its own premise: "
        f"{b.evaluations:.0f} x {b.value('jepa_r_step_flop') / 1e9:g} GFLOP = {premise:g} TFLOP",
    )


def vjepa2_ac_time(claim: Claim, b: Basis) -> Answer:
    card = b.catalogue.device("rtx4090")
    peak, paper = card.figure("peak_bf16").band.nominal, b.value("vjepa2_ac_action")
    least, joules = 2 * b.action_macs / peak, card.figure("power").band.nominal * paper
    verdict = "holds" if paper == claim.stated and least <= claim.stated else "fails"
    return Answer(
        least,
        verdict,
        f"the paper measured {paper:g} s. Computed is the least time at the card's peak: {2 * b.action_macs / 1e15:.2f} PFLOP / "
        f"{peak / 1e12:.1f} TFLOP/s (bf16; the paper names no precision) = {least:.1f} s, so it ran at {least / paper:.0%} "
        f"of the peak; at full board power {joules / 1e3:.1f} kJ an action, {joules / b.evaluations:.2f} J an evaluation "
        "(upper bounds). The image's encoding is not counted",
    )


def cosmos_time(claim: Claim, b: Basis) -> Answer:
    seconds, paper = b.value("cosmos_action"), b.value("vjepa2_ac_action")
    each, ours = seconds / (b.value("cosmos_samples") * b.value("cem_iterations")), paper / b.evaluations
    return Answer(
        seconds / 60,
        agrees(claim, seconds / 60),
        f"read in the paper, not recomputed: {seconds:g} s for {b.value('cosmos_samples'):.0f} x "
        f"{b.value('cem_iterations'):.0f} evaluations = {each * 1e3:.0f} ms each against V-JEPA 2-AC's {ours * 1e3:.0f} ms: "
        f"{seconds / paper:.0f} times an action, {each / ours:.0f} times an evaluation",
    )


def rendering(claim: Claim, b: Basis, flop: float) -> Answer:
    found, premise = flop / b.step_flop, flop / b.value("jepa_r_step_flop")
    each = b.value("cosmos_action") / (b.value("cosmos_samples") * b.value("cem_iterations"))
    measured = each / (b.value("vjepa2_ac_action") / b.evaluations)
    return Answer(
        found,
        agrees(claim, found, 0.5),
        f"{flop / 1e9:.0f} GFLOP a frame (the article's) / {b.step_flop / 1e9:.1f} GFLOP a step (counted) = {found:.1f}; "
        f"over the article's {b.value('jepa_r_step_flop') / 1e9:g} GFLOP it is {premise:.0f}. Measured on one GPU, an evaluation "
        f"with Cosmos took {measured:.0f} times one with V-JEPA 2-AC",
    )


def jepa_r(b: Basis) -> tuple[float, float, str]:
    """J an action on the article's ASIC for the counted network and for its own step, arithmetic alone, and the sum in words."""
    each = e_mac(b.catalogue.device("jepa_r"), "int8").nominal
    counted, own = b.action_macs * each, b.evaluations * b.value("jepa_r_step_flop") / 2 * each
    return (
        counted,
        own,
        (
            f"{b.action_macs / 1e12:.0f} TMAC x {each * 1e12:.3f} pJ (int8 at 7 nm, arithmetic alone, no "
            f"memory, no static power) "
            f"= {counted:.1f} J an action"
        ),
    )


def jepa_r_power(claim: Claim, b: Basis) -> Answer:
    counted, own, words = jepa_r(b)
    time = b.value("jepa_r_latency")
    return Answer(
        counted / time,
        "fails" if counted / time > claim.stated else "holds",
        f"{words} / {time * 1e3:g} ms = {counted / time:.0f} W; even its own {b.value('jepa_r_step_flop') / 1e9:g} GFLOP a step "
        f"takes {own:.3f} J, {own / time:.1f} W, before any memory access",
    )


def jepa_r_latency(claim: Claim, b: Basis) -> Answer:
    counted, own, words = jepa_r(b)
    power = b.value("jepa_r_power")
    return Answer(
        counted / power * 1e3,
        "fails" if counted / power * 1e3 > claim.stated else "holds",
        f"{words} / {power:g} W = {counted / power:.2f} s at least; with its own {b.value('jepa_r_step_flop') / 1e9:g} GFLOP a "
        f"step {own / power * 1e3:.1f} ms",
    )


def envelope(claim: Claim, b: Basis) -> Answer:
    gpus = {n: d for n, d in b.catalogue.devices.items() if d.kind == "gpu" and "peak_int8" in d.figures}
    per_mac = {name: e_mac(device, "int8").nominal for name, device in gpus.items()}
    best = min(per_mac, key=lambda name: per_mac[name])
    joules, slow, fast = b.action_macs * per_mac[best], b.value("vjepa2_ac_action"), b.value("jepa_r_latency")
    verdict, said = verdict_of_both(*(joules / seconds <= claim.stated for seconds in (slow, fast)))
    return Answer(
        joules / slow,
        verdict,
        f"V-JEPA 2-AC's plan takes {joules:.0f} J an action at the int8 peak of the most frugal GPU listed ({best}, "
        f"{per_mac[best] * 1e12:.2f} pJ a MAC: a lower bound): {joules / slow:.1f} W at one action in {slow:g} s, which "
        f"{said[0]}; {joules / fast / 1e3:.0f} kW at one in {fast * 1e3:g} ms, which {said[1]}. {claim.stated:g} W allow one in "
        f"{joules / claim.stated:.0f} s",
    )


def verdict_of_both(*fits: bool) -> tuple[str, list[str]]:
    """One claim at several rates: it depends on the rate where some fit and some do not."""
    return "holds" if all(fits) else "depends" if any(fits) else "fails", [
        "fits" if fit else "does not" for fit in fits
    ]


def fall_detection(claim: Claim, b: Basis) -> Answer:
    found = b.value("fall_detection") * 1e3
    static = b.catalogue.device("loihi2").figure("p_static").band
    return Answer(
        found,
        agrees(claim, found),
        f"read in the abstract, not recomputed. The chip alone, not camera and FPGA; a network only "
        f"{b.value('fall_detection_sparsity'):g}x sparse. The static power of other Loihi 2 boards alone is "
        f"{static.low * 1e3:.0f}-{static.high * 1e3:.0f} mW a chip (catalogue), so the two do not count the same",
    )


def llm_energy(claim: Claim, b: Basis) -> Answer:
    found = b.value("llm_energy")
    return Answer(
        found,
        agrees(claim, found),
        f"read in the abstract: {found:g}x less energy, 3x is the throughput; both 'up to' and preliminary",
    )


def cpu_gain(claim: Claim, b: Basis) -> Answer:
    found = b.value("nxtf_cpu") / b.value("nxtf_loihi")
    slower = b.value("nxtf_loihi_time") / b.value("nxtf_cpu_time")
    return Answer(
        found,
        "unsupported" if found < claim.stated else "holds",
        f"a measured pair, one network on both (CIFAR-10 MobileNet, Loihi 1): {b.value('nxtf_cpu') * 1e3:.0f} mJ / "
        f"{b.value('nxtf_loihi') * 1e3:.0f} mJ = {found:.2f}, and Loihi took {slower:.0f} times as long; the published gains "
        "above 100 (see the GPU) are of small recurrent and streaming networks, not of networks in general",
    )


def gpu_gain(claim: Claim, b: Basis) -> Answer:
    """The most a sigma-delta network of the predictor's size can gain: no message at all, updates alone, no static power."""
    predictor = ResidualPredictor(LATENT, ACTION)
    counted = count_macs(predictor, torch.zeros(1, LATENT), torch.zeros(1, ACTION)).macs.total
    updates = sum(linear.out_features for linear in predictor.linears())
    e_eq = b.catalogue.device("loihi2").figure("e_eq").band
    dense = e_mac(b.catalogue.device("orin_nano"), "int8").nominal
    floor = UPDATE_WEIGHT * updates / counted
    found, most = dense / (e_eq.nominal * floor), dense / (e_eq.low * floor)
    return Answer(
        found,
        "unsupported" if found < claim.stated else "holds",
        f"published: {b.value('llm_energy'):g}x (LLM), {b.value('rnn_gpu_gain'):g}x (sparse RNN), {b.value('clp_gpu_gain'):.0f}x "
        f"(CLP-SNN), and a Jetson that wins once batched (S4D, arXiv 2409.15022). For our predictor even silence costs "
        f"{UPDATE_WEIGHT} x {updates} updates / {counted} MACs = {floor:.4f} of the dense count, so the gain over an Orin "
        f"Nano at its int8 peak is at most {dense * 1e12:.2f} / ({e_eq.nominal * 1e12:.1f} x {floor:.4f}) = {found:.2f} "
        f"(low bound of Loihi 2's energy: {most:.0f}), static power left out",
    )


def latent_log(claim: Claim, b: Basis) -> Answer:
    config, rate = VJEPA2ACConfig(), 1 / b.value("log_period")
    whole, pooled = (n * config.encoder_width * rate / 1e3 for n in (config.patches, 1))
    ours = LATENT * BYTES["fp32"] * rate / 1e3
    return Answer(
        whole,
        "depends" if pooled <= claim.stated < whole else agrees(claim, whole),
        f"the latent that V-JEPA 2-AC plans with, in int8: {config.patches} x {config.encoder_width} B x {rate:g} Hz = "
        f"{whole:.0f} KB/s, {whole / claim.stated:.0f} times as much (fp16: twice that); one pooled vector of "
        f"{config.encoder_width}: {pooled:.1f} KB/s; this project's {LATENT} fp32 numbers: {ours:.1f} KB/s. A pooled vector is "
        "no latent that this planner could resume from",
    )


def akida_standby(claim: Claim, b: Basis) -> Answer:
    power = b.catalogue.device("akida").figure("power")
    return Answer(
        None,
        "not found",
        f"no source of a standby power; the catalogue has {power.band.nominal * 1e3:g} mW ({power.source})",
    )


RECKON: Mapping[str, Callable[[Claim, Basis], Answer]] = {
    "candidate_step": candidate_step,
    "two_frames": two_frames,
    "action_flop": action_flop,
    "step_flop": step_flop,
    "plan_flop": plan_flop,
    "vjepa2_ac_time": vjepa2_ac_time,
    "cosmos_time": cosmos_time,
    "rendering_low": lambda claim, b: rendering(claim, b, b.figure("frame_flop").low),
    "rendering_high": lambda claim, b: rendering(claim, b, b.figure("frame_flop").high),
    "jepa_r_power": jepa_r_power,
    "jepa_r_latency": jepa_r_latency,
    "envelope": envelope,
    "fall_detection": fall_detection,
    "llm_energy": llm_energy,
    "cpu_gain": cpu_gain,
    "gpu_gain": gpu_gain,
    "latent_log": latent_log,
    "akida_standby": akida_standby,
}
