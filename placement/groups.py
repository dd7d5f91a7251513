"""What is placed: the predictor's groups, and those of the rest of the planning loop.

Predictor: one group a layer (`spikeplan.core.fit.groups_of`); a LIF network as groups of its own. On a chip of binary spikes the
LIF network's graded input is coded bit by bit: `INPUT_BITS` neurons an input, each bit an axon with weights 2^b as large.

The loop, from the definition of the integer CEM (`worldmodel/planning/integer_cem.py`, charges in
`core/counts/charges.py`); V variables of A
actions, D latent, S candidates of which a replica has `turns`:

    group       neurons   state words a neuron                     fed by            how
    source      V A       mu, w, noise word + u of each candidate  refit             one synapse a message
    latent      D         z0 + z of each candidate                 out               one synapse: z += value
    distance    D         goal                                     latent            one synapse: |z - g|
    sum         1         -                                        distance          D synapses: d      a place: once more each
    cost        turns     J, number (one candidate a neuron)       sum, theta        one synapse each: J += d in its own turn
    theta       1         T, bit, count                            cost              S synapses         once, for all replicas
    pairs       S (S-1)/2 -                                        cost              2 synapses         once: which of two is less
    refit       2 V A     sum, mean (or spread)                    source            one synapse each   once, for all replicas

Where a policy acts, source takes its output, adds noise and clips; the policy's first layer gets the latent before the
predictor's does. A pass that seeks one winner among few compares all pairs at once (`Pass.by_pairs`); theta is for the others.
Refined planning makes its passes one after the other on
the same groups; the latent goes to the policy in all of them, which answers in the first alone. A cost-to-go, where there is one,
is sent every latent, answers where a candidate ends, and its output is one more synapse of cost.

Parts of one replica share cores; so do theta and refit. Candidates of one replica take turns, so u and z are stored contexts;
the noise is drawn again from its seed in every iteration. Assumed, not published: that a program may hold that many words.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from spikeplan.core.errors import UserError
from spikeplan.core.fit import Group
from spikeplan.core.fixed_point import STATE_BITS
from spikeplan.core.groups import NeuronGroups
from spikeplan.core.planning import Pass, PlanBudget

PARTS = ("source", "latent", "distance", "sum", "cost", "pairs", "theta", "refit")
RETURN_STEPS = 2  # a question to every candidate and its answer
WINNER_STEPS = 3  # costs to the pairs, their losers told, the winner's action sent


def turns_of(budget: PlanBudget, replicas: int) -> int:
    """Candidates that one replica computes one after the other, in the pass that has the most."""
    most = most_samples(budget)
    if replicas < 1:
        raise UserError(f"place: replicas {replicas} must be >= 1")
    if replicas > most:
        raise UserError(f"place: {replicas} replicas for {most} candidates; use at most {most}: more stand idle")
    return turns_in(most, replicas)


def turns_in(samples: int, replicas: int) -> int:
    """Of one pass; a replica may stand idle in it."""
    return -(-samples // replicas)


def most_samples(budget: PlanBudget) -> int:
    """Of any pass: so many replicas find work."""
    return max(one.samples for one in budget.passes)


def contexts_of(reference: str, budget: PlanBudget, replicas: int) -> int:
    """Stored contexts a replica keeps beside its working state."""
    turns = turns_of(budget, replicas)
    return {
        "zero": 0,
        "previous_candidate": 0,
        "previous_step": turns if turns > 1 else 0,
        "mean_candidate": budget.horizon,
        "previous_iteration": turns * budget.horizon,
    }[reference]


def with_loop(
    network: NeuronGroups, budget: PlanBudget, *, latent_dim: int, action_dim: int, replicas: int, places: int = 0
) -> NeuronGroups:
    """The network with the planning loop's other parts around it: source, latent, distance, sum, cost, theta, refit.

    Args:
        network: groups of the predictor, from `network_of(artifact)`.
        budget: the planner's settings.
        latent_dim, action_dim: D and A.
        replicas: instances of the loop; candidates are shared among them.
        places: to keep out of, each with distance neurons of its own.

    Raises UserError for a last layer that is not as wide as the latent, and for more replicas than candidates.

    >>> loop = with_loop(network_of(artifact), CEMConfig(), latent_dim=32, action_dim=2, replicas=8)
    >>> place(loop.groups, LOIHI2, replicas=8).cores
    """
    turns = turns_of(budget, replicas)
    out = network.out
    if out.neurons != latent_dim:
        raise UserError(
            f"place: layer '{out.name}' has {out.neurons} neurons, the latent {latent_dim}; convert it again"
        )
    inner = [replace(g, receivers=("latent",), message_bits=STATE_BITS) if g is out else g for g in network.groups]
    if network.value:
        inner[-1] = replace(inner[-1], receivers=("cost",), message_bits=STATE_BITS)
    path = list(network.path)
    if network.policy:
        inner[network.policy - 1] = replace(inner[network.policy - 1], receivers=("source",))
        path.insert(network.policy, "source")
    variables = budget.variables * action_dim
    wide = STATE_BITS
    paired = paired_samples(budget)
    chooses = tuple(
        name for name, there in (("pairs", paired), ("theta", any(not p.by_pairs for p in budget.passes))) if there
    )
    parts = (
        Group(
            name="source",
            neurons=variables,
            axons_in=2 * variables + (action_dim if network.policy else 0),
            synapses=3 if network.policy else 2,
            words=3 + turns,
            message_bits=wide,
            receivers=(network.takes_action, "refit"),
            shares=True,
        ),
        Group(
            name="latent",
            neurons=latent_dim,
            axons_in=latent_dim,
            synapses=1,
            words=1 + turns,
            message_bits=wide,
            receivers=(*network.takes_latent, "distance"),
            shares=True,
        ),
        Group(
            name="distance",
            neurons=(1 + places) * latent_dim,
            axons_in=latent_dim,
            synapses=1,
            words=1,
            message_bits=wide,
            receivers=("sum",),
            shares=True,
        ),
        Group(
            name="sum",
            neurons=1 + places,
            axons_in=(1 + places) * latent_dim,
            synapses=latent_dim,
            words=1,
            message_bits=wide,
            receivers=("cost",),
            shares=True,
        ),
        Group(
            name="cost",
            neurons=turns,
            axons_in=1 + places + min(1, network.value) + len(chooses),
            synapses=1 + places + min(1, network.value) + len(chooses),
            words=2,
            message_bits=wide if paired else 1,
            receivers=(*chooses, "source"),
            shares=True,
        ),
        *(part for part in _choosers(paired, turns * replicas) if part.name in chooses),
        Group(
            name="refit",
            neurons=2 * variables,
            axons_in=variables * replicas,
            synapses=1,
            words=2,
            message_bits=wide,
            receivers=("source",),
            once=True,
            shares=True,
        ),
    )
    return replace(network, groups=(*inner, *parts), path=(*path, "latent"), tail=("distance", "sum", "cost"))


def _choosers(paired: int, candidates: int) -> tuple[Group, ...]:
    """Both ways to choose, of which a loop has what its passes need."""
    shared: dict[str, Any] = {"message_bits": STATE_BITS, "receivers": ("cost",), "once": True, "shares": True}
    return (
        Group(name="pairs", neurons=paired * (paired - 1) // 2 or 1, axons_in=paired, synapses=2, words=1, **shared),
        Group(name="theta", neurons=1, axons_in=candidates, synapses=candidates, words=3, **shared),
    )


def paired_samples(budget: PlanBudget) -> int:
    """Candidates of the largest pass that compares all pairs; 0: none does."""
    return max((one.samples for one in budget.passes if one.by_pairs), default=0)


def loop_messages(latent_dim: int, action_dim: int, places: int = 0) -> dict[str, float]:
    """Messages of the loop's parts for one prediction: values, sent whether they changed or not."""
    terms = 1 + places
    return {
        "out": latent_dim,
        "latent": latent_dim,
        "distance": terms * latent_dim,
        "sum": terms,
        "source": action_dim,
    }


