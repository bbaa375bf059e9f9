"""The loops of `kernels`, compiled. Imported only where numba is installed; what each does is said there."""

import math

import numba
import numpy as np

SLACK = np.float32(1 + 1e-6)
CHUNK = 64

_DOCUMENTS = "float32[::1], int32[::1], {terms}[::1], uint16[::1], float32[::1], float32, float32, float32[::1]"
_options = {"cache": True, "nogil": True, "boundscheck": False}


def _for_both(signature: str) -> list[str]:
    """Blocks number their terms in sixteen bits, or in 32 where these do not suffice."""
    documents = (_DOCUMENTS.format(terms=terms) for terms in ("uint16", "int32"))
    return [signature.format(documents=documents_) for documents_ in documents]


@numba.njit("int64(int32[::1], int32[::1], float32[::1], int32[::1], float32[::1])", **_options)
def lookup(known, names, weights, numbers, found):  # pragma: no cover - compiled
    count = 0
    for i in range(len(names)):
        low, high = 0, len(known)
        while low < high:
            middle = (low + high) >> 1
            if known[middle] < names[i]:
                low = middle + 1
            else:
                high = middle
        if low < len(known) and known[low] == names[i]:
            numbers[count], found[count] = low, weights[i]
            count += 1
    return count


@numba.njit(inline="always")
def _score(document, table, starts, terms, values, lengths, base, slope, halves):  # pragma: no cover - compiled
    total = np.float32(0)
    length = lengths[document]
    if length <= 0:
        return total
    norm = base + slope * length
    for j in range(starts[document], starts[document + 1]):
        weight = table[terms[j]]
        if weight != 0:
            if len(values):
                value = halves[values[j]]
                weight *= value / (value + norm)
            total += weight
    return total


@numba.njit(_for_both("void(float32[::1], int64[::1], {documents})"), **_options)
def exact(out, chosen, table, starts, terms, values, lengths, base, slope, halves):  # pragma: no cover - compiled
    for i in range(len(chosen)):
        out[i] = _score(chosen[i], table, starts, terms, values, lengths, base, slope, halves)


@numba.njit(inline="always")
def _below(score, slot, other, other_slot):  # pragma: no cover - compiled
    return score < other or (score == other and slot > other_slot)


@numba.njit
def _offer(score, slot, best, slots, count):  # pragma: no cover - compiled
    """A heap with the least at its root: of equal ones the one in the higher slot."""
    limit = len(best)
    if count < limit:
        place = count
        count += 1
        while place > 0:
            parent = (place - 1) >> 1
            if not _below(score, slot, best[parent], slots[parent]):
                break
            best[place], slots[place] = best[parent], slots[parent]
            place = parent
    elif _below(best[0], slots[0], score, slot):
        place = 0
        while True:
            child = 2 * place + 1
            if child >= limit:
                break
            if child + 1 < limit and _below(best[child + 1], slots[child + 1], best[child], slots[child]):
                child += 1
            if not _below(best[child], slots[child], score, slot):
                break
            best[place], slots[place] = best[child], slots[child]
            place = child
    else:
        return count
    best[place], slots[place] = score, slot
    return count


@numba.njit
def _bound(numbers, weights, share, heads, places, impacts, bounds):  # pragma: no cover - compiled
    """Adds up the postings in units; returns what a unit is worth. Every step rounds up."""
    full = np.float32(0)
    for i in range(len(numbers)):
        full += weights[i]
    full *= share * np.float32(255)
    unit = full / np.float32(65534 - len(numbers))
    steps = np.empty(256, dtype=np.uint16)
    for i in range(len(numbers)):
        if numbers[i] >= len(heads) - 1:
            continue
        begin, end = heads[numbers[i]], heads[numbers[i] + 1]
        rate = weights[i] * share / unit
        if len(impacts) == 0:
            step = np.uint16(math.ceil(rate * np.float32(255)))
            for j in range(np.uint64(begin), np.uint64(end)):
                bounds[np.uint64(places[j])] += step
        elif end - begin < 64:
            for j in range(np.uint64(begin), np.uint64(end)):
                bounds[np.uint64(places[j])] += np.uint16(math.ceil(rate * impacts[j]))
        else:
            for impact in range(256):
                steps[impact] = np.uint16(math.ceil(rate * np.float32(impact)))
            # Unsigned places spare the loop a check for negative ones, a third of its time.
            for j in range(np.uint64(begin), np.uint64(end)):
                bounds[np.uint64(places[j])] += steps[np.uint64(impacts[j])]
    return unit


