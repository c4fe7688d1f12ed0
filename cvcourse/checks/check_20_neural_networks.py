"""Checks of exercise 20_neural_networks, the mistakes they know, and second solutions.

Oracles: ``scipy.signal.correlate2d`` for the convolution, and as it is linear its adjoint, entry by entry, for the way
back; derivatives along all paths of a tape; windows one by one; layers built as arrays for shapes; ``scipy.special``
and complex steps for the network; else laws.
"""

import math

import numpy as np
import pytest
from scipy import signal, special

from cvcourse.checks import StudentError, expect, right, wrong

LIBRARIES = (
    "cvcourse.neural_networks",
    "cvcourse.classification",
    "cvcourse.filtering",
    "scipy",
    "skimage",
    "sklearn",
    "cv2",
    "torch",
)
FORBIDDEN = {question: LIBRARIES for question in ("q1", "q2", "q3", "q4", "q5")}
CHANGED = "the arguments are overwritten: `x -= …` writes into the array of the caller, `x - …` does not"


def array_of(answer, shape, what):
    """Read an answer as an array of finite numbers of this shape, or say what it is instead."""
    assert answer is not None, f"{what} is None: does the function end with a return?"
    assert not isinstance(answer, tuple | str | dict), f"{what} should be one array, not {type(answer).__name__}"
    assert np.shape(answer) == shape, f"{what} should be an array of shape {shape}, got {np.shape(answer)}"
    result = np.asarray(answer, dtype=np.float64)
    assert np.isfinite(result).all(), f"{what} holds NaN or infinity"
    return result


def parts_of(answer, n, names):
    """Check that an answer is a tuple of n parts."""
    assert isinstance(answer, tuple | list), f"the result should be the tuple {names}, got {type(answer).__name__}"
    assert len(answer) == n, f"the result should be the tuple {names}, got {len(answer)} parts"


def part_of(looks, k):
    """Give the k-th part of each mistake's tuple."""
    return {says: answer[k] for says, answer in looks.items() if isinstance(answer, tuple) and len(answer) > k}


# ---------------------------------------------------------------------------------------------
# Question 1: gates

GATES = {"add": lambda a, b: a + b, "mul": lambda a, b: a * b, "max": max, "relu": lambda a: max(a, 0.0)}


def run(x, tape, gates=GATES):
    values = list(np.asarray(x, dtype=np.float64))
    for name, *taken in tape:
        values.append(gates[name](*(values[k] for k in taken)))
    return np.array(values)


def local(values, name, taken):
    """The derivatives of one gate by what it takes."""
    a, b = values[taken[0]], values[taken[-1]]
    if name == "relu":
        return [float(a > 0)]
    return {"add": [1.0, 1.0], "mul": [b, a], "max": [float(a >= b), float(a < b)]}[name]


def derivatives(values, tape):
    """Derivatives of the last number by all: forward mode, one number at a time."""
    first, found = len(values) - len(tape), np.zeros(len(values))
    for source in range(len(values)):
        d = np.zeros(len(values))
        d[source] = 1
        for k, (name, *taken) in enumerate(tape):
            if first + k > source:
                d[first + k] = sum(s * d[j] for s, j in zip(local(values, name, taken), taken, strict=True))
        found[source] = d[-1]
    return found


def random_tape(rng, n, gates, names=("add", "mul", "max", "relu")):
    """Draw a tape whose gates take numbers that are already there; the last gate adds two of them."""
    tape = []
    for k in range(gates):
        name = str(rng.choice(names))
        taken = rng.integers(0, n + k, 1 if name == "relu" else 2)
        tape.append((name, *map(int, taken)))
    return [*tape, ("add", n + gates - 1, int(rng.integers(n)))]


CHAIN = [("mul", 0, 1), ("relu", 3), ("max", 4, 2), ("mul", 5, 4)]  # no number is used twice but 4
DIAMOND = [("mul", 0, 1), ("add", 3, 0), ("mul", 4, 3), ("add", 5, 0)]


@pytest.mark.q("q1", 1)
def test_forward(student, atlas, rng):
    """Forward: a tape with all gates, and ten random ones."""
    x = rng.uniform(0.5, 2, 3) * [1, -1, 1]
    expect(student.forward(x, CHAIN), run(x, CHAIN), atlas("forward", x, CHAIN), what="the numbers of a tape")
    for _ in range(10):
        x, tape = rng.normal(size=3), random_tape(rng, 3, 6)
        answer = student.forward(x, tape)
        assert not student.changed, CHANGED
        expect(answer, run(x, tape), atlas("forward", x, tape), atol=1e-9, what=f"[the numbers of {tape}]")


def expect_gradients(student, atlas, x, tape, what):
    values = run(x, tape)
    answer = student.backward(values, tape)
    assert not student.changed, CHANGED
    expect(answer, derivatives(values, tape), atlas("backward", values, tape), atol=1e-9, what=what)


@pytest.mark.q("q1", 1)
def test_back_through_each_gate(student, atlas, rng):
    """Back through one gate alone: the gradient 1 arrives from above."""
    for name in ("add", "mul", "max"):
        for x in ([3.0, -2.0], [-1.5, 4.0]):
            expect_gradients(
                student, atlas, np.array(x) * rng.uniform(0.5, 1), [(name, 0, 1)], f"[the gradients of {name}]"
            )
    for x in (2.0, -2.0):
        expect_gradients(student, atlas, np.array([x]), [("relu", 0)], f"[the gradients of relu at {x:g}]")


@pytest.mark.q("q1", 2)
def test_numbers_used_more_than_once(student, atlas, rng):
    """Numbers that are used twice, by two gates or by one."""
    for tape in ([("mul", 0, 0)], [("add", 0, 0), ("mul", 1, 1)]):
        expect_gradients(student, atlas, rng.uniform(1, 2, 1), tape, f"[the gradients of {tape}]")
    expect_gradients(student, atlas, rng.uniform(1, 2, 3), DIAMOND, "[the gradients of a tape with a diamond]")


@pytest.mark.q("q1", 1)
def test_ties(student, atlas):
    """At a tie of max the first takes all, at 0 relu stops it."""
    for tape in ([("max", 0, 1)], [("max", 1, 0)]):
        expect_gradients(student, atlas, np.array([2.0, 2.0]), tape, f"[the gradients of {tape} at a tie]")
    expect_gradients(student, atlas, np.array([0.0]), [("relu", 0)], "[the gradients of relu at 0]")


