/* The loops as functions for Python. A wrong type raises TypeError, wrong sizes ValueError, a document or term beyond
   its array IndexError. The interpreter is let go of while a loop runs; nothing is kept between calls. */

#include "arguments.h"
#include "loops.h"

static const char SIZES[] = "arrays of sizes that do not go together";
static const char PLACES[] = "a place beyond the end of its array";

static int within(const int64_t *places, ptrdiff_t size, int64_t end) {
    int outside = 0;
    for (ptrdiff_t i = 0; i < size; i++) outside |= places[i] < 0 || places[i] >= end;
    return !outside;
}

static Documents documents(Call *call, int flags) {
    Documents all;
    ptrdiff_t starts, values, kinds;
    all.table = line(call, FLOAT32, flags, &all.table_size);
    all.starts = line(call, INT32, 0, &starts);
    const Py_buffer *terms = array(call, UINT16, INT32, 1, 0);
    all.terms = terms->buf;
    all.terms_size = terms->shape ? terms->shape[0] : 0;
    all.wide = terms->itemsize == 4;
    all.values = line(call, UINT16, 0, &values);
    all.lengths = line(call, FLOAT32, 0, &all.size);
    all.base = real(call);
    all.slope = real(call);
    all.value_of = line(call, FLOAT32, 0, &kinds);
    require(call, starts > all.size && kinds == MOST && values == all.terms_size, PyExc_ValueError, SIZES);
    return all;
}

static PyObject *sweep(PyObject *module, PyObject *const *arguments, ptrdiff_t given) {
    Call call = called(arguments, given);
    Sought sought;
    Best best, group;
    ptrdiff_t weights, heads, places, impacts, shares, bounds, allowed, limit, slots, group_limit, group_slots, two;
    sought.numbers = line(&call, INT32, 0, &sought.size);
    sought.weights = line(&call, FLOAT32, 0, &weights);
    sought.start = whole(&call);
    sought.stop = whole(&call);
    sought.heads = line(&call, INT32, 0, &heads);
    sought.places = line(&call, UINT16, 0, &places);
    sought.impacts = line(&call, UINT8, 0, &impacts);
    sought.share_of = line(&call, FLOAT32, 0, &shares);
    sought.share = real(&call);
    sought.bounds = line(&call, UINT16, PyBUF_WRITABLE, &bounds);
    Documents all = documents(&call, PyBUF_WRITABLE);
    sought.allowed = line(&call, BOOL, 0, &allowed);
    sought.only = line(&call, INT64, 0, &sought.only_size);
    sought.offset = whole(&call);
    best.scores = line(&call, FLOAT32, PyBUF_WRITABLE, &limit);
    best.slots = line(&call, INT64, PyBUF_WRITABLE, &slots);
    group.scores = line(&call, FLOAT32, PyBUF_WRITABLE, &group_limit);
    group.slots = line(&call, INT64, PyBUF_WRITABLE, &group_slots);
    int64_t *counts = line(&call, INT64, PyBUF_WRITABLE, &two);
    int64_t start = sought.start, stop = sought.stop;
    require(&call,
            sought.size == weights && sought.size < ALL && impacts == places && shares == IMPACTS && limit == slots &&
                limit && group_limit == group_slots && group_limit && two == 2,
            PyExc_ValueError, SIZES);
    require(&call,
            0 <= start && start <= stop && stop <= all.size && stop <= bounds && stop <= allowed &&
                stop - start <= MOST && all.starts[start] >= 0 && all.starts[stop] <= all.terms_size &&
                (!heads || (sought.heads[0] >= 0 && sought.heads[heads - 1] <= places)) && counts[0] >= 0 &&
                counts[0] <= limit && counts[1] >= 0 && counts[1] <= group_limit,
            PyExc_IndexError, PLACES);
    for (ptrdiff_t i = 0; i < sought.size && !call.failed; i++)
        require(&call, sought.numbers[i] >= 0 && sought.numbers[i] < all.table_size, PyExc_IndexError, PLACES);
    if (sound(&call)) {
        sought.terms = heads ? heads - 1 : 0;
        sought.posted = heads > 0;
        best.limit = limit, group.limit = group_limit;
        best.count = counts[0], group.count = counts[1];
        void *thread = PyEval_SaveThread();
        if (all.wide)
            sweep_(&sought, &all, &best, &group, 1);
        else
            sweep_(&sought, &all, &best, &group, 0);
        counts[0] = best.count, counts[1] = group.count;
        PyEval_RestoreThread(thread);
    }
    return finished(&call, "", 0);
}

