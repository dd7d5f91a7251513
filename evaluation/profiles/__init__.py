"""What a reader's own network costs: operation counts of one call, and a comparison over machines and whole systems.

    profile(net, inputs)                 any torch module: MACs by module as they run, bytes of weights, activations, density
    profile(spiking_net, inputs)         of snnTorch, Norse, SpikingJelly or sinabs: synops, updates and spikes of its time steps
    profile(predictor, (latent, action)) anything behind the Predictor contract, dense or spiking
    compare({name: profile}, machines)   Joules and time on each machine, watts of each system at a control rate

Counts are simulated and energies are estimates; nothing here is measured.
"""

from spikeplan.evaluation.profiles.compare import Comparison, compare
from spikeplan.evaluation.profiles.loop import Loop
from spikeplan.evaluation.profiles.profile import Profile, profile

__all__ = ["Comparison", "Loop", "Profile", "compare", "profile"]