@pytest.mark.q("q1", 1)
def test_random_tapes(student, atlas, rng):
    """Thirty random tapes, with numbers that nobody uses."""
    for _ in range(30):
        x, tape = rng.normal(size=4), random_tape(rng, 4, 8)
        expect_gradients(student, atlas, x, tape, f"[the gradients of {tape}]")


@wrong("q1", says="relu gives the magnitude: below 0 it gives 0")
def forward(x, tape):
    return run(x, tape, GATES | {"relu": abs})


@wrong("q1", says="max gives the larger magnitude, not the larger number")
def forward(x, tape):
    return run(x, tape, GATES | {"max": lambda a, b: a if abs(a) >= abs(b) else b})


@wrong("q1", says="only the results of the gates are returned: the inputs are numbers 0 … n − 1 and come first")
def forward(x, tape):
    return run(x, tape)[len(x) :]


@wrong("q1", says="this is the last number alone: return all of them")
def forward(x, tape):
    return run(x, tape)[-1]


@wrong("q1", says="the numbers of a line are counted from the first gate: number 0 is the first input")
def forward(x, tape):
    values = [*x]
    for name, *taken in tape:
        values.append(GATES[name](*(values[(k + len(x)) % len(values)] for k in taken)))
    return np.array(values)


@right("q1")
def forward(x, tape):
    """Into an array that is there from the start."""
    values = np.zeros(len(x) + len(tape))
    values[: len(x)] = x
    for k, line in enumerate(tape, start=len(x)):
        a, b = values[line[1]], values[line[-1]]
        values[k] = {"add": a + b, "mul": a * b, "max": np.maximum(a, b), "relu": np.maximum(a, 0)}[line[0]]
    return values


def back(values, tape, rule=local, start=1.0, assign=False, order=reversed):
    grad, first = np.zeros(len(values)), len(values) - len(tape)
    grad[-1] = start
    for k in order(range(len(tape))):
        name, *taken = tape[k]
        for slope, j in zip(rule(values, name, taken), taken, strict=True):
            grad[j] = grad[first + k] * slope + (0 if assign else grad[j])
    return grad


def _changed(name, change):
    """The rule of `local` but for one gate."""
    return lambda values, gate, taken: (
        change(values[taken[0]], values[taken[-1]]) if gate == name else local(values, gate, taken)
    )


@wrong("q1", says="at 0 a relu lets nothing pass")
def backward(values, tape):
    return back(values, tape, _changed("relu", lambda a, b: [float(a >= 0)]))


@wrong("q1", says="gradients are overwritten: a number that is used twice needs the sum of both, += in place of =")
def backward(values, tape):
    return back(values, tape, assign=True)


@wrong("q1", says="mul multiplies the gradient by its own input: it is the *other* input's value that counts")
def backward(values, tape):
    return back(values, tape, _changed("mul", lambda a, b: [a, b]))


@wrong("q1", says="max gives its gradient to both inputs: only the larger one had an influence")
def backward(values, tape):
    return back(values, tape, _changed("max", lambda a, b: [1, 1]))


@wrong("q1", says="add halves the gradient: each input changes the sum as much as itself")
def backward(values, tape):
    return back(values, tape, _changed("add", lambda a, b: [0.5, 0.5]))


@wrong("q1", says="relu lets every gradient through: below 0 it stops it")
def backward(values, tape):
    return back(values, tape, _changed("relu", lambda a, b: [1]))


@wrong("q1", says="at a tie max should send everything to the first")
def backward(values, tape):
    return back(values, tape, _changed("max", lambda a, b: [float(a > b), float(a <= b)]))


@wrong("q1", says="the tape is run from its start: on the way back the last gate comes first")
def backward(values, tape):
    return back(values, tape, order=iter)


@wrong("q1", says="local derivatives alone are added up: each must be multiplied by the gradient from above")
def backward(values, tape):
    grad = np.zeros(len(values))
    grad[-1] = 1
    for name, *taken in tape:
        for slope, j in zip(local(values, name, taken), taken, strict=True):
            grad[j] += slope
    return grad


@right("q1")
def backward(values, tape):
    """Forward mode."""
    return derivatives(values, tape)


# ---------------------------------------------------------------------------------------------
# Question 2: convolution

SHAPE = "the output's size is wrong: floor((n + 2 pad − k) / stride) + 1 along each axis"