static PyObject *exact(PyObject *module, PyObject *const *arguments, ptrdiff_t given) {
    Call call = called(arguments, given);
    ptrdiff_t size, chosen_size;
    float *out = line(&call, FLOAT32, PyBUF_WRITABLE, &size);
    const int64_t *chosen = line(&call, INT64, 0, &chosen_size);
    Documents all = documents(&call, 0);
    require(&call, size == chosen_size, PyExc_ValueError, SIZES);
    require(&call, within(chosen, size, all.size), PyExc_IndexError, PLACES);
    for (ptrdiff_t i = 0; i < size && !call.failed; i++)
        require(&call, all.starts[chosen[i]] >= 0 && all.starts[chosen[i] + 1] <= all.terms_size, PyExc_IndexError,
                PLACES);
    if (sound(&call)) {
        void *thread = PyEval_SaveThread();
        if (all.wide)
            for (ptrdiff_t i = 0; i < size; i++) out[i] = score(&all, chosen[i], 1);
        else
            for (ptrdiff_t i = 0; i < size; i++) out[i] = score(&all, chosen[i], 0);
        PyEval_RestoreThread(thread);
    }
    return finished(&call, "", 0);
}

static PyObject *lookup(PyObject *module, PyObject *const *arguments, ptrdiff_t given) {
    Call call = called(arguments, given);
    ptrdiff_t known_size, size, sizes[3];
    const int32_t *known = line(&call, INT32, 0, &known_size), *names = line(&call, INT32, 0, &size);
    const float *weights = line(&call, FLOAT32, 0, &sizes[0]);
    int32_t *numbers = line(&call, INT32, PyBUF_WRITABLE, &sizes[1]);
    float *found = line(&call, FLOAT32, PyBUF_WRITABLE, &sizes[2]);
    require(&call, sizes[0] == size && sizes[1] == size && sizes[2] == size, PyExc_ValueError, SIZES);
    int64_t count = sound(&call) ? lookup_(known, known_size, names, weights, size, numbers, found) : 0;
    return finished(&call, "L", count);
}

static PyObject *group(PyObject *module, PyObject *const *arguments, ptrdiff_t given) {
    Call call = called(arguments, given);
    ptrdiff_t known, size;
    const Py_buffer *terms = array(&call, UINT16, INT32, 1, 0);
    int32_t *places = line(&call, INT32, PyBUF_WRITABLE, &known);
    int64_t *out = line(&call, INT64, PyBUF_WRITABLE, &size);
    require(&call, terms->shape[0] == size, PyExc_ValueError, SIZES);
    if (sound(&call)) {
        void *thread = PyEval_SaveThread();
        int held = terms->itemsize == 4 ? group_(terms->buf, 1, size, places, known, out)
                                        : group_(terms->buf, 0, size, places, known, out);
        PyEval_RestoreThread(thread);
        require(&call, held, PyExc_IndexError, PLACES);
    }
    return finished(&call, "", 0);
}

