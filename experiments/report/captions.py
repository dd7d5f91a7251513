"""The words of the report: what each section and figure says about itself, and the caveats."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    title: str
    lead: str


SECTION = {
    "systems": Words(
        "What whole systems draw",
        "Mean power at a control rate, waiting and sleep included, the same rule for every machine. Each system runs its "
        "cheapest plan of equal success; the policy alone is a row where too few of its episodes succeed. Nominal (low .. high).",
    ),
    "headline": Words(
        "In short",
        "One sentence a question. Ratios are spiking over dense at iso-success; in brackets, 95 % over episodes and over the "
        "bands of the constants. A ratio whose interval holds 1 is undecided.",
    ),
    "verdict": Words(
        "At equal success, opponent by opponent",
        "The cheapest point of each side, with everything counted: encoder, rollouts, restores, selection.",
    ),
    "targets": Words("Targets", "What was asked for, and whether this run reached it."),
    "success": Words(
        "Success and operations per method",
        "All methods see the same starts, goals and noise; differences are paired by episode.",
    ),
    "front": Words(
        "The front: success against cost",
        "The opponent is dense planning at equal cost. All points: the first planner seed, on the same episodes.",
    ),
    "admission": Words(
        "Does the task need planning?",
        "A task counts only if greedy planning (H = 1) and dense CEM at 5 % of the budget both fall at least 20 points "
        "below the full dense planner.",
    ),
    "density": Words(
        "Density per reference",
        "A reference says which earlier pass a pass is compared with, and each reference has its own state to keep: there is no "
        "single density.",
    ),
    "heat": Words("Density by iteration and rollout step", "On recorded plans."),
    "layers": Words("Layer-wise error and messages", "After conversion, on recorded plans."),
    "agreement": Words(
        "Ranking agreement",
        "The same recorded candidates, ranked by each method: a planner needs the order of costs, not the latents.",
    ),
    "thresholds": Words("Choice of thresholds", "On validation episodes, never on the reported ones."),
    "gates": Words(
        "Gates and controls of the world model",
        "A low training loss is no proof: a collapsed encoder has the lowest of all. The controls must plan worse.",
    ),
    "lava": Words(
        "Lava: bit-exact replay",
        "The first two CEM iterations of a recorded plan of the headline network, replayed as Lava processes in an "
        "interpreter of their own; every message, state and value is compared with == against the integer reference. On "
        "reference zero a ReLU layer sends nothing negative; the second replay shows both signs.",
    ),
    "energy": Words(
        "Energy: bands, scopes, break-even",
        "Scope compute: operations. B: plus memory traffic and network on chip. C: plus static power × time, input and "
        "output, host. What is ahead is read from C.",
    ),
    "film": Words(
        "One episode per method",
        "Goal green, robot blue; the same start and goal for every method. Success is judged at the last control step.",
    ),
    "events": Words(
        "The arm as a frame and as events", "What a frame camera and an event camera make of the same motion."
    ),
    "caveats": Words("Caveats", "What is simulated, what is measured, and what the figures do not show."),
    "config": Words("Configuration and versions", "As the run wrote them."),
    "citation": Words("Citation and versions", "What to cite, and what made this run."),
}

CAPTION = {
    "headline": "Pareto fronts: no cheaper point of its side succeeds as often. Bars: Wilson 95 %.",
    "success": "Success per method with 95 % intervals (Wilson; several planner seeds of an episode count for as many trials as "
    "they tell apart); dashed: the dense planner.",
    "phases": "Operations of one action by phase (bar: batched or interleaved), the floor that neuron updates alone "
    "set, and the total when one candidate at a time walks through the layers (sequential).",
    "front": "Success against total synop-equivalents per action (1 MAC or synop = 1, 1 neuron update = 10); further "
    "left and higher is better. Steps: the front of each family. Filled: dense or interleaved; hollow: sequential. On hover "
    "a mark shows its method, budget and values; right, the fronts of both sides are labelled where there is room. "
    "Thin bars: Wilson 95 %. That a chip can keep as many candidates as layers in the pipe (interleaved) is assumed.",
    "front-joules": "The same points in Joules, scope system; hollow: sequential. Pale bands: low to high of the points "
    "on each front. Spiking points on loihi2: the cheapest number of replicas on one chip. All Joules are estimates, none "
    "was measured; GPU figures rest on peak rates.",
    "admission": "Success of the dense planner by budget, Wilson 95 %. Dashed: what reduced budgets must not reach.",
    "density": "Share of the dense synaptic operations that remain, per reference; the mean candidate's own pass "
    "is counted. Solid line: int8 dense. Dashed: what zeros alone save, without any memory of earlier passes.",
    "references": "The headline network planned with on every reference, its thresholds scaled down to a "
    "quarter, on the first 100 of the "
    "front's episodes (reference zero at × 2 and × 4: all of them). Weights and thresholds were "
    "fine-tuned on the headline's reference.",
    "heat": "Density by CEM iteration (down) and rollout step (right); one scale for all panels.",
    "layers": "Left: error of each layer after conversion. Right: messages per neuron update, by reference; an update is "
    "paid whether a message is sent or not.",
    "agreement": "Left: rank correlation of candidate costs with the dense method's, and overlap of the elites. Right: "
    "error of the imagined latent over the rollout, relative to the distance the dense latent moved.",
    "thresholds": "Success against density while the threshold of every layer is scaled by one factor; the factors, "
    "written at one reference, are the same on all. Candidates that fell early stand on fewer episodes than the dense line.",
    "gates": "Success with the trained world model and with its controls. The collapsed one is a short training run without "
    "the terms that prevent collapse.",
    "raster": "The first passes of a recorded plan, one candidate after the other at the same rollout step; black: the "
    "neuron sent a message in this pass. Simulated, not a chip.",
    "energy": "Energy per action: bar from low to high, tick at nominal; spiking methods on tinted ground. GPU bars rest "
    "on peak rates: lower bounds.",
    "break-even": "Break-even density s* as its terms are taken off. Most papers print the first term only; updates "
    "are paid at any sparsity, and static power over the time of a prediction, one replica, one core a layer, at any "
    "activity: more replicas share it. Dashed: the density that the sigma-delta method planned with. s* ≤ 0: no sparsity helps.",
}

CAVEATS = (
    "Simulated: everything on Loihi. Messages, updates and chip steps of the sigma-delta methods are counted in an integer "
    "reference on a CPU; the Lava section says how far a replay agreed with it. The LIF method has int8 weights and floating "
    "membranes and is not replayed. Distance, selection and refit run in floating point and are charged by formula. No "
    "neuromorphic chip was used, and nothing here is a measurement of one.",
    "Measured: success, latents and rankings, on the episodes and seeds given, in simulated worlds.",
    "Energy is an estimate with low, nominal and high; each row carries the evidence codes of its constants (R read in "
    "the primary artefact, Q quoted, S secondary, V vendor claim, D derived, assumed). No energy per synaptic operation is "
    "published for Loihi 2, so its band is wide: its ends are derived and assumed.",
    "GPU figures are peak rates: lower bounds on energy, since a network of this size does not reach the peak. They "
    "favour the dense methods.",
    "A dense MAC counts as one synop-equivalent at every precision and pays no update: the count most favourable to "
    "the dense methods.",
    "A batch of candidates in one process is a convenience of the simulation, not a mapping: on a chip, candidates "
    "share one network in time (sequential, or interleaved with restores counted) or take a replica each.",
    "The encoder stays dense in every method and runs on a host device; loop totals include it, predictor totals do not. It "
    "runs in fp32 here and is charged at int8 in every method but `dense`.",
    "On the front, and so in the Joules at equal success, a spiking network runs on loihi2 with the number of replicas that is "
    "cheapest on one chip, idle neurons charged; synop-equivalents count the work alone. Elsewhere time on a chip assumes one "
    "replica and one neurocore a layer, the least that interleaving takes, and charges no idle neuron.",
    "A GPU is charged its peak rate: a few nanoseconds a layer call here, where a real launch takes microseconds. The first "
    "section says at what time an action the order turns.",
    "METHOD/dense and METHOD/skip are a sigma-delta network's own function on dense hardware that computes every MAC, or skips "
    "those of zero activations at no cost. The same actions, so the same success: only the bill differs. pruned-P/skip is a "
    "magnitude-pruned network whose weights of zero cost nothing; no device of the catalogue can do that.",
    "The lava method replays recorded rollouts; the loop was not closed through Lava, so it has no success rate.",
    "Paired intervals take the episode as the unit and average planner seeds within it. No interval covers the spread "
    "over training seeds.",
    "'Ahead' compares point estimates of success; where intervals overlap, two points may be the same.",
)
