"""The two inner loops of retrieval, compiled by numba where it is installed, else in numpy with the same results.

numba earns its place beyond some ten thousand cards; below, the difference cannot be felt.
"""

import numpy as np

try:
    import numba
except ImportError:
    numba = None

COMPILED = numba is not None
CHUNK = 1 << 14


def _accumulate(scores: np.ndarray, slots: np.ndarray, impacts: np.ndarray, weight: float) -> None:
    """scores[slots] += weight × impacts; no slot occurs twice in `slots`."""
    scores[slots] += np.float32(weight) * impacts


def _hamming(rows: np.ndarray, wanted: np.ndarray, out: np.ndarray) -> None:
    """out[i] = number of bits in which rows[i] differs from `wanted` (uint64 words)."""
    for start in range(0, len(rows), CHUNK):  # chunks stay in the cache
        block = slice(start, start + CHUNK)
        out[block] = np.bitwise_count(rows[block] ^ wanted).sum(axis=1, dtype=np.uint16)


if numba is not None:

    @numba.njit("void(float32[::1], int32[::1], uint8[::1], float32)", cache=True, boundscheck=False)
    def accumulate(scores, slots, impacts, weight):  # pragma: no cover - compiled
        for i in range(slots.shape[0]):
            scores[slots[i]] += weight * impacts[i]

    @numba.njit(inline="always")
    def _bits(word):  # pragma: no cover - compiled
        # The classic bit-parallel count: LLVM turns it into the processor's own instruction.
        word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
        word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
        word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
        return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)

    @numba.njit("void(uint64[:,::1], uint64[::1], uint16[::1])", cache=True, boundscheck=False)
    def hamming(rows, wanted, out):  # pragma: no cover - compiled
        for i in range(rows.shape[0]):
            count = np.uint64(0)
            for j in range(rows.shape[1]):
                count += _bits(rows[i, j] ^ wanted[j])
            out[i] = count

else:
    accumulate, hamming = _accumulate, _hamming
