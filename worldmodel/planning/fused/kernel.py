"""The kernel: one program is one plan, from the first sample to the last refit.

    for i in 0..I-1:
        for blocks of candidates:  for t in 0..H-1:   z += W3 relu(W2 relu(W1z z + W1a a[t] + b1) + b2) + b3;   J += |z - goal|
        rank[s] = #(J[j] < J[s]) + #(J[j] == J[s], j < s)                    a stable order, without a sort
        mean, spread = of the variables of rank < k

The first hidden layer is made in slices of `slice_1` neurons and used up at once by the second, so no activation leaves the
registers; what is kept in global memory between two parts are costs, ranks, means and spreads, which the caller reads anyway.
Importing this module needs Triton; planner.py imports it inside its functions.
Shapes: S candidates, V variables, A action, D latent; widths ending in _pad are powers of two, of at least 16 where a product
sums over them, filled up with zeros.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit  # type: ignore[untyped-decorator]
def cem_kernel(  # type: ignore[no-untyped-def]
    latent,  # (B, D_pad)
    goal,  # (B, D_pad)
    noise,  # (B, S, V, A)
    mean,  # (I + 1, B, V, A); row 0 is where the search begins
    spread,  # (I + 1, B, V, A)
    cost,  # (I, B, S)
    rank,  # (I, B, S)
    best_cost,  # (B)
    best_action,  # (B, A)
    w1z,  # (D_pad, N1_pad): (in, out), as all weights here
    w1a,  # (A_pad, N1_pad)
    b1,
    w2,  # (N1_pad, N2_pad)
    b2,
    w3,  # (N2_pad, D_pad)
    b3,
    limit,
    least_spread,
    spread_factor,  # sqrt(pi / 2): of the mean deviation
    plans,
    samples: tl.constexpr,
    iterations: tl.constexpr,
    elites: tl.constexpr,
    horizon: tl.constexpr,
    chunk: tl.constexpr,
    variables: tl.constexpr,
    actions: tl.constexpr,
    block: tl.constexpr,
    latent_pad: tl.constexpr,
    action_pad: tl.constexpr,
    flat_pad: tl.constexpr,
    hidden_1_pad: tl.constexpr,
    hidden_2_pad: tl.constexpr,
    slice_1: tl.constexpr,
    squared: tl.constexpr,
    last_only: tl.constexpr,
    mad: tl.constexpr,
    products: tl.constexpr,
):
    plan = tl.program_id(0)
    flat = variables * actions
    d, a, f = tl.arange(0, latent_pad), tl.arange(0, action_pad), tl.arange(0, flat_pad)
    n1, n2, s = tl.arange(0, slice_1), tl.arange(0, hidden_2_pad), tl.arange(0, block)
    is_action, is_flat = a < actions, f < flat
    start = tl.load(latent + plan * latent_pad + d)
    target = tl.load(goal + plan * latent_pad + d)
    bias_2, bias_3 = tl.load(b2 + n2), tl.load(b3 + d)
    weight_3 = w3 + n2[:, None] * latent_pad + d[None, :]
    least = float("inf")
    for i in range(iterations):
        now, after = (i * plans + plan) * flat, ((i + 1) * plans + plan) * flat
        row = (i * plans + plan) * samples
        for s0 in range(0, samples, block):
            here = s0 + s < samples
            z = tl.broadcast_to(start[None, :], (block, latent_pad))
            price = tl.full((block,), 0.0, tl.float32)
            for t in range(horizon):
                at = (t // chunk) * actions + a
                eps = noise + (plan * samples + s0 + s)[:, None] * flat + at[None, :]
                act = tl.load(mean + now + at, is_action, 0.0)[None, :] + tl.load(spread + now + at, is_action, 0.0)[
                    None, :
                ] * tl.load(eps, here[:, None] & is_action[None, :], 0.0)
                act = tl.minimum(tl.maximum(act, -limit), limit)
                hidden_2 = tl.broadcast_to(bias_2[None, :], (block, hidden_2_pad))
                for n0 in range(0, hidden_1_pad, slice_1):
                    column = n0 + n1
                    from_latent = tl.load(w1z + d[:, None] * hidden_1_pad + column[None, :])
                    from_action = tl.load(w1a + a[:, None] * hidden_1_pad + column[None, :])
                    hidden_1 = tl.broadcast_to(tl.load(b1 + column)[None, :], (block, slice_1))
                    hidden_1 = tl.dot(z.to(from_latent.dtype), from_latent, hidden_1, input_precision=products)
                    hidden_1 = tl.dot(act.to(from_action.dtype), from_action, hidden_1, input_precision=products)
                    hidden_1 = tl.maximum(hidden_1, 0.0)
                    weight_2 = tl.load(w2 + column[:, None] * hidden_2_pad + n2[None, :])
                    hidden_2 = tl.dot(hidden_1.to(weight_2.dtype), weight_2, hidden_2, input_precision=products)
                hidden_2 = tl.maximum(hidden_2, 0.0)
                out = tl.load(weight_3)
                z += tl.dot(hidden_2.to(out.dtype), out, input_precision=products) + bias_3[None, :]
                gap = z - target[None, :]
                gap = gap * gap if squared else tl.abs(gap)
                far = tl.sum(gap, 1)
                price = far if last_only else price + far
            tl.store(cost + row + s0 + s, price, here)
        tl.debug_barrier()  # costs of all blocks are read by each of them

        total = tl.full((flat_pad,), 0.0, tl.float32)
        centre = tl.load(mean + now + f, is_flat, 0.0)
        width = tl.load(spread + now + f, is_flat, 0.0)
        for s0 in range(0, samples, block):
            here = s0 + s < samples
            own = tl.load(cost + row + s0 + s, here, float("inf"))
            before = tl.full((block,), 0, tl.int32)
            for j0 in range(0, samples, block):
                other = tl.load(cost + row + j0 + s, j0 + s < samples, float("inf"))
                first = (other[None, :] < own[:, None]) | (
                    (other[None, :] == own[:, None]) & ((j0 + s)[None, :] < (s0 + s)[:, None])
                )
                before += tl.sum(first.to(tl.int32), 1)
            tl.store(rank + row + s0 + s, before, here)
            eps = tl.load(
                noise + (plan * samples + s0 + s)[:, None] * flat + f[None, :], here[:, None] & is_flat[None, :], 0.0
            )
            drawn = tl.minimum(tl.maximum(centre[None, :] + width[None, :] * eps, -limit), limit)
            chosen = here & (before < elites)
            total += tl.sum(tl.where(chosen[:, None], drawn, 0.0), 0)
            winner = here & (before == 0)
            won = tl.sum(tl.where(winner, own, 0.0), 0)
            acting = tl.sum(tl.where(winner[:, None], drawn, 0.0), 0)
            better = (tl.sum(winner.to(tl.int32), 0) > 0) & (won < least)
            least = tl.where(better, won, least)
            tl.store(best_action + plan * actions + f, acting, better & (f < actions))
        refit = tl.div_rn(total, elites + 0.0)
        tl.debug_barrier()  # ranks

        deviation = tl.full((flat_pad,), 0.0, tl.float32)
        for s0 in range(0, samples, block):
            here = s0 + s < samples
            chosen = here & (tl.load(rank + row + s0 + s, here, samples) < elites)
            eps = tl.load(
                noise + (plan * samples + s0 + s)[:, None] * flat + f[None, :], here[:, None] & is_flat[None, :], 0.0
            )
            drawn = tl.minimum(tl.maximum(centre[None, :] + width[None, :] * eps, -limit), limit)
            off = drawn - refit[None, :]
            off = tl.abs(off) if mad else off * off
            deviation += tl.sum(tl.where(chosen[:, None], off, 0.0), 0)
        deviation = tl.div_rn(deviation, elites + 0.0)
        deviation = deviation * spread_factor if mad else tl.sqrt_rn(deviation)
        tl.store(mean + after + f, refit, is_flat)
        tl.store(spread + after + f, tl.maximum(deviation, least_spread), is_flat)
        tl.debug_barrier()  # the next iteration draws around them
    tl.store(best_cost + plan, least)