static PyObject *hamming(PyObject *module, PyObject *const *arguments, ptrdiff_t given) {
    Call call = called(arguments, given);
    ptrdiff_t words, size, sizes[3];
    const Py_buffer *rows = array(&call, UINT64, UINT64, 2, 0);
    const uint64_t *wanted = line(&call, UINT64, 0, &words);
    const uint8_t *allowed = line(&call, BOOL, 0, &sizes[0]);
    const float *scales = line(&call, FLOAT32, 0, &sizes[1]);
    uint16_t *out = line(&call, UINT16, PyBUF_WRITABLE, &size);
    int64_t *counts = line(&call, INT64, PyBUF_WRITABLE, &sizes[2]);
    require(&call,
            rows->shape[0] == size && rows->shape[1] == words && sizes[0] == size && sizes[1] == size &&
                words < ALL / 64 && sizes[2] > 64 * words,
            PyExc_ValueError, SIZES);
    if (sound(&call)) {
        void *thread = PyEval_SaveThread();
        if (words == 6) /* the sentence model's 384 dimensions: a loop without a loop inside */
            hamming_(rows->buf, wanted, allowed, scales, out, counts, size, 6);
        else
            hamming_(rows->buf, wanted, allowed, scales, out, counts, size, words);
        PyEval_RestoreThread(thread);
    }
    return finished(&call, "", 0);
}

INLINE PyObject *cosines_of(PyObject *const *arguments, ptrdiff_t given) {
    Call call = called(arguments, given);
    ptrdiff_t chosen_size, scales_size, dimension, size;
    const Py_buffer *rows = array(&call, INT8, INT8, 2, 0);
    const int64_t *chosen = line(&call, INT64, 0, &chosen_size);
    const float *scales = line(&call, FLOAT32, 0, &scales_size), *wanted = line(&call, FLOAT32, 0, &dimension);
    float *out = line(&call, FLOAT32, PyBUF_WRITABLE, &size);
    require(&call, size == chosen_size && rows->shape[1] == dimension, PyExc_ValueError, SIZES);
    require(&call, within(chosen, size, rows->shape[0]) && within(chosen, size, scales_size), PyExc_IndexError, PLACES);
    if (sound(&call)) {
        void *thread = PyEval_SaveThread();
        cosines_(rows->buf, chosen, size, scales, wanted, dimension, out);
        PyEval_RestoreThread(thread);
    }
    return finished(&call, "", 0);
}

static PyObject *cosines(PyObject *module, PyObject *const *arguments, ptrdiff_t given) {
    return cosines_of(arguments, given);
}

static PyMethodDef functions[] = {
    {"cosines", cosines, METH_FASTCALL, NULL},
    {"exact", exact, METH_FASTCALL, NULL},
    {"group", group, METH_FASTCALL, NULL},
    {"hamming", hamming, METH_FASTCALL, NULL},
    {"lookup", lookup, METH_FASTCALL, NULL},
    {"sweep", sweep, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

#ifdef __x86_64__
#include <cpuid.h>

/* The one loop that takes half of the time with wider registers; the others gain nothing. */
__attribute__((target("avx2")))
static PyObject *cosines_avx2(PyObject *module, PyObject *const *arguments, ptrdiff_t given) {
    return cosines_of(arguments, given);
}

/* Whether processor and system know AVX2 (Intel's manual, volume 1, 14.7.1). */
static int avx2(void) {
    unsigned a, b, c, d, state;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return 0;
    __asm__("xgetbv" : "=a"(state), "=d"(d) : "c"(0));
    return (state & 6) == 6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & bit_AVX2;
}

static PyMethodDef faster[] = {{"cosines", cosines_avx2, METH_FASTCALL, NULL}, {NULL, NULL, 0, NULL}};
#else
static int avx2(void) {
    return 0;
}

static PyMethodDef faster[] = {{NULL, NULL, 0, NULL}};
#endif

/* Puts the functions into a module. */
__attribute__((visibility("default"))) int fill(PyObject *module) {
    int failed = PyModule_AddFunctions(module, functions);
    return !failed && avx2() ? PyModule_AddFunctions(module, faster) : failed;
}