def correlated(X, W, b, stride, pad):
    """Eq. (2) by SciPy, map by map."""
    P = np.pad(X, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    maps = [[sum(map(_valid, image, kernels)) for kernels in W] for image in P]
    return np.array(maps)[:, :, ::stride, ::stride] + b[:, None, None]


def _valid(image, kernel):
    return signal.correlate2d(image, kernel, mode="valid")


def adjoint(X, W, dout, stride, pad):
    """The convolution is linear in X and in W: one entry at a time gives the derivatives."""
    zero = np.zeros(len(W))

    def by(shape, outcome):
        found = np.zeros(shape)
        for k in np.ndindex(shape):
            unit = np.zeros(shape)
            unit[k] = 1
            found[k] = np.sum(outcome(unit) * dout)
        return found

    dX = np.stack([_one_image(X.shape[1:], W, above, stride, pad) for above in dout])
    dW = by(W.shape, lambda unit: correlated(X, unit, zero, stride, pad))
    return dX, dW, dout.sum(axis=(0, 2, 3))


def _one_image(image_shape, W, above, stride, pad):
    found, zero = np.zeros(image_shape), np.zeros(len(W))
    for k in np.ndindex(image_shape):
        unit = np.zeros((1, *image_shape))
        unit[(0, *k)] = 1
        found[k] = np.sum(correlated(unit, W, zero, stride, pad)[0] * above)
    return found


def random_layer(rng, stride, pad, n=2):
    X, W, b = rng.normal(size=(n, 2, 6, 5)), rng.normal(size=(3, 2, 3, 2)), rng.normal(size=3)
    return X, W, b, rng.normal(size=correlated(X, W, b, stride, pad).shape)


def expect_output(student, atlas, arguments, what):
    answer = student.convolve(*arguments)
    assert not student.changed, CHANGED
    expect(answer, correlated(*arguments), atlas("convolve", *arguments), what=what)


@pytest.mark.q("q2", 1)
def test_one_place_after_the_other(student, atlas, rng):
    """Stride 1, no pad."""
    expect_output(student, atlas, (*random_layer(rng, 1, 0)[:3], 1, 0), "Y")


@pytest.mark.q("q2", 2)
def test_stride_and_pad(student, atlas, rng):
    """Stride 1 to 3, pad 0 to 2."""
    for stride, pad in [(1, 1), (2, 0), (2, 1), (3, 2)]:
        expect_output(
            student, atlas, (*random_layer(rng, stride, pad)[:3], stride, pad), f"Y for stride {stride}, pad {pad},"
        )


def expect_back(student, atlas, arguments, what):
    answer = student.convolve_backward(*arguments)
    assert not student.changed, CHANGED
    parts_of(answer, 3, "(dX, dW, db)")
    looks = atlas("convolve_backward", *arguments)
    for k, (name, truth) in enumerate(zip(("dX", "dW", "db"), adjoint(*arguments), strict=True)):
        expect(answer[k], truth, part_of(looks, k), what=f"{name} {what}")


@pytest.mark.q("q2", 2)
def test_back(student, atlas, rng):
    """Back, stride 1, no pad, two images."""
    X, W, _, dout = random_layer(rng, 1, 0)
    expect_back(student, atlas, (X, W, dout, 1, 0), "for stride 1, pad 0,")


@pytest.mark.q("q2", 2)
def test_back_with_stride_and_pad(student, atlas, rng):
    """Back, stride 1 to 3, pad 0 to 2."""
    for stride, pad in [(1, 1), (2, 0), (2, 1), (3, 2)]:
        X, W, _, dout = random_layer(rng, stride, pad)
        expect_back(student, atlas, (X, W, dout, stride, pad), f"for stride {stride}, pad {pad},")


@pytest.mark.q("q2", 1)
def test_forward_and_back_are_transposes(student, rng):
    """⟨convolve(X), Z⟩ = ⟨X, dX(Z)⟩ for other sizes."""
    X, W = rng.normal(size=(1, 3, 8, 7)), rng.normal(size=(2, 3, 2, 4))
    Y = array_of(
        student.convolve(X, W, np.zeros(2), 2, 1), (1, 2, 5, 3), "Y of 8 × 7 pixels, kernel 2 × 4, stride 2, pad 1,"
    )
    Z = rng.normal(size=Y.shape)
    answer = student.convolve_backward(X, W, Z, 2, 1)
    parts_of(answer, 3, "(dX, dW, db)")
    dX, dW = array_of(answer[0], X.shape, "dX"), array_of(answer[1], W.shape, "dW")
    assert np.any(Y), "Y is 0 everywhere"
    assert np.isclose(np.sum(Y * Z), np.sum(X * dX)), "⟨Y, Z⟩ and ⟨X, dX⟩ differ: dX is not the transpose of convolve"
    assert np.isclose(np.sum(Y * Z), np.sum(W * dW)), "⟨Y, Z⟩ and ⟨W, dW⟩ differ: dW is not the transpose of convolve"


@wrong("q2", says="the kernels are flipped: Eq. (2) is a correlation")
def convolve(X, W, b, stride, pad):
    return correlated(X, W[:, :, ::-1, ::-1], b, stride, pad)


@wrong("q2", says="only the first channel is read: sum over all of them")
def convolve(X, W, b, stride, pad):
    return correlated(X[:, :1], W[:, :1], b, stride, pad)


@wrong("q2", says="the bias is missing")
def convolve(X, W, b, stride, pad):
    return correlated(X, W, 0 * b, stride, pad)


@wrong("q2", says="the stride is ignored")
def convolve(X, W, b, stride, pad):
    return correlated(X, W, b, 1, pad)


@wrong("q2", says="the pad is added at the upper and left side only, twice")
def convolve(X, W, b, stride, pad):
    P = np.pad(X, ((0, 0), (0, 0), (2 * pad, 0), (2 * pad, 0)))
    return correlated(P, W, b, stride, 0)


@wrong("q2", says="the border is repeated instead of padded with zeros")
def convolve(X, W, b, stride, pad):
    return correlated(np.pad(X, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="edge"), W, b, stride, 0)


@wrong(
    "q2",
    says="the input is thinned out before the kernel is laid on it: the stride is between places, not between taps",
)
def convolve(X, W, b, stride, pad):
    P = np.pad(X, ((0, 0), (0, 0), (stride * pad, stride * pad), (stride * pad, stride * pad)))
    Y, wanted = correlated(P[:, :, ::stride, ::stride], W, b, 1, 0), correlated(X, W, b, stride, pad)
    return np.resize(Y[:, :, : wanted.shape[2], : wanted.shape[3]], wanted.shape)


@right("q2")
def convolve(X, W, b, stride, pad):
    """By sliding windows."""
    P = np.pad(X, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    seen = np.lib.stride_tricks.sliding_window_view(P, W.shape[2:], (2, 3))[:, :, ::stride, ::stride]
    return np.einsum("nmrcij,fmij->nfrc", seen, W) + b[:, None, None]


def spread(X, W, dout, stride, pad):
    """dP of the padded input, and dW, place by place."""
    P = np.pad(X, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dP, dW, (k, m) = np.zeros(P.shape), np.zeros(W.shape), W.shape[2:]
    for r, c in np.ndindex(dout.shape[2:]):
        at = np.s_[:, :, r * stride : r * stride + k, c * stride : c * stride + m]
        dW += np.tensordot(dout[:, :, r, c], P[at], (0, 0))
        dP[at] += np.tensordot(dout[:, :, r, c], W, (1, 0))
    return dP, dW


def _crop(dP, X, top, left):
    return dP[:, :, top : top + X.shape[2], left : left + X.shape[3]]


@wrong("q2", says="the kernel is turned: each output's gradient is laid out with the kernel as it is")
def convolve_backward(X, W, dout, stride, pad):
    dX = _crop(spread(X, W[:, :, ::-1, ::-1], dout, stride, pad)[0], X, pad, pad)
    return dX, spread(X, W, dout, stride, pad)[1], dout.sum(axis=(0, 2, 3))


@wrong("q2", says="the pad is cut off at the wrong end: the input begins at row and column `pad` of the padded one")
def convolve_backward(X, W, dout, stride, pad):
    dP, dW = spread(X, W, dout, stride, pad)
    return _crop(dP, X, 0, 0), dW, dout.sum(axis=(0, 2, 3))


@wrong("q2", says="the pad is not cut off: dX has the shape of X")
def convolve_backward(X, W, dout, stride, pad):
    dP, dW = spread(X, W, dout, stride, pad)
    return dP, dW, dout.sum(axis=(0, 2, 3))


@wrong("q2", says="windows overlap, and a pixel keeps the gradient of the last window only: += in place of =")
def convolve_backward(X, W, dout, stride, pad):
    dP, dW = spread(X, W, dout, stride, pad)
    dP[:] = 0
    for r, c in np.ndindex(dout.shape[2:]):
        rows, cols = slice(r * stride, r * stride + W.shape[2]), slice(c * stride, c * stride + W.shape[3])
        dP[:, :, rows, cols] = np.tensordot(dout[:, :, r, c], W, (1, 0))
    return _crop(dP, X, pad, pad), dW, dout.sum(axis=(0, 2, 3))


@wrong("q2", says="dW and db are means over the images: they are sums, the mean is in the loss already")
def convolve_backward(X, W, dout, stride, pad):
    dP, dW = spread(X, W, dout, stride, pad)
    return _crop(dP, X, pad, pad), dW / len(X), dout.sum(axis=(0, 2, 3)) / len(X)


@wrong("q2", says="dW is turned by 180°")
def convolve_backward(X, W, dout, stride, pad):
    dP, dW = spread(X, W, dout, stride, pad)
    return _crop(dP, X, pad, pad), dW[:, :, ::-1, ::-1], dout.sum(axis=(0, 2, 3))


@wrong("q2", says="db is summed over the images only: a bias is copied to every place, too")
def convolve_backward(X, W, dout, stride, pad):
    dP, dW = spread(X, W, dout, stride, pad)
    return _crop(dP, X, pad, pad), dW, dout.sum(axis=0)


@wrong("q2", says="the gradient of the first image only is in dW")
def convolve_backward(X, W, dout, stride, pad):
    dP, _ = spread(X, W, dout, stride, pad)
    return _crop(dP, X, pad, pad), spread(X[:1], W, dout[:1], stride, pad)[1], dout.sum(axis=(0, 2, 3))


@right("q2")
def convolve_backward(X, W, dout, stride, pad):
    """Place by place."""
    dP, dW = spread(X, W, dout, stride, pad)
    return _crop(dP, X, pad, pad), dW, dout.sum(axis=(0, 2, 3))


# ---------------------------------------------------------------------------------------------
# Question 3: max pooling

LEFT_OVER = "rows and columns that are left over are dropped: H // size of them, and their gradient is 0"


def pooled(X, size, take=np.max):
    rows, cols = X.shape[0] // size, X.shape[1] // size
    return np.array(
        [[take(X[size * r : size * (r + 1), size * c : size * (c + 1)]) for c in range(cols)] for r in range(rows)]
    )


def routed(X, dout, size, share):
    """Each window's gradient times `share(window)`."""
    dX = np.zeros(X.shape)
    for r, c in np.ndindex(dout.shape):
        at = np.s_[size * r : size * (r + 1), size * c : size * (c + 1)]
        dX[at] = dout[r, c] * share(X[at])
    return dX


def first_of(window):
    hit = np.zeros(window.size)
    hit[np.argmax(window)] = 1
    return hit.reshape(window.shape)


def with_ties(rng, shape):
    return rng.integers(-3, 1, shape) / 4.0


@pytest.mark.q("q3", 1)
def test_pool(student, atlas, rng):
    """Sizes 2 and 3, values below 0 too, with leftovers."""
    for shape, size in [((4, 6), 2), ((7, 8), 3), ((5, 9), 2)]:
        X = rng.normal(-1, 1, shape)
        answer = student.max_pool(X, size)
        assert not student.changed, CHANGED
        expect(answer, pooled(X, size), atlas("max_pool", X, size), what=f"the maxima of {shape} by {size}")


def expect_routes(student, atlas, X, size, rng, what):
    dout = rng.normal(size=pooled(X, size).shape)
    answer = student.max_pool_backward(X, dout, size)
    assert not student.changed, CHANGED
    expect(answer, routed(X, dout, size, first_of), atlas("max_pool_backward", X, dout, size), what=what)


@pytest.mark.q("q3", 1)
def test_routes(student, atlas, rng):
    """Back, all values different, no leftovers."""
    expect_routes(student, atlas, rng.normal(size=(4, 6)), 2, rng, "dX")
    expect_routes(student, atlas, rng.normal(size=(6, 9)), 3, rng, "dX for size 3")


@pytest.mark.q("q3", 1)
def test_routes_at_ties(student, atlas, rng):
    """Back, with ties: one pixel takes all, the first."""
    for size in (2, 3):
        expect_routes(student, atlas, with_ties(rng, (6, 12)), size, rng, f"dX with ties, size {size},")
    expect_routes(student, atlas, np.zeros((4, 4)), 2, rng, "dX of a map of zeros")


@pytest.mark.q("q3", 1)
def test_routes_with_leftovers(student, atlas, rng):
    """Back, with rows and columns left over."""
    for shape, size in [((5, 7), 2), ((7, 8), 3)]:
        expect_routes(student, atlas, rng.normal(size=shape), size, rng, f"dX of {shape} by {size}")


@wrong("q3", says="the search starts at 0: a window of negative numbers has a negative maximum")
def max_pool(X, size):
    return np.maximum(pooled(X, size), 0)


@wrong("q3", says="the largest magnitude is taken, not the largest value")
def max_pool(X, size):
    return pooled(X, size, lambda w: w.flat[np.argmax(np.abs(w))])


@wrong("q3", says="this is the mean of each window")
def max_pool(X, size):
    return pooled(X, size, np.mean)


@wrong("q3", says=LEFT_OVER)
def max_pool(X, size):
    rows, cols = -(-X.shape[0] // size), -(-X.shape[1] // size)
    return np.array(
        [[X[size * r : size * (r + 1), size * c : size * (c + 1)].max() for c in range(cols)] for r in range(rows)]
    )


@wrong("q3", says="the windows move by one pixel: they lie side by side")
def max_pool(X, size):
    return np.lib.stride_tricks.sliding_window_view(X, (size, size)).max(axis=(2, 3))


@right("q3")
def max_pool(X, size):
    """The larger of shifted copies."""
    rows, cols = X.shape[0] // size, X.shape[1] // size
    X, out = X[: rows * size, : cols * size], np.full((rows, cols), -math.inf)
    for i, j in np.ndindex(size, size):
        out = np.maximum(out, X[i::size, j::size])
    return out


@wrong("q3", says="every pixel that equals the maximum takes the whole gradient: at a tie it is multiplied")
def max_pool_backward(X, dout, size):
    return routed(X, dout, size, lambda w: w == w.max())


@wrong("q3", says="the gradient is shared out among equals: one pixel takes all")
def max_pool_backward(X, dout, size):
    return routed(X, dout, size, lambda w: (w == w.max()) / np.sum(w == w.max()))


@wrong("q3", says="at a tie the last pixel takes it: it should be the first, row by row")
def max_pool_backward(X, dout, size):
    return routed(X, dout, size, lambda w: first_of(w[::-1, ::-1])[::-1, ::-1])


@wrong("q3", says="at a tie the first pixel is looked for column by column: it should be row by row")
def max_pool_backward(X, dout, size):
    return routed(X, dout, size, lambda w: first_of(w.T).T)


@wrong("q3", says="the gradient goes to all pixels of a window: that is average pooling (and without 1 / size²)")
def max_pool_backward(X, dout, size):
    return routed(X, dout, size, np.ones_like)


@wrong("q3", says="the gradient is multiplied by the value of the maximum: its local derivative is 1")
def max_pool_backward(X, dout, size):
    return routed(X, dout, size, lambda w: w.max() * first_of(w))


@wrong("q3", says="the gradient goes to the upper left pixel of each window, whatever its value")
def max_pool_backward(X, dout, size):
    return routed(X, dout, size, lambda w: first_of(np.zeros(w.shape)))


@wrong("q3", says=LEFT_OVER + ": dX is as large as X")
def max_pool_backward(X, dout, size):
    return routed(X, dout, size, first_of)[: size * dout.shape[0], : size * dout.shape[1]]


@right("q3")
def max_pool_backward(X, dout, size):
    """Pixel by pixel: it has the route if none before it in its window is as large, and none after it larger."""
    dX = np.zeros(X.shape)
    for r, c in np.ndindex(dout.shape):
        best = None
        for i, j in np.ndindex(size, size):
            u, v = size * r + i, size * c + j
            if best is None or X[u, v] > X[best]:
                best = u, v
        dX[best] = dout[r, c]
    return dX


# ---------------------------------------------------------------------------------------------
# Question 4: shapes

FITS = "a layer that does not fit should raise a ValueError"
NUMBER = "the message should contain the number of the layer that does not fit, counted from 0"
NETWORK = [
    ("conv", 5, 3, 1, 1),
    ("relu",),
    ("pool", 2, 2),
    ("conv", 7, 4, 2, 1),
    ("flatten",),
    ("dense", 11),
    ("dense", 3),
]


def counted(layers, shape, size=None, conv=None, dense=None):
    """Walk through the layers, laying windows place by place; one rule may be another."""
    size = size or (lambda n, k, s, p: len([x for x in range(-p, n + p, s) if x + k <= n + p]))
    conv = conv or (lambda F, k, C: F * k * k * C + F)
    dense = dense or (lambda D, M: D * M + M)
    found, now = [], tuple(shape)
    for name, *how in layers:
        learned = 0
        if name == "conv":
            F, k, s, p = how
            learned = conv(F, k, now[0])
            now = (F, *(size(n, k, s, p) for n in now[1:]))
        elif name == "pool":
            now = (now[0], *(size(n, how[0], how[1], 0) for n in now[1:]))
        elif name == "flatten":
            now = (math.prod(now),)
        elif name == "dense":
            learned, now = dense(now[0], how[0]), (how[0],)
        found.append((now, learned))
    return found


def numbers_of(answer):
    """A list of pairs (shape, parameters) as one row of numbers."""
    assert isinstance(answer, list | tuple), f"the result should be a list of pairs, got {type(answer).__name__}"
    row = []
    for pair in answer:
        parts_of(pair, 2, "(shape, parameters), for each layer")
        assert isinstance(pair[0], tuple | list), "each shape should be a tuple of ints"
        row += [*pair[0], pair[1]]
    return row


def expect_shapes(student, atlas, layers, shape):
    truth = counted(layers, shape)
    answer = student.shapes(layers, shape)
    assert not student.changed, CHANGED
    looks = {}
    for says, look in atlas("shapes", layers, shape).items():
        try:
            looks[says] = numbers_of(look)
        except AssertionError:
            continue
    expect(numbers_of(answer), numbers_of(truth), looks, what="[shape and parameters, layer after layer, in one row]")
    assert [tuple(pair[0]) for pair in answer] == [pair[0] for pair in truth], "the shapes are wrong"


@pytest.mark.q("q4", 1)
def test_shapes(student, atlas):
    """A network with all kinds of layers."""
    expect_shapes(student, atlas, NETWORK, (3, 17, 12))


@pytest.mark.q("q4", 1)
def test_random_shapes(student, atlas, rng):
    """Thirty random convolutions and poolings."""
    for _ in range(30):
        k, s, p, q = (int(v) for v in rng.integers([1, 1, 0, 1], [6, 4, 4, 4]))
        layers = [("conv", int(rng.integers(2, 9)), k, s, p), ("pool", q, int(rng.integers(1, 4)))]
        expect_shapes(student, atlas, layers, tuple(int(v) for v in rng.integers(13, 30, 3)))  # all layers fit


MISFITS = [
    ([("conv", 4, 3, 1, 0), ("pool", 2, 2), ("conv", 4, 5, 1, 0)], (1, 9, 20), 2),
    ([("conv", 4, 3, 1, 1), ("dense", 4)], (1, 8, 8), 1),
    ([("flatten",), ("conv", 4, 1, 1, 0)], (1, 8, 8), 1),
    ([("relu",), ("flatten",), ("dense", 8), ("pool", 1, 1)], (2, 4, 4), 3),
]


@pytest.mark.q("q4", 1)
def test_misfits(student):
    """What does not fit raises a ValueError that names the layer."""
    for layers, shape, number in MISFITS:
        try:
            student.shapes(layers, shape)
        except StudentError as problem:
            text = str(problem)
        else:
            raise AssertionError(f"{FITS}: {layers} on {shape}")
        assert "ValueError" in text, f"{FITS}: {layers} on {shape} ({text})"
        said = text.split("ValueError", 1)[1].replace(str(layers[number]), "").replace(str(shape), "")
        assert str(number) in said, f"{NUMBER} ({layers}: {text})"


def gone(layers, grow=None):
    R, J = 1, 1
    for name, *how in layers:
        if name != "relu":
            k, s = how[1:3] if name == "conv" else how
            R, J = (grow or (lambda R, J, k, s: (R + (k - 1) * J, J * s)))(R, J, k, s)
    return R, J


def looked(layers):
    """Follow the columns that two neighbouring outputs see back through the layers."""
    seen = []
    for output in (0, 1):
        low = high = output
        for name, *how in reversed(layers):
            if name != "relu":
                k, s = how[1:3] if name == "conv" else how
                low, high = low * s, high * s + k - 1
        seen.append((low, high))
    return seen[0][1] - seen[0][0] + 1, seen[1][0] - seen[0][0]


@pytest.mark.q("q4", 2)
def test_field(student, atlas, rng):
    """The field and the step of eleven networks."""
    layers = [("conv", 4, 5, 1, 2), ("relu",), ("pool", 2, 3), ("conv", 8, 3, 2, 0)]
    expect(student.field(layers), looked(layers), atlas("field", layers), what=f"(R, J) of {layers}")
    for _ in range(10):
        layers = [("conv", 4, 3, int(rng.integers(1, 3)), 1), ("relu",), ("pool", int(rng.integers(2, 4)), 2)]
        layers += [("conv", 8, int(rng.choice([3, 5])), 2, 0), ("relu",), ("pool", 3, int(rng.integers(1, 4)))]
        answer = student.field(layers)
        expect(answer, looked(layers), atlas("field", layers), what=f"(R, J) of {layers}")
    expect(student.field([("relu",)]), (1, 1), what="(R, J) of a relu alone")


@wrong("q4", says="the + 1 is missing: a window as large as the input has one place")
def shapes(layers, shape):
    return _safe(counted(layers, shape, size=lambda n, k, s, p: (n + 2 * p - k) // s))


@wrong("q4", says="the pad counts once: it is added at both ends")
def shapes(layers, shape):
    return _safe(counted(layers, shape, size=lambda n, k, s, p: (n + p - k) // s + 1))


@wrong("q4", says="the quotient is rounded up: a window that is not whole has no place")
def shapes(layers, shape):
    return _safe(counted(layers, shape, size=lambda n, k, s, p: -((n + 2 * p - k) // -s) + 1))


@wrong("q4", says="the biases of the convolutions are missing")
def shapes(layers, shape):
    return _checked(layers, shape, conv=lambda F, k, C: F * k * k * C)


@wrong("q4", says="a kernel is as deep as its input: the number of channels is missing")
def shapes(layers, shape):
    return _checked(layers, shape, conv=lambda F, k, C: F * k * k + F)


@wrong("q4", says="one bias for every input instead of every output")
def shapes(layers, shape):
    return _checked(layers, shape, dense=lambda D, M: D * M + D)


@wrong("q4", says=FITS)
def shapes(layers, shape):
    return counted(layers, shape, size=lambda n, k, s, p: (n + 2 * p - k) // s + 1)


@wrong("q4", says=NUMBER)
def shapes(layers, shape):
    if _misfit(layers, shape) is not None:
        raise ValueError("this layer does not fit")
    return counted(layers, shape)


def _misfit(layers, shape):
    """Number of the first layer that does not fit, or None."""
    now = tuple(shape)
    for number, (name, *how) in enumerate(layers):
        if name in ("conv", "pool"):
            k, p = (how[1], how[3]) if name == "conv" else (how[0], 0)
            if len(now) != 3 or min(now[1:]) + 2 * p < k:
                return number
        if name == "dense" and len(now) != 1:
            return number
        now = counted([(name, *how)], now)[0][0]
    return None


def _checked(layers, shape, **rules):
    number = _misfit(layers, shape)
    if number is not None:
        raise ValueError(f"layer {number} does not fit")
    return counted(layers, shape, **rules)


def _safe(found):
    return [(tuple(int(n) for n in shape), int(parameters)) for shape, parameters in found]


@right("q4")
def shapes(layers, shape):
    """Places counted one by one."""
    return _checked(layers, shape)


@wrong("q4", says="R grows by the stride of its own layer as well: (k − 1) J with the step J *before* this layer")
def field(layers):
    return gone(layers, lambda R, J, k, s: (R + (k - 1) * J * s, J * s))


@wrong("q4", says="R grows by k J: a window of k pixels reaches k − 1 steps beyond the first")
def field(layers):
    return gone(layers, lambda R, J, k, s: (R + k * J, J * s))


@wrong("q4", says="the step is ignored in R: a layer's reach counts in steps of what came before")
def field(layers):
    return gone(layers, lambda R, J, k, s: (R + (k - 1), J * s))


@wrong("q4", says="the steps are added: two strides of 2 make 4, three make 8")
def field(layers):
    return gone(layers, lambda R, J, k, s: (R + (k - 1) * J, J + s - 1))


@wrong("q4", says="pooling is left out: it has a window and a stride as a convolution has")
def field(layers):
    return gone([layer for layer in layers if layer[0] == "conv"])


@wrong("q4", says="the layers are run through from the last to the first")
def field(layers):
    return gone(layers[::-1])


@right("q4")
def field(layers):
    """From the last layer back to the input."""
    R, J = 1, 1
    for name, *how in reversed(layers):
        if name != "relu":
            k, s = how[1:3] if name == "conv" else how
            R, J = (R - 1) * s + k, J * s
    return R, J


# ---------------------------------------------------------------------------------------------
# Question 5: by heart

PARAMETERS = ("dW1", "db1", "dW2", "db2")
NO_STEP = "the differences are not precise: float64 inside, central differences, h near 1e-5"
NOT_YET = "the examples are not known by heart"


def random_network(rng, N=6, D=5, M=4, K=3):
    return (
        rng.normal(size=(N, D)),
        rng.integers(0, K, N),
        rng.normal(size=(D, M)),
        rng.normal(size=M),
        rng.normal(size=(M, K)),
        rng.normal(size=K),
    )


def loss_of(X, y, W1, b1, W2, b2):
    S = np.where((Z := X @ W1 + b1) > 0, Z, 0) @ W2 + b2
    return np.mean(special.logsumexp(S, axis=1) - S[np.arange(len(X)), y])


def complex_loss(X, y, W1, b1, W2, b2):
    Z = X @ W1 + b1
    S = np.where(Z.real > 0, Z, 0) @ W2 + b2
    S = S - S.real.max(axis=1, keepdims=True)
    return np.mean(np.log(np.exp(S).sum(axis=1)) - S[np.arange(len(X)), y])


def gradients_of(X, y, *parameters):
    """The gradients by complex steps: no difference, so no rounding."""
    found = []
    for number, p in enumerate(parameters):
        d = np.zeros(p.shape)
        for k in np.ndindex(p.shape):
            moved = [q.astype(complex) for q in parameters]
            moved[number][k] += 1e-30j
            d[k] = complex_loss(X, y, *moved).imag / 1e-30
        found.append(d)
    return tuple(found)


def expect_loss(student, atlas, arguments, what):
    answer = student.loss_and_gradients(*arguments)
    assert not student.changed, CHANGED
    parts_of(answer, 5, "(loss, dW1, db1, dW2, db2)")
    looks = atlas("loss_and_gradients", *arguments)
    truth = (loss_of(*arguments), *gradients_of(*arguments))
    for k, name in enumerate(("the loss", *PARAMETERS)):
        expect(answer[k], truth[k], part_of(looks, k), what=f"{name}{what}")


@pytest.mark.q("q5", 2)
def test_loss_and_gradients(student, atlas, rng):
    """The loss and its four gradients, on random numbers."""
    for N in (6, 1):
        expect_loss(student, atlas, random_network(rng, N), "" if N > 1 else " of one example")


@pytest.mark.q("q5", 1)
def test_large_scores(student, atlas, rng):
    """Scores in the thousands."""
    X, y, W1, b1, W2, b2 = random_network(rng)
    with np.errstate(all="ignore"):
        expect_loss(student, atlas, (X, y, W1, b1 + 3, 700 * W2, b2), " with large scores")


@pytest.mark.q("q5", 1)
def test_differences(student, atlas, rng):
    """dW1 by differences, to 1e-6 of its largest entry, from float32 arrays."""
    X, y, *parameters = random_network(rng)
    while np.abs(X @ parameters[0] + parameters[1]).min() < 0.01:  # away from the kinks of the ReLU
        X, y, *parameters = random_network(rng)
    arguments = (X.astype(np.float32), y, *(p.astype(np.float32) for p in parameters))
    exact = [a.astype(np.float64) if a.dtype == np.float32 else a for a in arguments]
    truth = gradients_of(*exact)[0]
    answer = array_of(student.numeric_dW1(*arguments), truth.shape, "dW1 by differences")
    assert not student.changed, CHANGED
    error = np.abs(answer - truth).max() / np.abs(truth).max()
    for says, look in atlas("numeric_dW1", *arguments).items():
        same = np.shape(look) == truth.shape and np.allclose(look, answer, rtol=1e-9, atol=0)
        assert not (same and error > 1e-6), says
    assert error <= 1e-6, f"{NO_STEP}: the relative error is {error:.1e}"


@pytest.mark.q("q5", 2)
def test_by_heart(student, rng):
    """Twenty examples, ten classes: all right, with a loss below 0.01."""
    X, y = rng.random((20, 30)), np.arange(20) % 10
    answer = student.by_heart(X, y, 24, 3)
    assert not student.changed, CHANGED
    parts_of(answer, 4, "(W1, b1, W2, b2)")
    shapes = (30, 24), (24,), (24, 10), (10,)
    found = [array_of(a, s, n) for a, s, n in zip(answer, shapes, ("W1", "b1", "W2", "b2"), strict=True)]
    loss = loss_of(X, y, *found)
    same = np.ptp(found[0], axis=1).max() < 1e-9
    assert not same, (
        "all hidden units are the same: they started alike, so they learned alike; draw the start at random"
    )
    assert loss > 1e-12 or np.abs(found[2]).max() < 1e6, "the weights have run away: lower the rate"
    assert loss < 0.01, f"{NOT_YET}: the loss is {loss:.3g}, a guess costs {math.log(10):.2f}"


@pytest.mark.q("q5", 1)
def test_dropout(student, atlas, rng):
    """In training some are dropped and the others enlarged; afterwards nothing happens."""
    x, u = rng.uniform(1, 2, (4, 5)), rng.random((4, 5))
    u[0, 0] = 0.3
    for p, train in [(0.3, True), (0.3, False), (0.0, True), (0.8, True)]:
        truth = np.where(u < p, 0, x / (1 - p)) if train else x
        answer = student.dropout(x, u, p, train)
        assert not student.changed, CHANGED
        expect(answer, truth, atlas("dropout", x, u, p, train), what=f"dropout with p = {p}, train = {train},")


def gradients_by_hand(X, y, W1, b1, W2, b2, mask=None, mean=True, sign=1.0, stable=True):
    with np.errstate(all="ignore"):
        Z = X @ W1 + b1
        H = np.maximum(Z, 0)
        S = H @ W2 + b2
        S = S - S.max(axis=1, keepdims=True) if stable else S
        n, e = np.arange(len(X)), np.exp(S)
        loss = np.mean(np.log(e.sum(axis=1)) - S[n, y])
        G = sign * (e / e.sum(axis=1, keepdims=True) - np.eye(W2.shape[1])[y])
        G = G / len(X) if mean else G
        dH = G @ W2.T * ((Z > 0) if mask is None else mask(Z))
        return loss, X.T @ dH, dH.sum(axis=0), H.T @ G, G.sum(axis=0)


@wrong("q5", says="db1 is taken before the ReLU's gate: a unit that is off has no gradient")
def loss_and_gradients(X, y, W1, b1, W2, b2):
    found = list(gradients_by_hand(X, y, W1, b1, W2, b2))
    found[2] = gradients_by_hand(X, y, W1, b1, W2, b2, mask=np.ones_like)[2]
    return tuple(found)


@wrong("q5", says="the gradients are not divided by N: the loss is a mean")
def loss_and_gradients(X, y, W1, b1, W2, b2):
    return gradients_by_hand(X, y, W1, b1, W2, b2, mean=False)


@wrong("q5", says="the sign of the gradients is turned round: p − 1 for the right class, p for the others")
def loss_and_gradients(X, y, W1, b1, W2, b2):
    return gradients_by_hand(X, y, W1, b1, W2, b2, sign=-1.0)


@wrong("q5", says="the gradient passes the ReLU where nothing came through: multiply by (H > 0)")
def loss_and_gradients(X, y, W1, b1, W2, b2):
    return gradients_by_hand(X, y, W1, b1, W2, b2, mask=np.ones_like)


@wrong("q5", says="the gradient is multiplied by H instead of (H > 0): the ReLU's local derivative is 1 or 0")
def loss_and_gradients(X, y, W1, b1, W2, b2):
    return gradients_by_hand(X, y, W1, b1, W2, b2, mask=lambda Z: np.maximum(Z, 0))


@wrong("q5", says="exp overflows: subtract the largest score of each row first, which changes nothing")
def loss_and_gradients(X, y, W1, b1, W2, b2):
    found = gradients_by_hand(X, y, W1, b1, W2, b2, stable=False)
    if not all(np.isfinite(part).all() for part in found):
        raise OverflowError("exp overflows: subtract the largest score of each row first, which changes nothing")
    return found


@wrong("q5", says="the loss is a sum over the examples: it should be their mean")
def loss_and_gradients(X, y, W1, b1, W2, b2):
    loss, *rest = gradients_by_hand(X, y, W1, b1, W2, b2)
    return loss * len(X), *rest


@right("q5")
def loss_and_gradients(X, y, W1, b1, W2, b2):
    """One example after the other."""
    total, grads = 0.0, [np.zeros(p.shape) for p in (W1, b1, W2, b2)]
    for x, label in zip(X, y, strict=True):
        h = np.maximum(W1.T @ x + b1, 0)
        s = W2.T @ h + b2
        p = np.exp(s - s.max())
        p /= p.sum()
        total -= s[label] - s.max() - math.log(np.exp(s - s.max()).sum())
        p[label] -= 1
        dh = (W2 @ p) * np.sign(h)
        for g, part in zip(grads, (np.outer(x, dh), dh, np.outer(h, p), p), strict=True):
            g += part / len(X)
    return total / len(X), *grads


def differences(arguments, h, central=True, real=np.float64):
    X, y, W1, b1, W2, b2 = (a if a.dtype.kind in "iu" else a.astype(real) for a in arguments)
    found, base = np.zeros(W1.shape, real), gradients_by_hand(X, y, W1, b1, W2, b2)[0]
    for k in np.ndindex(W1.shape):
        e = np.zeros(W1.shape, real)
        e[k] = h
        above, below = (gradients_by_hand(X, y, W1 + s * e, b1, W2, b2)[0] for s in (1, -1))
        found[k] = (above - below) / real(2 * h) if central else (above - base) / real(h)
    return found


@wrong("q5", says="the step is too small: rounding of the loss over h is larger than the gradient's digits")
def numeric_dW1(X, y, W1, b1, W2, b2):
    return differences((X, y, W1, b1, W2, b2), 1e-12)


@wrong("q5", says="the step is too large: the error of a central difference grows with h²")
def numeric_dW1(X, y, W1, b1, W2, b2):
    return differences((X, y, W1, b1, W2, b2), 1e-1)


@wrong("q5", says="the differences are taken in float32: seven digits, of which the subtraction takes most")
def numeric_dW1(X, y, W1, b1, W2, b2):
    return differences((X, y, W1, b1, W2, b2), 1e-3, real=np.float32)


@wrong("q5", says="one-sided differences: their error falls with h only, that of central ones with h²")
def numeric_dW1(X, y, W1, b1, W2, b2):
    return differences((X, y, W1, b1, W2, b2), 1e-5, central=False)


@wrong("q5", says="a central difference spans 2 h: divide by 2 h")
def numeric_dW1(X, y, W1, b1, W2, b2):
    return 2 * differences((X, y, W1, b1, W2, b2), 1e-5)


@right("q5")
def numeric_dW1(X, y, W1, b1, W2, b2):
    """With a formula of fourth order and a larger step."""
    small, large = (differences((X, y, W1, b1, W2, b2), h) for h in (1e-4, 2e-4))
    return (4 * small - large) / 3


def descend(X, y, M, seed, rate=0.05, steps=1500, start=1.0, sign=-1.0):
    rng, D, K = np.random.default_rng(seed), X.shape[1], int(y.max()) + 1
    shapes = (D, M), (M,), (M, K), (K,)
    params = [start * rng.normal(size=s) * (len(s) > 1) * math.sqrt(2 / s[0]) for s in shapes]
    speed = [np.zeros(s) for s in shapes]
    for _ in range(steps):
        grads = gradients_by_hand(X, y, *params)[1:]
        speed = [0.9 * v + sign * rate * g for v, g in zip(speed, grads, strict=True)]
        params = [p + v for p, v in zip(params, speed, strict=True)]
    return tuple(params)


@wrong("q5", says=NOT_YET)
def by_heart(X, y, M, seed):
    return descend(X, y, M, seed, rate=1e-4)


@wrong("q5", says="the loss is")
def by_heart(X, y, M, seed):
    return descend(X, y, M, seed, steps=40, sign=1.0)


@wrong("q5", says="all hidden units are the same")
def by_heart(X, y, M, seed):
    return descend(X, y, M, seed, start=0.0)


@right("q5")
def by_heart(X, y, M, seed):
    """The hidden layer stays random; the second is solved for, then sharpened."""
    rng, K = np.random.default_rng(seed), int(y.max()) + 1
    W1 = rng.normal(size=(X.shape[1], M)) * math.sqrt(2 / X.shape[1])
    W2, b2 = np.zeros((M, K)), np.zeros(K)
    for _ in range(4000):
        _, _, _, dW2, db2 = gradients_by_hand(X, y, W1, np.zeros(M), W2, b2)
        W2, b2 = W2 - 2.0 * dW2, b2 - 2.0 * db2
    return W1, np.zeros(M), W2, b2


@wrong("q5", says="what is kept is not enlarged: divide by 1 − p, or the sums shrink in training")
def dropout(x, u, p, train):
    return np.where(u < p, 0, x) if train else x


@wrong("q5", says="after training nothing is to be done: the division by 1 − p in training has seen to that")
def dropout(x, u, p, train):
    return np.where(u < p, 0, x / (1 - p)) if train else x * (1 - p)


@wrong("q5", says="it drops after training too: the answer would change from call to call")
def dropout(x, u, p, train):
    return np.where(u < p, 0, x / (1 - p))


@wrong("q5", says="p is the probability to drop, not to keep")
def dropout(x, u, p, train):
    return np.where(u >= p, 0, x / max(p, 1e-9)) if train else x


@right("q5")
def dropout(x, u, p, train):
    """Entry by entry."""
    if not train:
        return x + 0.0
    out = np.zeros(x.shape)
    for k in np.ndindex(x.shape):
        if u[k] >= p:
            out[k] = x[k] / (1 - p)
    return out