@numba.njit
def _cut(bounds, wanted):  # pragma: no cover - compiled
    """A bound that `wanted` documents reach at least, 1 if that is not easily told."""
    peaks = np.zeros(len(bounds) // CHUNK, dtype=np.uint16)
    if len(peaks) <= wanted:
        return np.uint16(1)
    for chunk in range(len(peaks)):
        part = bounds[chunk * CHUNK : (chunk + 1) * CHUNK]
        peak = np.uint16(0)
        for i in range(len(part)):
            peak = max(peak, part[i])
        peaks[chunk] = peak
    return max(np.uint16(1), np.partition(peaks, len(peaks) - wanted)[len(peaks) - wanted])


@numba.njit(inline="always")
def _least(best, count, unit):  # pragma: no cover - compiled
    """The units that a bound must pass for a place among the best."""
    return np.uint16(min(np.float32(65535), best[0] * SLACK / unit)) if count == len(best) else np.uint16(0)


@numba.njit(
    _for_both(
        "void(int32[::1], float32[::1], int64, int64, int32[::1], uint16[::1], uint8[::1], float32, uint16[::1],"
        "{documents}, boolean[::1], int64[::1], int64, float32[::1], int64[::1], float32[::1], int64[::1], int64[::1])"
    ),
    **_options,
)
def sweep(  # noqa: C901 - one pass; calls would cost what the pass saves
    numbers, weights, start, stop, heads, places, impacts, share, scratch,
    table, starts, terms, values, lengths, base, slope, halves,
    allowed, only, offset, best, slots, group, group_slots, counts,
):  # fmt: skip # pragma: no cover - compiled
    for i in range(len(numbers)):
        table[numbers[i]] = weights[i]
    bounds = scratch[start:stop]
    if len(heads):
        bounds[:] = 0
        unit = _bound(numbers, weights, share, heads, places, impacts, scratch)
    else:
        unit = np.float32(1)
        bounds[:] = 65535

    count, above = counts[0], np.uint16(65535)
    if count < len(best) and len(heads):
        # The most promising first: what they score exactly spares most of the others.
        above = _cut(bounds, len(best))
        for i in range(len(bounds)):
            if bounds[i] >= above and allowed[start + i]:
                score = _score(start + i, table, starts, terms, values, lengths, base, slope, halves)
                if score > 0:
                    count = _offer(score, offset + start + i, best, slots, count)
        above -= np.uint16(1)
    least = _least(best, count, unit)
    for chunk in range(0, len(bounds), CHUNK):
        part = bounds[chunk : chunk + CHUNK]
        beyond = 0
        for i in range(len(part)):  # without a branch: many at a time
            beyond += part[i] > least
        if beyond == 0:
            continue
        for i in range(chunk, chunk + len(part)):
            if least < bounds[i] <= above and allowed[start + i]:
                score = _score(start + i, table, starts, terms, values, lengths, base, slope, halves)
                if score > 0:
                    count = _offer(score, offset + start + i, best, slots, count)
                    least = _least(best, count, unit)
    counts[0] = count

    count = counts[1]
    least = _least(group, count, unit)
    for i in range(len(only)):
        document = only[i]
        if start <= document < stop and scratch[document] > least and allowed[document]:
            score = _score(document, table, starts, terms, values, lengths, base, slope, halves)
            if score > 0:
                count = _offer(score, offset + document, group, group_slots, count)
                least = _least(group, count, unit)
    counts[1] = count
    for i in range(len(numbers)):
        table[numbers[i]] = 0


@numba.njit(["void(uint16[::1], int32[::1], int64[::1])", "void(int32[::1], int32[::1], int64[::1])"], **_options)
def group(terms, starts, out):  # pragma: no cover - compiled
    place = starts.copy()
    for i in range(len(terms)):
        out[place[terms[i]]] = i
        place[terms[i]] += 1


@numba.njit(inline="always")
def _bits(word):  # pragma: no cover - compiled
    # The classic bit-parallel count: LLVM turns it into the processor's own instruction.
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@numba.njit("void(uint64[:,::1], uint64[::1], boolean[::1], float32[::1], uint16[::1], int64[::1])", **_options)
def hamming(rows, wanted, allowed, scales, out, counts):  # pragma: no cover - compiled
    for i in range(rows.shape[0]):
        distance = np.uint64(0)
        for j in range(rows.shape[1]):
            distance += _bits(rows[i, j] ^ wanted[j])
        if allowed[i] and scales[i] > 0:
            out[i] = distance
            counts[distance] += 1
        else:
            out[i] = 65535


@numba.njit("void(int8[:,::1], int64[::1], float32[::1], float32[::1], float32[::1])", fastmath=True, **_options)
def cosines(rows, chosen, scales, wanted, out):  # pragma: no cover - compiled
    for i in range(len(chosen)):
        row = rows[chosen[i]]
        total = np.float32(0)
        for j in range(len(wanted)):
            total += np.float32(row[j]) * wanted[j]
        out[i] = total * scales[chosen[i]]
