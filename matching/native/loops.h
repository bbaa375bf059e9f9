/* The inner loops of retrieval: plain C over arrays of known sizes. `kernels.py` says what each does.

   Floats are added in the order written (compile without contraction), so that every processor finds the same. What the
   postings and documents hold is trusted: the engine has written it. */

#include <stddef.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

enum { CHUNK = 64, MOST = 1 << 16, ALL = 0xFFFF, IMPACTS = 256, AHEAD = 4, LINE = 64 };

static const float SLACK = (float)(1 + 1e-6);

typedef struct {
    float *table;
    const int32_t *starts;
    const void *terms;
    const uint16_t *values;
    const float *lengths;
    float base, slope;
    const float *value_of;
    ptrdiff_t table_size, terms_size, size;
    int wide; /* terms in 32 bits, else in sixteen */
} Documents;

typedef struct {
    float *scores;
    int64_t *slots;
    int64_t limit, count; /* at least 1; how many are there */
} Best;

/* `wide` is a constant where this is put in: each width has a loop of its own. */
INLINE float score(const Documents *all, int64_t document, const int wide) {
    float length = all->lengths[document], total = 0;
    if (length <= 0) return 0;
    float norm = all->base + all->slope * length;
    for (int32_t j = all->starts[document], end = all->starts[document + 1]; j < end; j++) {
        float weight = all->table[wide ? ((const int32_t *)all->terms)[j] : ((const uint16_t *)all->terms)[j]];
        if (weight != 0) {
            float value = all->value_of[all->values[j]];
            total += weight * (value / (value + norm));
        }
    }
    return total;
}

INLINE int below(float score, int64_t slot, float other, int64_t other_slot) {
    return score < other || (score == other && slot > other_slot);
}

/* A heap with the least at its root: of equal ones the one in the higher slot. */
static void offer(Best *best, float score, int64_t slot) {
    float *scores = best->scores;
    int64_t *slots = best->slots, place = 0;
    if (best->count < best->limit) {
        for (place = best->count++; place > 0;) {
            int64_t parent = (place - 1) >> 1;
            if (!below(score, slot, scores[parent], slots[parent])) break;
            scores[place] = scores[parent];
            slots[place] = slots[parent];
            place = parent;
        }
    } else if (below(scores[0], slots[0], score, slot)) {
        for (int64_t child; (child = 2 * place + 1) < best->limit; place = child) {
            if (child + 1 < best->limit && below(scores[child + 1], slots[child + 1], scores[child], slots[child]))
                child++;
            if (!below(scores[child], slots[child], score, slot)) break;
            scores[place] = scores[child];
            slots[place] = slots[child];
        }
    } else {
        return;
    }
    scores[place] = score;
    slots[place] = slot;
}

/* The units that a bound must pass for a place among the best. */
INLINE uint16_t least(const Best *best, float unit) {
    if (best->count < best->limit) return 0;
    float units = best->scores[0] * SLACK / unit;
    return units < ALL ? (uint16_t)units : ALL;
}

INLINE uint16_t ceiling(float value) {
    uint16_t whole = (uint16_t)value;
    return whole + (whole < value);
}

typedef struct {
    const int32_t *numbers;
    const float *weights;
    ptrdiff_t size;
    int64_t start, stop;
    const int32_t *heads;
    ptrdiff_t terms; /* that the postings know */
    int posted;      /* else every document is scored */
    const uint16_t *places;
    const uint8_t *impacts;
    const float *share_of;
    float share;
    uint16_t *bounds;
    const uint8_t *allowed;
    const int64_t *only;
    ptrdiff_t only_size;
    int64_t offset;
} Sought;

/* Adds up the postings in units; returns what a unit is worth. Every step rounds up. Equal weights are whole numbers of
   units, which leaves nothing to round: what only ties need not be scored. */
