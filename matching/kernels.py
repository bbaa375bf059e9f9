"""The inner loops of retrieval, in C where that has been compiled, else in numpy with the same results.

Both sides find the same best: what is kept is scored exactly, and ties go to the lower slot. `benchmarks keyword` and
`vectors` show what compiling earns.
"""

import numpy as np

from matching import native

CHUNK = 1 << 14

SLACK = 1 + 1e-6
"""Bounds must pass the least kept score by more than the rounding of float32 sums, or every tie would be tried."""


def _lookup(known, names, weights, numbers, found):
    """Places of `names` in the ascending `known`, with the weights of those that are there; returns how many are."""
    where = np.searchsorted(known, names)
    there = where < len(known)
    there[there] = known[where[there]] == names[there]
    count = int(there.sum())
    numbers[:count], found[:count] = where[there], weights[there]
    return count


def _exact(out, chosen, table, starts, terms, values, lengths, base, slope, value_of):
    """out[i] = Σ table[term] · f / (f + base + slope · length) over the terms of document chosen[i]; 0 if removed.

    f is value_of[value].
    """
    counts = np.where(lengths[chosen] > 0, starts[chosen + 1] - starts[chosen], 0)
    owner = np.repeat(np.arange(len(chosen)), counts)
    where = np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner] + starts[chosen][owner]
    found = value_of[values[where]]
    parts = table[terms[where]] * (found / (found + (base + slope * lengths[chosen])[owner]))
    out[:] = np.bincount(owner, parts, len(chosen))


def _sweep(
    numbers, weights, start, stop, heads, places, impacts, share_of, share, scratch,
    table, starts, terms, values, lengths, base, slope, value_of,
    allowed, only, offset, best, slots, group, group_slots, counts,
):  # fmt: skip
    """Puts the best of the documents start..stop-1 of a block into `best` (scores) and `slots`, least first once full.

    `counts` tells how many are filled, in `best` and in `group`, which takes the best of the documents in `only`. The
    postings (`heads` by term into `places` and `impacts`, each worth `share` · share_of[impact] of its term's weight)
    bound what a document scores, added up in `scratch`; without `heads` every document is scored. `offset` is the slot
    of the block's document 0. Blocks come in ascending order.
    """
    documents = (table, starts, terms, values, lengths, base, slope, value_of)
    table[numbers] = weights
    scratch[start:stop] = 0 if len(heads) else 65535
    unit = _bound(numbers, weights, share, share_of, heads, places, impacts, scratch) if len(heads) else np.float32(1)
    few = only[(only >= start) & (only < stop)]
    every = start + np.flatnonzero(scratch[start:stop])
    counts[0] = _take(scratch, unit, every, allowed, offset, best, slots, counts[0], documents)
    counts[1] = _take(scratch, unit, few, allowed, offset, group, group_slots, counts[1], documents)
    table[numbers] = 0


def _bound(numbers, weights, share, share_of, heads, places, impacts, bounds):
    """Adds up the postings in units, so that sixteen bits do; returns what a unit is worth. Every step rounds up.

    Equal weights are whole numbers of units, which leaves nothing to round: what only ties need not be scored.
    """
    full, most = weights.sum(), 65534 - len(numbers)
    units = np.float32(most - most % (len(numbers) if 0 < len(numbers) <= most else 1))
    for number, rate in zip(numbers.tolist(), weights * units / full, strict=True):
        if number < len(heads) - 1:
            span = slice(heads[number], heads[number + 1])
            bounds[places[span]] += np.ceil(rate * share_of).astype(np.uint16)[impacts[span]]
    return full * share / units


def _take(bounds, unit, chosen, allowed, offset, best, slots, count, documents):
    """Scores the chosen documents as far as their bounds promise a place among the best; returns how many are there."""
    limit = len(best)
    least = int(min(65535, best[0] * np.float32(SLACK) / unit)) if count == limit else 0
    chosen = chosen[(bounds[chosen] > least) & allowed[chosen]]
    # The most promising first: what they score exactly spares most of the others.
    chosen = chosen[np.argsort(-bounds[chosen].astype(np.int32), kind="stable")]
    start, size = 0, 2 * limit
    while start < len(chosen):
        part, start, size = chosen[start : start + size], start + size, 8 * limit
        if count == limit:
            part = part[bounds[part] >= int(min(65535, best[0] / unit))]
            if not len(part):
                break
        exact_ = np.empty(len(part), dtype=np.float32)
        _exact(exact_, part, *documents)
        every, where = np.concatenate([best[:count], exact_]), np.concatenate([slots[:count], offset + part])
        kept = np.lexsort((where, -every))
        kept = kept[every[kept] > 0][:limit][::-1]
        count = len(kept)
        best[:count], slots[:count] = every[kept], where[kept]
    return count


def _group(terms, places, out):
    """out = positions of `terms` ordered by term, ascending within each; the first of term t goes to places[t].

    `places` holds nothing of use afterwards.
    """
    out[:] = np.argsort(terms, kind="stable")


def _hamming(rows, wanted, allowed, scales, out, counts):
    """out[i] = number of bits in which rows[i] differs from `wanted` (uint64 words), 65535 where it is not allowed or
    its scale is 0.

    `counts` gains one at every distance found.
    """
    for start in range(0, len(rows), CHUNK):  # chunks stay in the cache
        block = slice(start, start + CHUNK)
        distances = np.bitwise_count(rows[block] ^ wanted).sum(axis=1, dtype=np.uint16)
        usable = allowed[block] & (scales[block] > 0)
        out[block] = np.where(usable, distances, np.uint16(65535))
        counts += np.bincount(distances[usable], minlength=len(counts))


def _cosines(rows, chosen, scales, wanted, out):
    """out[i] = scale · (row · wanted) of row chosen[i]."""
    out[:] = (rows[chosen].astype(np.float32) @ wanted) * scales[chosen]


_native = native.load()
COMPILED = _native is not None
"""Whether the loops in use are those of `native/`."""

if _native is not None:
    cosines, exact, group = _native.cosines, _native.exact, _native.group
    hamming, lookup, sweep = _native.hamming, _native.lookup, _native.sweep
else:
    cosines, exact, group, hamming, lookup, sweep = _cosines, _exact, _group, _hamming, _lookup, _sweep
