"""Local attention in PyTorch. Beside its results it touches about 2 w + 1 source states per step, whatever S is."""

from __future__ import annotations

import torch
from torch.nn import functional as F

_GATHERED = 1 << 18
"""Numbers gathered at a time on a CPU, whose second-level cache holds so many."""


def local_attention_monotonic(
    query: torch.Tensor, keys: torch.Tensor, window: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention of step t over the states t - window to t + window: one matrix product for every block of steps.

    query (B, T, D), keys (B, S, D)  ->  context (B, T, D), weights (B, T, S)
    """
    batch, length, width = query.shape
    count, device = keys.shape[1], query.device
    if window < 0:
        raise ValueError(f"window = {window} is negative")
    if keys.shape[2] != width:
        raise ValueError(f"keys are {keys.shape[2]} wide, query {width}")
    reach = min(window, max(length, count))
    steps = min(length, count + reach)  # those behind have empty windows
    block = min(steps, max(16, 2 * reach + 1))
    blocks = -(-steps // block)
    total, span = blocks * block, block + 2 * reach
    read = min(count, total + reach)
    padded = F.pad(keys[:, :read], (0, 0, reach, total + reach - read))
    states = padded.unfold(1, span, block).mT.contiguous()  # (B, blocks, span, D)
    queries = F.pad(query[:, :steps], (0, 0, 0, total - steps)).view(batch, blocks, block, width)

    step = torch.arange(total, device=device).view(blocks, block, 1)
    place = step[:, :1] + torch.arange(span, device=device) - reach  # (blocks, 1, span)
    inside = ((place - step).abs() <= reach) & (place >= 0) & (place < count)  # (blocks, block, span)
    # The steps that fill up the last block may see nothing; -inf alone would make their gradients not a number.
    hidden = ~inside & inside.any(-1, keepdim=True)
    shares = (queries @ states.mT).masked_fill(hidden, -torch.inf).softmax(dim=-1)
    context = (shares @ states).flatten(1, 2)[:, :steps]

    weights = query.new_zeros(batch, length, count)
    used = inside & (step < steps)
    steps_used, places_used = step.expand_as(used)[used], place.expand_as(used)[used]
    weights[:, steps_used, places_used] = shares[:, used]
    return F.pad(context, (0, 0, 0, length - steps)), weights


def local_attention_predictive(
    query: torch.Tensor, keys: torch.Tensor, w_p: torch.Tensor, v_p: torch.Tensor, window: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention over window states to each side of a predicted place, times a Gaussian around the prediction.

    query (B, T, D), keys (B, S, D), w_p (D, A), v_p (A,)  ->  context (B, T, D), weights (B, T, S)
    """
    batch, length, width = query.shape
    count = keys.shape[1]
    if window < 1:
        raise ValueError(f"window = {window} is empty: it reaches at least 1")
    if keys.shape[2] != width:
        raise ValueError(f"keys are {keys.shape[2]} wide, query {width}")
    if w_p.shape[0] != width:
        raise ValueError(f"w_p has {w_p.shape[0]} rows, query is {width} wide")
    if v_p.shape != w_p.shape[1:]:
        raise ValueError(f"v_p has {v_p.shape[0]} elements, w_p {w_p.shape[1]} columns")
    # Half precision cannot tell neighbouring places apart: beyond 256 its numbers are more than 1 apart.
    fine = torch.promote_types(query.dtype, torch.float32)
    centres = count * torch.sigmoid(torch.tanh(query.to(fine) @ w_p.to(fine)) @ v_p.to(fine))  # (B, T)
    middle = centres.detach().floor().long()

    # Every step reads as many states as a window has, or as there are: those inside the sentence, none twice.
    read = min(2 * window + 1, count)
    first = (middle - window).clamp(0, count - read)
    places = first[..., None] + torch.arange(read, device=query.device)  # (B, T, read)
    outside = (places - middle[..., None]).abs() > window
    rows = places + torch.arange(batch, device=query.device)[:, None, None] * count  # of all states, one below another
    falloff = torch.exp((places - centres[..., None]).square() * (-2 / window**2)).to(query.dtype)

    # A GPU gathers all at once, and so does training: every gather has a gradient as large as all states.
    at_once = query.is_cuda or (torch.is_grad_enabled() and keys.requires_grad)
    block = batch * length if at_once else max(1, _GATHERED // max(1, read * width))
    flat = (torch.split(x.flatten(0, 1), block) for x in (query, rows, outside, falloff))
    parts = [_read(keys.flatten(0, 1), *part) for part in zip(*flat, strict=True)]
    context, shares = (torch.cat(x).view(batch, length, -1) for x in zip(*parts, strict=True))
    weights = query.new_zeros(batch, length, count).scatter_(2, places, shares)
    return context, weights


def _read(
    states: torch.Tensor, query: torch.Tensor, rows: torch.Tensor, outside: torch.Tensor, falloff: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Context and weights of N queries over the states in these rows.

    states (B S, D), query (N, D), rows, outside and falloff (N, K)  ->  (N, D), (N, K)
    """
    near = F.embedding(rows, states)  # (N, K, D), faster than states[rows]
    scores = torch.bmm(query[:, None], near.mT)[:, 0]
    shares = scores.masked_fill(outside, -torch.inf).softmax(dim=-1) * falloff
    return torch.bmm(shares[:, None], near)[:, 0], shares