static float bound(const Sought *sought) {
    float full = 0;
    for (ptrdiff_t i = 0; i < sought->size; i++) full += sought->weights[i];
    ptrdiff_t most = 65534 - sought->size, even = sought->size && sought->size <= most ? sought->size : 1;
    float units = (float)(most - most % even);
    uint16_t *bounds = sought->bounds;
    for (ptrdiff_t i = 0; i < sought->size; i++) {
        int32_t number = sought->numbers[i];
        if (number >= sought->terms) continue;
        int32_t begin = sought->heads[number], end = sought->heads[number + 1];
        const uint16_t *places = sought->places;
        const uint8_t *impacts = sought->impacts;
        const float *share_of = sought->share_of;
        float rate = sought->weights[i] * units / full;
        if (end - begin < 64) {
            for (int32_t j = begin; j < end; j++) bounds[places[j]] += ceiling(rate * share_of[impacts[j]]);
        } else {
            uint16_t steps[IMPACTS];
            for (int impact = 0; impact < IMPACTS; impact++) steps[impact] = ceiling(rate * share_of[impact]);
            for (int32_t j = begin; j < end; j++) bounds[places[j]] += steps[impacts[j]];
        }
    }
    return full * sought->share / units;
}

/* A bound that `wanted` documents reach at least, 1 if that is not easily told. */
static uint16_t cut(const uint16_t *bounds, int64_t size, int64_t wanted) {
    uint16_t peaks[MOST / CHUNK], reached = 0;
    int64_t chunks = size / CHUNK;
    if (chunks <= wanted) return 1;
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        uint16_t peak = 0;
        for (int i = 0; i < CHUNK; i++) {
            uint16_t each = bounds[chunk * CHUNK + i];
            peak = each > peak ? each : peak;
        }
        peaks[chunk] = peak;
    }
    for (int bit = 1 << 15; bit; bit >>= 1) { /* the greatest that `wanted` peaks reach, bit by bit */
        uint16_t many = 0, next = reached | (uint16_t)bit;
        for (int64_t i = 0; i < chunks; i++) many += peaks[i] >= next;
        if (many >= wanted) reached = next;
    }
    return reached ? reached : 1;
}

INLINE void sweep_(const Sought *sought, const Documents *all, Best *best, Best *group, const int wide) {
    int64_t start = sought->start, size = sought->stop - start, slot = sought->offset + start;
    uint16_t *bounds = sought->bounds + start, above = ALL;
    const uint8_t *allowed = sought->allowed + start;
    float unit = 1, found;
    for (ptrdiff_t i = 0; i < sought->size; i++) all->table[sought->numbers[i]] = sought->weights[i];
    for (int64_t i = 0; i < size; i++) bounds[i] = sought->posted ? 0 : ALL;
    if (sought->posted) unit = bound(sought);

    uint16_t limit = least(best, unit);
    if (best->count < best->limit && sought->posted) {
        /* The most promising first: what they score exactly spares most of the others. */
        above = cut(bounds, size, best->limit);
        for (int64_t i = 0; i < size; i++)
            if (bounds[i] >= above && bounds[i] > limit && allowed[i] && (found = score(all, start + i, wide)) > 0) {
                offer(best, found, slot + i);
                limit = least(best, unit);
            }
        above--;
    }
    for (int64_t chunk = 0; chunk < size; chunk += CHUNK) {
        int64_t end = chunk + CHUNK < size ? chunk + CHUNK : size;
        uint16_t beyond = 0;
        for (int64_t i = chunk; i < end; i++) beyond += bounds[i] > limit; /* without a branch: many at a time */
        if (!beyond) continue;
        for (int64_t i = chunk; i < end; i++)
            if (limit < bounds[i] && bounds[i] <= above && allowed[i] && (found = score(all, start + i, wide)) > 0) {
                offer(best, found, slot + i);
                limit = least(best, unit);
            }
    }
    limit = least(group, unit);
    for (ptrdiff_t i = 0; i < sought->only_size; i++) {
        uint64_t own = (uint64_t)sought->only[i] - (uint64_t)start; /* what lies before is beyond, too */
        if (own < (uint64_t)size && bounds[own] > limit && allowed[own] &&
            (found = score(all, sought->only[i], wide)) > 0) {
            offer(group, found, sought->offset + sought->only[i]);
            limit = least(group, unit);
        }
    }
    for (ptrdiff_t i = 0; i < sought->size; i++) all->table[sought->numbers[i]] = 0;
}