def loop_synops(latent_dim: int, turns: int, places: int = 0) -> int:
    """Synops of the parts' own connections in one prediction that core/counts/charges.py leaves out: into latent, sum, cost."""
    return latent_dim + (1 + places) * (latent_dim + turns)


def selection_steps(one: Pass, replicas: int, *, on_host: bool = False) -> int:
    """Chip steps between two iterations, none of which the predictor works in:

    1                               the first candidates leave the source
    2 (24 + ceil log2 S)            threshold search: a question and its answer for each bit of the cost, then for each bit
                                    of the candidates' numbers, which settles ties
    e + e + 3                       elite mask; u of the replica's elites one by one; mean; |u - mean| one by one; spread

    e = min(k, turns): the elites may all lie in one replica. One winner among few takes the first of these and `WINNER_STEPS`.
    `on_host`: the search is one step, in which the host tells the threshold or the winner; the answer to its words is no step.
    """
    if one.by_pairs:
        return 2 if on_host else 1 + WINNER_STEPS
    numbers = (one.samples - 1).bit_length()
    elites = min(one.elites, turns_in(one.samples, replicas))
    search = 1 if on_host else RETURN_STEPS * (STATE_BITS + numbers)
    return 1 + search + 2 * elites + 3


def selection_words(one: Pass) -> int:
    """Words between chip and host of one iteration, where the host selects: every cost; back comes the winner's number, or the
    threshold and the last number that ties with it and still belongs to the elites."""
    return one.samples + (1 if one.by_pairs else 2)
