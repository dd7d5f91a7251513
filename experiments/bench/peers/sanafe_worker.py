"""One run of SANA-FE in a process of its own: `python -m spikeplan.experiments.bench.peers.sanafe_worker`, a JSON job on
stdin, JSON on the last line.

SANA-FE is GPL-3.0: this file alone imports it, in `main` alone, and only numbers pass between the two processes.
Its Loihi 1 model (arch/loihi.yaml) runs three layers, one core each, on the given tiles: spikes of the first are given, the
second integrates and fires, the third integrates and never fires.

Job     spikes (T, n1) of 0 and 1; weight2 (n2, n1), weight3 (n3, n2); threshold; steps; tiles (3,)
Answer  energy_J {synapse, soma, network, dendrite, total}, fired2 (steps,), hops, seconds.  Exit code 3: SANA-FE does not import.
"""

from __future__ import annotations

import json
import sys
from typing import Any

NOT_INSTALLED = 3
CORES_A_TILE = 4


def run(sanafe: Any, job: dict[str, Any]) -> dict[str, Any]:
    arch, net = sanafe.load_loihi(), sanafe.Network()
    cores = [core for tile in arch.tiles for core in tile.cores]
    weight2, weight3, steps = job["weight2"], job["weight3"], job["steps"]
    given = [list(map(bool, train)) + [False] * (steps - len(train)) for train in zip(*job["spikes"], strict=True)]
    first = net.create_neuron_group("h1", len(given))
    for i, train in enumerate(given):
        first[i].set_attributes(soma_hw_name=f"loihi_inputs[{i}]", model_attributes={"spikes": train})
    neuron = {"leak_decay": 1.0, "reset_mode": "hard", "reset": 0.0, "force_update": True}
    units = {"soma_hw_name": "loihi_lif", "default_synapse_hw_name": "loihi_dense_synapse"}
    second = net.create_neuron_group(
        "h2", len(weight2), {**neuron, "threshold": job["threshold"]}, log_spikes=True, **units
    )
    third = net.create_neuron_group("out", len(weight3), {**neuron, "threshold": 1e30}, **units)
    for before, after, weight in ((first, second, weight2), (second, third, weight3)):
        before.connect_neurons_dense(
            after, {"weight": [value for column in zip(*weight, strict=True) for value in column]}
        )
    groups = ((first, len(given)), (second, len(weight2)), (third, len(weight3)))
    for tile, (group, n) in zip(job["tiles"], groups, strict=True):
        for j in range(n):
            group[j].map_to_core(cores[tile * CORES_A_TILE])
    chip = sanafe.SpikingChip(arch)
    chip.load(net)
    found = chip.sim(steps, spike_trace=True, perf_trace=True)
    return {
        "energy_J": found["energy"],
        "fired2": [len(step) for step in found["spike_trace"]],
        "hops": sum(found["perf_trace"]["hops"]),
        "seconds": found["sim_time"],
    }


def main() -> None:
    try:
        import sanafe
    except ImportError:
        sys.exit(NOT_INSTALLED)
    answer = run(sanafe, json.load(sys.stdin))
    print()  # SANA-FE's progress ends without a line feed
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