/* The places of `names` in the ascending `known`; returns how many are there. */
static int64_t lookup_(const int32_t *known, ptrdiff_t known_size, const int32_t *names, const float *weights,
                       ptrdiff_t size, int32_t *numbers, float *found) {
    int64_t count = 0;
    for (ptrdiff_t i = 0; i < size; i++) {
        ptrdiff_t low = 0, high = known_size;
        while (low < high) {
            ptrdiff_t middle = (low + high) >> 1;
            if (known[middle] < names[i])
                low = middle + 1;
            else
                high = middle;
        }
        if (low < known_size && known[low] == names[i]) {
            numbers[count] = (int32_t)low;
            found[count++] = weights[i];
        }
    }
    return count;
}

/* `places` says by term where its next position goes, and moves on; returns whether all were within. */
INLINE int group_(const void *terms, const int wide, ptrdiff_t size, int32_t *places, ptrdiff_t known, int64_t *out) {
    for (ptrdiff_t i = 0; i < size; i++) {
        int32_t term = wide ? ((const int32_t *)terms)[i] : ((const uint16_t *)terms)[i];
        if (term < 0 || term >= known || places[term] < 0 || places[term] >= size) return 0;
        out[places[term]++] = i;
    }
    return 1;
}

INLINE void hamming_(const uint64_t *rows, const uint64_t *wanted, const uint8_t *allowed, const float *scales,
                     uint16_t *out, int64_t *counts, ptrdiff_t size, const ptrdiff_t words) {
    for (ptrdiff_t i = 0; i < size; i++) {
        unsigned distance = 0;
        for (ptrdiff_t j = 0; j < words; j++)
            distance += (unsigned)__builtin_popcountll(rows[i * words + j] ^ wanted[j]);
        if (allowed[i] && scales[i] > 0) {
            out[i] = (uint16_t)distance;
            counts[distance]++;
        } else {
            out[i] = ALL;
        }
    }
}

typedef float Eight __attribute__((vector_size(32), aligned(4), may_alias));
typedef int8_t EightBytes __attribute__((vector_size(8), aligned(1), may_alias));

/* Thirty-two sums side by side, in the same order on every processor. */
INLINE float dot(const int8_t *row, const float *wanted, ptrdiff_t size) {
    Eight a = {0}, b = {0}, c = {0}, d = {0};
    ptrdiff_t i = 0;
    for (; i + 32 <= size; i += 32) {
        const EightBytes *bytes = (const EightBytes *)(row + i);
        const Eight *floats = (const Eight *)(wanted + i);
        a += __builtin_convertvector(bytes[0], Eight) * floats[0];
        b += __builtin_convertvector(bytes[1], Eight) * floats[1];
        c += __builtin_convertvector(bytes[2], Eight) * floats[2];
        d += __builtin_convertvector(bytes[3], Eight) * floats[3];
    }
    a = (a + b) + (c + d);
    float total = ((a[0] + a[4]) + (a[1] + a[5])) + ((a[2] + a[6]) + (a[3] + a[7]));
    for (; i < size; i++) total += (float)row[i] * wanted[i];
    return total;
}

INLINE void cosines_(const int8_t *rows, const int64_t *chosen, ptrdiff_t size, const float *scales,
                     const float *wanted, ptrdiff_t dimension, float *out) {
    for (ptrdiff_t i = 0; i < size; i++) {
        if (i + AHEAD < size) /* rows lie far apart: fetching some while others are reckoned takes half of the time */
            for (ptrdiff_t j = 0; j < dimension; j += LINE)
                __builtin_prefetch(rows + chosen[i + AHEAD] * dimension + j);
        out[i] = dot(rows + chosen[i] * dimension, wanted, dimension) * scales[chosen[i]];
    }
}
