/* What the loops are given by Python, checked.

   Of Python only its stable ABI is called, which is declared here: neither its headers nor a C library are needed, and
   the result serves every CPython from 3.11 on. Arrays come through the buffer protocol, which vouches for where they
   lie, how long they are and of what type, and keeps them there. A wrong type raises TypeError; what is read-only or
   not contiguous raises ValueError, as numpy words it. */

#include <stddef.h>
#include <stdint.h>

typedef struct _object PyObject;
typedef struct {
    void *buf;
    PyObject *obj;
    ptrdiff_t len, itemsize;
    int readonly, ndim;
    char *format;
    ptrdiff_t *shape, *strides, *suboffsets;
    void *internal;
} Py_buffer;
typedef struct {
    const char *name;
    PyObject *(*function)(PyObject *, PyObject *const *, ptrdiff_t);
    int flags;
    const char *doc;
} PyMethodDef;

enum { METH_FASTCALL = 0x80, PyBUF_WRITABLE = 1, PyBUF_FORMAT = 4, PyBUF_ND = 8, PyBUF_C_CONTIGUOUS = 0x38 };

extern PyObject *PyExc_IndexError, *PyExc_TypeError, *PyExc_ValueError;
extern int PyObject_GetBuffer(PyObject *, Py_buffer *, int);
extern void PyBuffer_Release(Py_buffer *);
extern double PyFloat_AsDouble(PyObject *);
extern long long PyLong_AsLongLong(PyObject *);
extern PyObject *Py_BuildValue(const char *, ...);
extern PyObject *PyErr_Occurred(void);
extern PyObject *PyErr_Format(PyObject *, const char *, ...);
extern void *PyEval_SaveThread(void);
extern void PyEval_RestoreThread(void *);
extern int PyModule_AddFunctions(PyObject *, PyMethodDef *);

enum { ARRAYS = 20 };

/* numpy's letter for the kind, and the bytes of an element. */
typedef enum {
    BOOL = '?' << 8 | 1,
    INT8 = 'i' << 8 | 1,
    UINT8 = 'u' << 8 | 1,
    UINT16 = 'u' << 8 | 2,
    INT32 = 'i' << 8 | 4,
    INT64 = 'i' << 8 | 8,
    UINT64 = 'u' << 8 | 8,
    FLOAT32 = 'f' << 8 | 4,
} Type;

/* A call's arguments, taken one after the other. The first fault is raised, and what is taken after it is void. */
typedef struct {
    PyObject *const *arguments;
    ptrdiff_t given, next;
    int failed, held;
    Py_buffer arrays[ARRAYS];
} Call;

static const Py_buffer NOTHING;

static Call called(PyObject *const *arguments, ptrdiff_t given) {
    Call call;
    call.arguments = arguments;
    call.given = given;
    call.next = call.failed = call.held = 0;
    return call;
}

static void fail(Call *call, PyObject *error, const char *what) {
    PyErr_Format(error, "%s", what);
    call->failed = 1;
}

static PyObject *next(Call *call) {
    if (call->failed) return NULL;
    if (call->next < call->given) return call->arguments[call->next++];
    fail(call, PyExc_TypeError, "too few arguments");
    return NULL;
}

/* By what numpy says of it; 0 where it is none of these, or not where the processor wants it. */
static Type type_of(const Py_buffer *array) {
    char code = array->format ? array->format[0] : 0, kind = 0;
    if (!code || array->format[1] || (uintptr_t)array->buf % (uintptr_t)array->itemsize) return 0;
    if (code == '?' || code == 'f') kind = code;
    for (const char *each = "bhilq"; *each; each++)
        if (code == *each) kind = 'i';
    for (const char *each = "BHILQ"; *each; each++)
        if (code == *each) kind = 'u';
    return kind << 8 | (int)array->itemsize;
}

/* The next argument, an array of one of two types. */
static const Py_buffer *array(Call *call, Type type, Type other, int dimensions, int flags) {
    PyObject *argument = next(call);
    if (!argument) return &NOTHING;
    Py_buffer *view = &call->arrays[call->held];
    if (PyObject_GetBuffer(argument, view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | flags)) {
        call->failed = 1;
        return &NOTHING;
    }
    call->held++;
    Type found = type_of(view);
    if ((found != type && found != other) || view->ndim != dimensions) {
        PyErr_Format(PyExc_TypeError, "argument %zd: %d-dimensional array of '%s' where %d of '%c%d' is needed",
                     call->next, view->ndim, view->format, dimensions, type >> 8, type & 0xFF);
        call->failed = 1;
    }
    return view;
}

static void *line(Call *call, Type type, int flags, ptrdiff_t *size) {
    const Py_buffer *found = array(call, type, type, 1, flags);
    *size = found->shape ? found->shape[0] : 0;
    return found->buf;
}

static int64_t whole(Call *call) {
    PyObject *argument = next(call);
    long long value = argument ? PyLong_AsLongLong(argument) : 0;
    call->failed |= value == -1 && PyErr_Occurred();
    return value;
}

static float real(Call *call) {
    PyObject *argument = next(call);
    double value = argument ? PyFloat_AsDouble(argument) : 0;
    call->failed |= value == -1 && PyErr_Occurred();
    return (float)value;
}

/* Looks at a condition only where all went well before. */
#define require(call, condition, error, what)                         \
    do {                                                              \
        if (!(call)->failed && !(condition)) fail(call, error, what); \
    } while (0)

/* Whether the call is as it should be, to the last argument. */
static int sound(Call *call) {
    require(call, call->next == call->given, PyExc_TypeError, "too many arguments");
    return !call->failed;
}

/* Lets go of the arrays; what a call returns, by a format of Py_BuildValue, or NULL after a fault. */
static PyObject *finished(Call *call, const char *format, long long result) {
    while (call->held) PyBuffer_Release(&call->arrays[--call->held]);
    return call->failed ? NULL : Py_BuildValue(format, result);
}
