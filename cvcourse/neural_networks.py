"""Neural networks from scratch: gates and reverse mode, layers on arrays, initialisation, training (lecture 20).

A batch of feature maps is an array (N, C, H, W), a batch of vectors (N, D), float32 or float64; `to_planes` makes
the first from images.  A layer computes forward, keeps what its backward needs, and turns the gradient of its output
("upstream") into that of its input ("downstream").  What deep learning calls convolution is the *correlation* of
lecture 1: the kernel is not flipped.
"""

import math
import numbers
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from cvcourse.classification import STEPS, Memory, as_labels, softmax_loss
from cvcourse.compiled import SERIAL
from cvcourse.homogeneous import random_generator
from cvcourse.images import Array

BLOCK = 600_000  # bytes of unfolded planes that are worked on at once: they stay in the second cache


# --- gates: a graph of numbers ---------------------------------------------------------------


class Value:
    """A number in a graph of gates: ``data``, its gradient ``grad``, the ``gate`` that made it and the ``inputs`` of that.

    Forward, every gate notes beside its result its *local* derivatives, one for each input.  `backward` then runs
    through the graph in reverse: what comes from above times the local derivative goes to the input, and where a
    number is used more than once its gradients add up, Eqs. (20.1) and (20.2).

    Parameters
    ----------
    data : float
        Finite.
    name : str
        For pictures of the graph.

    Raises
    ------
    TypeError, ValueError
        If it is no number, or not finite.

    Examples
    --------
    >>> x, y = Value(3.0), Value(-2.0)
    >>> (x * y + x).backward()
    >>> x.grad, y.grad
    (-1.0, 3.0)
    """

    def __init__(
        self,
        data: Any,
        name: str = "",
        gate: str = "",
        inputs: "tuple[Value, ...]" = (),
        local: tuple[float, ...] = (),
    ) -> None:
        if type(data) is bool or not isinstance(data, numbers.Real):
            raise TypeError(f"a Value holds one real number, got {type(data).__name__}")
        self.data, self.grad = float(data), 0.0
        if not math.isfinite(self.data):
            raise ValueError(f"the {gate or 'given'} value is {self.data}: a graph holds finite numbers only")
        self.name, self.gate, self.inputs, self.local = name, gate, inputs, local

    def __repr__(self) -> str:
        return f"Value({self.name + ' = ' if self.name else ''}{self.data:g}, grad={self.grad:g})"

    def __add__(self, other: Any) -> "Value":
        other = _value(other)
        return Value(self.data + other.data, gate="+", inputs=(self, other), local=(1.0, 1.0))

    def __mul__(self, other: Any) -> "Value":
        other = _value(other)
        return Value(self.data * other.data, gate="×", inputs=(self, other), local=(other.data, self.data))

    def __pow__(self, exponent: Any) -> "Value":
        if isinstance(exponent, Value):
            raise TypeError("the exponent must be a plain number: its gradient is not computed")
        if (self.data < 0 and exponent != int(exponent)) or (self.data == 0 and exponent < 1 and exponent != 0):
            raise ValueError(f"{self.data:g} ** {exponent:g} has no real value and derivative")
        local = exponent * self.data ** (exponent - 1) if exponent else 0.0
        return Value(self.data**exponent, gate=f"^{exponent:g}", inputs=(self,), local=(local,))

    def __neg__(self) -> "Value":
        return self * -1.0

    def __sub__(self, other: Any) -> "Value":
        return self + -_value(other)

    def __truediv__(self, other: Any) -> "Value":
        return self * _value(other) ** -1

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: Any) -> "Value":
        return _value(other) - self

    def __rtruediv__(self, other: Any) -> "Value":
        return _value(other) / self

    def exp(self) -> "Value":
        """Give e to the power of this value; the derivative is the result itself."""
        if self.data > 709:
            raise ValueError(f"exp({self.data:g}) overflows")
        return Value(math.exp(self.data), gate="exp", inputs=(self,), local=(math.exp(self.data),))

    def log(self) -> "Value":
        """Give the natural logarithm; the derivative is 1 / value."""
        if self.data <= 0:
            raise ValueError(f"log needs a value > 0, got {self.data:g}")
        return Value(math.log(self.data), gate="log", inputs=(self,), local=(1 / self.data,))

    def relu(self) -> "Value":
        """Give max(0, value); the derivative is 1 above 0, else 0 (at 0 too)."""
        return Value(max(0.0, self.data), gate="relu", inputs=(self,), local=(float(self.data > 0),))

    def maximum(self, other: Any) -> "Value":
        """Give the larger of two values; the whole gradient goes there, in a tie to the first."""
        other = _value(other)
        first = float(self.data >= other.data)
        return Value(max(self.data, other.data), gate="max", inputs=(self, other), local=(first, 1.0 - first))

    def graph(self) -> "list[Value]":
        """List every value that this one depends on, inputs before results, itself last."""
        order: list[Value] = []
        seen: set[int] = set()
        waiting = [(self, False)]
        while waiting:
            node, done = waiting.pop()
            if done:
                order.append(node)
            elif id(node) not in seen:
                seen.add(id(node))
                waiting.append((node, True))
                waiting += [(one, False) for one in reversed(node.inputs)]
        return order

    def backward(self) -> None:
        """Fill ``grad`` of the whole graph: the derivatives of this value by each; old ones are forgotten."""
        order = self.graph()
        for node in order:
            node.grad = 0.0
        self.grad = 1.0
        for node in reversed(order):
            for one, local in zip(node.inputs, node.local, strict=True):
                one.grad += node.grad * local  # += : a number used twice collects from both, Eq. (20.2)


def _value(x: Any) -> Value:
    return x if isinstance(x, Value) else Value(x)


# --- shapes ----------------------------------------------------------------------------------


def output_size(n: int, size: int, stride: int = 1, pad: int = 0, dilation: int = 1) -> int:
    """Count the places where a window fits along one axis, Eq. (20.8): floor((n + 2 pad - reach) / stride) + 1.

    Parameters
    ----------
    n : int
        Pixels along the axis.
    size, stride, pad, dilation : int
        Taps of the window, step between places, zeros added at each end, distance between taps.
        The window reaches over ``dilation (size - 1) + 1`` pixels.

    Raises
    ------
    ValueError
        If a number is out of its range, or the window fits nowhere.

    Examples
    --------
    >>> output_size(32, 3, pad=1), output_size(32, 5, stride=2), output_size(7, 2, stride=2)
    (32, 14, 3)
    """
    for name, value, least in (("n", n, 1), ("size", size, 1), ("stride", stride, 1), ("dilation", dilation, 1)):
        if int(value) != value or value < least:
            raise ValueError(f"{name} must be a whole number >= {least}, got {value}")
    if int(pad) != pad or pad < 0:
        raise ValueError(f"pad must be a whole number >= 0, got {pad}")
    reach = dilation * (size - 1) + 1
    if reach > n + 2 * pad:
        raise ValueError(f"a window that reaches over {reach} pixels doesn't fit into {n} + 2·{pad}")
    return (n + 2 * pad - reach) // stride + 1


def to_planes(images: Array, dtype: Any = np.float32) -> Array:
    """Turn images (N, H, W) or (N, H, W, 3) into a batch of feature maps (N, C, H, W).

    Raises
    ------
    TypeError
        For integers.
    ValueError
        For another shape, no images, NaN or infinity.

    Examples
    --------
    >>> to_planes(np.zeros((5, 8, 9, 3))).shape
    (5, 3, 8, 9)
    """
    images = np.asarray(images)
    if images.dtype.kind != "f":
        raise TypeError(f"images must be floating point in [0, 1], got {images.dtype}: convert them with as_float")
    if images.size == 0 or images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        raise ValueError(f"images must have shape (N, H, W) or (N, H, W, 3) and not be empty, got {images.shape}")
    if not np.isfinite(images).all():
        raise ValueError("the images hold NaN or infinity")
    planes = images[:, None] if images.ndim == 3 else np.moveaxis(images, 3, 1)
    return np.ascontiguousarray(planes, dtype=dtype)


def _batch(X: Any, name: str = "X") -> Array:
    """Check a batch of feature maps at a kernel's door."""
    if not isinstance(X, np.ndarray) or X.dtype not in (np.float32, np.float64):
        what = X.dtype if isinstance(X, np.ndarray) else type(X).__name__
        raise TypeError(f"{name} must be an array of float32 or float64, got {what}")
    if X.ndim != 4 or X.size == 0:
        raise ValueError(f"{name} must have shape (N, C, H, W) and not be empty, got {X.shape}")
    return np.require(X, requirements=["C", "W"])


# --- convolution -----------------------------------------------------------------------------


@njit(**SERIAL)
def _span(n, places, tap, stride, pad):
    """First place, and one after the last, at which a tap lies inside 0 … n - 1."""
    first = max(0, -((tap - pad) // stride))
    return first, max(first, min(places, (n - 1 + pad - tap) // stride + 1))


@njit(**SERIAL)
def _copy(out, values):
    for x in range(len(out)):
        out[x] = values[x]


@njit(**SERIAL)
def _add(out, values):
    for x in range(len(out)):
        out[x] += values[x]


@njit(**SERIAL)
def _unfold(X, stride, pad, dilation, planes):
    """For each tap (i, j) of the window a plane of what it sees at every place; what is outside stays as it was (0)."""
    N, C, H, W = X.shape
    _, _, ki, kj, places_y, places_x = planes.shape
    for n in range(N):
        for c in range(C):
            for i in range(ki):
                y0, y1 = _span(H, places_y, i * dilation, stride, pad)
                for j in range(kj):
                    x0, x1 = _span(W, places_x, j * dilation, stride, pad)
                    dy, dx = i * dilation - pad, j * dilation - pad
                    for y in range(y0, y1):
                        if stride == 1:
                            _copy(planes[n, c, i, j, y, x0:x1], X[n, c, y + dy, x0 + dx : x1 + dx])
                        else:
                            for x in range(x0, x1):
                                planes[n, c, i, j, y, x] = X[n, c, stride * y + dy, stride * x + dx]


@njit(**SERIAL)
def _fold(planes, stride, pad, dilation, X):
    """Add every plane back to the pixels that it was copied from: the transpose of `_unfold`."""
    N, C, H, W = X.shape
    _, _, ki, kj, places_y, places_x = planes.shape
    for n in range(N):
        for c in range(C):
            for i in range(ki):
                y0, y1 = _span(H, places_y, i * dilation, stride, pad)
                for j in range(kj):
                    x0, x1 = _span(W, places_x, j * dilation, stride, pad)
                    dy, dx = i * dilation - pad, j * dilation - pad
                    for y in range(y0, y1):
                        if stride == 1:
                            _add(X[n, c, y + dy, x0 + dx : x1 + dx], planes[n, c, i, j, y, x0:x1])
                        else:
                            for x in range(x0, x1):
                                X[n, c, stride * y + dy, stride * x + dx] += planes[n, c, i, j, y, x]


def unfold(X: Array, size: tuple[int, int], stride: int = 1, pad: int = 0, dilation: int = 1) -> Array:
    """Copy what each tap of a window sees into a plane of its own ("im2col"): correlation becomes a matrix product.

    Parameters
    ----------
    X : ndarray of shape (N, C, H, W)
    size : (int, int)
        Rows and columns of the window.
    stride, pad, dilation : int
        As in `output_size`, for both axes.

    Returns
    -------
    ndarray of shape (N, C, rows, columns, H_out, W_out)
        ``[n, c, i, j, y, x]`` is ``X[n, c, stride y + dilation i - pad, stride x + dilation j - pad]``, 0 outside.

    Raises
    ------
    TypeError, ValueError
        For another shape or type, or a window that doesn't fit.

    Examples
    --------
    >>> unfold(np.arange(6.0).reshape(1, 1, 2, 3), (1, 2))[0, 0, 0].tolist()
    [[[0.0, 1.0], [3.0, 4.0]], [[1.0, 2.0], [4.0, 5.0]]]
    """
    X = _batch(X)
    places = [output_size(n, k, stride, pad, dilation) for n, k in zip(X.shape[2:], size, strict=True)]
    planes = np.zeros((*X.shape[:2], *size, *places), X.dtype)
    _unfold(X, stride, pad, dilation, planes)
    return planes


def _blocks(X: Array, W: Array, stride: int, pad: int, dilation: int) -> Iterator[tuple[slice, Array]]:
    """Give the unfolded planes of a few images at a time, in one buffer; its zeros outside the image are never written."""
    places = [output_size(n, k, stride, pad, dilation) for n, k in zip(X.shape[2:], W.shape[2:], strict=True)]
    shape = (*W.shape[1:], *places)
    step = max(1, min(len(X), BLOCK // (math.prod(shape) * X.itemsize)))
    buffer = np.zeros((step, *shape), X.dtype)
    for start in range(0, len(X), step):
        few = X[start : start + step]
        _unfold(few, stride, pad, dilation, buffer[: len(few)])
        yield slice(start, start + len(few)), buffer[: len(few)]


def convolve(
    X: Array, W: ArrayLike, b: ArrayLike | None = None, stride: int = 1, pad: int = 0, dilation: int = 1
) -> Array:
    """Correlate a batch with a bank of kernels: what deep learning calls convolution, Eq. (20.7).

    A matrix product of the kernels, one a row, with the unfolded planes.  Kernels are not flipped.

    Parameters
    ----------
    X : ndarray of shape (N, C, H, W)
    W : array of shape (F, C, rows, columns)
        F kernels, each as deep as X.
    b : array of shape (F,), optional
        Added to the map of each kernel.
    stride, pad, dilation : int
        As in `output_size`, for both axes; outside X is 0.

    Returns
    -------
    ndarray of shape (N, F, H_out, W_out)

    Raises
    ------
    TypeError, ValueError
        For another shape or type, kernels of another depth, or a window that doesn't fit.

    References
    ----------
    .. [1] Goodfellow, Bengio & Courville, Deep Learning, section 9.5.

    Examples
    --------
    >>> convolve(np.array([[[[0.0, 1.0, 4.0, 9.0]]]]), [[[[-1, 1]]]])[0, 0].tolist()
    [[1.0, 3.0, 5.0]]
    """
    X, W = _batch(X), _kernels(X, W)
    places = [output_size(n, k, stride, pad, dilation) for n, k in zip(X.shape[2:], W.shape[2:], strict=True)]
    rows, out = W.reshape(len(W), -1), np.empty((len(X), len(W), math.prod(places)), X.dtype)
    for part, planes in _blocks(X, W, stride, pad, dilation):
        np.matmul(rows, planes.reshape(len(planes), rows.shape[1], -1), out=out[part])
    if b is not None:
        if np.shape(b) != (len(W),):
            raise ValueError(f"one bias for each kernel: expected shape ({len(W)},), got {np.shape(b)}")
        out += np.asarray(b, dtype=X.dtype)[:, None]
    return out.reshape(len(X), len(W), *places)


class ConvGradients(NamedTuple):
    """Derivatives of a loss by a convolution's input, kernels and biases; ``dX`` is empty if it wasn't asked for."""

    dX: Array
    dW: Array
    db: Array


def convolve_backward(
    X: Array, W: ArrayLike, dout: Array, stride: int = 1, pad: int = 0, dilation: int = 1, to_input: bool = True
) -> ConvGradients:
    """Carry the gradient of `convolve`'s output back to its input and kernels, Eqs. (20.9) and (20.10).

    Parameters
    ----------
    X, W, stride, pad, dilation
        As they went into `convolve`.
    dout : ndarray of shape (N, F, H_out, W_out)
        Derivatives of the loss by the output.
    to_input : bool
        Whether ``dX`` is wanted; the first layer of a network needs none.

    Returns
    -------
    ConvGradients
        ``dX`` shaped as X, ``dW`` as W, ``db`` (F,).

    Raises
    ------
    TypeError, ValueError
        As `convolve`; or if `dout` isn't shaped as its output.

    Examples
    --------
    >>> X = np.array([[[[0.0, 1.0, 4.0, 9.0]]]])
    >>> convolve_backward(X, [[[[-1, 1]]]], np.array([[[[1.0, 0.0, 0.0]]]])).dX.tolist()
    [[[[-1.0, 1.0, 0.0, 0.0]]]]
    """
    X, W, dout = _batch(X), _kernels(X, W), _batch(dout, "dout")
    places = [output_size(n, k, stride, pad, dilation) for n, k in zip(X.shape[2:], W.shape[2:], strict=True)]
    if dout.shape != (len(X), len(W), *places):
        raise ValueError(f"dout must have the output's shape {(len(X), len(W), *places)}, got {dout.shape}")
    rows, above = W.reshape(len(W), -1), dout.reshape(len(X), len(W), -1)
    dX, dW = np.zeros(X.shape if to_input else (0,), X.dtype), np.zeros(rows.shape, X.dtype)
    for part, planes in _blocks(X, W, stride, pad, dilation):
        flat = planes.reshape(len(planes), rows.shape[1], -1)
        dW += np.matmul(above[part], flat.transpose(0, 2, 1)).sum(axis=0)
        if to_input:
            back = np.matmul(rows.T, above[part]).reshape(planes.shape)
            _fold(back, stride, pad, dilation, dX[part])
    return ConvGradients(dX, dW.reshape(W.shape), above.sum(axis=(0, 2)))


def _kernels(X: Array, W: ArrayLike) -> Array:
    W = np.ascontiguousarray(W, dtype=X.dtype)
    if W.ndim != 4 or W.size == 0:
        raise ValueError(f"kernels must have shape (F, C, rows, columns), got {W.shape}")
    if W.shape[1] != X.shape[1]:
        raise ValueError(f"kernels {W.shape} are {W.shape[1]} channels deep, the input {X.shape} has {X.shape[1]}")
    return W


# --- pooling ---------------------------------------------------------------------------------


@njit(**SERIAL)
def _max_of_four(X, out):
    """Windows of 2 × 2 side by side, the usual case: the same as `_max_pool`, in a loop that vectorises."""
    N, C, H, W = out.shape
    for n in range(N):
        for c in range(C):
            for y in range(H):
                up, low, row = X[n, c, 2 * y], X[n, c, 2 * y + 1], out[n, c, y]
                for x in range(W):
                    row[x] = max(max(up[2 * x], up[2 * x + 1]), max(low[2 * x], low[2 * x + 1]))


@njit(**SERIAL)
def _route_row(up, low, top, above, to_up, to_low):
    """The first of the four that equals the maximum takes the gradient: sums and products, so that the loop vectorises."""
    none = above.dtype.type(0)
    for x in range(len(top)):
        m, g = top[x], above[x]
        a = g if up[2 * x] == m else none
        b = g - a if up[2 * x + 1] == m else none
        c = g - a - b if low[2 * x] == m else none
        to_up[2 * x], to_up[2 * x + 1], to_low[2 * x], to_low[2 * x + 1] = a, b, c, g - a - b - c


@njit(**SERIAL)
def _route_to_four(X, out, dout, dX):
    N, C, H, _ = out.shape
    for n in range(N):
        for c in range(C):
            for y in range(H):
                up, low = X[n, c, 2 * y], X[n, c, 2 * y + 1]
                _route_row(up, low, out[n, c, y], dout[n, c, y], dX[n, c, 2 * y], dX[n, c, 2 * y + 1])


@njit(**SERIAL)
def _max_pool(X, size, stride, out):
    N, C, H, W = out.shape
    for n in range(N):
        for c in range(C):
            for y in range(H):
                for x in range(W):
                    best = X[n, c, stride * y, stride * x]
                    for i in range(size):
                        for j in range(size):
                            best = max(best, X[n, c, stride * y + i, stride * x + j])
                    out[n, c, y, x] = best


@njit(**SERIAL)
def _route_to_max(X, out, dout, size, stride, dX):
    """The first pixel of each window, row by row, that equals the maximum takes the gradient; windows may overlap."""
    N, C, H, W = out.shape
    for n in range(N):
        for c in range(C):
            for y in range(H):
                for x in range(W):
                    tap = 0
                    while (
                        tap < size * size - 1
                        and X[n, c, stride * y + tap // size, stride * x + tap % size] < out[n, c, y, x]
                    ):
                        tap += 1
                    dX[n, c, stride * y + tap // size, stride * x + tap % size] += dout[n, c, y, x]


def max_pool(X: Array, size: int = 2, stride: int | None = None) -> Array:
    """Keep the largest value of each window, for each map by itself.

    Parameters
    ----------
    X : ndarray of shape (N, C, H, W)
    size : int
        Side of the window, in pixels.
    stride : int, optional
        Step between windows; by default `size`: side by side.  Rows and columns left over at the end are dropped.

    Returns
    -------
    ndarray of shape (N, C, H_out, W_out)

    Raises
    ------
    TypeError, ValueError
        For another shape or type, or a window that doesn't fit.

    Examples
    --------
    >>> max_pool(np.arange(8.0).reshape(1, 1, 2, 4)).tolist()
    [[[[5.0, 7.0]]]]
    """
    X, stride = _batch(X), stride or size
    out = np.empty((*X.shape[:2], *(output_size(n, size, stride) for n in X.shape[2:])), X.dtype)
    if size == stride == 2:
        _max_of_four(X, out)
    else:
        _max_pool(X, size, stride, out)
    return out


def max_pool_backward(X: Array, out: Array, dout: Array, size: int = 2, stride: int | None = None) -> Array:
    """Route the gradient of `max_pool` to the pixel that was the largest, Eq. (20.12); in a tie to the first.

    Parameters
    ----------
    X, out : ndarray
        What went into `max_pool`, and what came out.
    dout : ndarray, shaped as out
        Derivatives of the loss by the output.
    size, stride : int
        As in `max_pool`.

    Returns
    -------
    dX : ndarray, shaped as X

    Raises
    ------
    TypeError, ValueError
        For shapes that don't belong together.

    Examples
    --------
    >>> X = np.array([[[[1.0, 7.0], [7.0, 0.0]]]])
    >>> max_pool_backward(X, max_pool(X), np.array([[[[5.0]]]])).tolist()
    [[[[0.0, 5.0], [0.0, 0.0]]]]
    """
    X, out, dout, stride = _batch(X), _batch(out, "out"), _batch(dout, "dout"), stride or size
    expected = (*X.shape[:2], *(output_size(n, size, stride) for n in X.shape[2:]))
    if out.shape != expected or dout.shape != expected:
        raise ValueError(f"out and dout must have shape {expected}, got {out.shape} and {dout.shape}")
    dX = np.zeros_like(X)
    if size == stride == 2:
        _route_to_four(X, out, np.ascontiguousarray(dout, X.dtype), dX)
    else:
        _route_to_max(X, out, np.ascontiguousarray(dout, X.dtype), size, stride, dX)
    return dX


# --- layers ----------------------------------------------------------------------------------


class Layer:
    """What all layers have: ``params`` and their ``grads``, ``state`` (numbers that are kept but not trained).

    ``build(shape, rng, dtype)`` makes the parameters for inputs of one example's shape and returns the shape of one
    output; ``forward(X, train)`` computes, ``backward(dout)`` returns the gradient by the input of the last forward.
    """

    def __init__(self) -> None:
        self.params: dict[str, Array] = {}
        self.grads: dict[str, Array] = {}
        self.state: dict[str, Array] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def build(self, shape: tuple[int, ...], rng: np.random.Generator, dtype: Any) -> tuple[int, ...]:
        """Make the parameters; return the shape of one output."""
        return shape

    def forward(self, X: Array, train: bool = False) -> Array:
        """Compute the output for a batch."""
        raise NotImplementedError

    def backward(self, dout: Array, to_input: bool = True) -> Array:
        """Set `grads`, and return the gradient by the input."""
        raise NotImplementedError

    def window(self) -> tuple[int, int]:
        """Give how far the layer reaches, in pixels of its input, and its stride: for the receptive field."""
        return 1, 1


def he_normal(shape: tuple[int, ...], fan_in: int, rng: Any, dtype: Any = np.float32) -> Array:
    """Draw weights of variance 2 / fan_in, Eq. (20.15): ReLU layers then keep the size of their signals.

    Parameters
    ----------
    shape : tuple of int
        Of the weights.
    fan_in : int
        How many numbers are added up for one output.
    rng : Generator or int

    References
    ----------
    .. [1] He, Zhang, Ren & Sun, Delving deep into rectifiers, 2015, doi:10.1109/ICCV.2015.123.

    Examples
    --------
    >>> he_normal((200, 300), 200, rng=0).std().round(2)
    np.float32(0.1)
    """
    if fan_in < 1:
        raise ValueError(f"fan_in must be at least 1, got {fan_in}")
    return (random_generator(rng).standard_normal(shape) * math.sqrt(2 / fan_in)).astype(dtype)


class Dense(Layer):
    """Fully connected: every output is a weighted sum of all inputs plus a bias, ``X W + b``, Eq. (20.3)."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs

    def __repr__(self) -> str:
        return f"Dense({self.outputs})"

    def build(self, shape: tuple[int, ...], rng: np.random.Generator, dtype: Any) -> tuple[int, ...]:
        """Make W (D, outputs) and b."""
        if len(shape) != 1:
            raise ValueError(f"takes vectors (D,), got maps of shape {shape}: put Flatten() before it")
        self.params = {"W": he_normal((*shape, self.outputs), *shape, rng, dtype), "b": np.zeros(self.outputs, dtype)}
        return (self.outputs,)

    def forward(self, X: Array, train: bool = False) -> Array:
        """Compute X W + b."""
        self.X = X
        return X @ self.params["W"] + self.params["b"]

    def backward(self, dout: Array, to_input: bool = True) -> Array:
        """Compute Eq. (20.4)."""
        self.grads = {"W": self.X.T @ dout, "b": dout.sum(axis=0)}
        return dout @ self.params["W"].T


class Conv(Layer):
    """A bank of kernels slid over all channels; see `convolve`.  `pad` is ``"same"`` or a number of zeros."""

    def __init__(
        self,
        kernels: int,
        size: int = 3,
        stride: int = 1,
        pad: int | str = "same",
        dilation: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.kernels, self.size, self.stride, self.dilation, self.bias = kernels, size, stride, dilation, bias
        self.pad = int(dilation * (size - 1) // 2 if pad == "same" else pad)

    def __repr__(self) -> str:
        extra = f", stride {self.stride}" * (self.stride != 1) + f", dilation {self.dilation}" * (self.dilation != 1)
        return f"Conv({self.kernels}, {self.size}×{self.size}, pad {self.pad}{extra})"

    def build(self, shape: tuple[int, ...], rng: np.random.Generator, dtype: Any) -> tuple[int, ...]:
        """Make W (kernels, C, size, size) and b."""
        if len(shape) != 3:
            raise ValueError(f"takes maps (C, H, W), got vectors of shape {shape}")
        places = [output_size(n, self.size, self.stride, self.pad, self.dilation) for n in shape[1:]]
        bank = (self.kernels, shape[0], self.size, self.size)
        self.params = {"W": he_normal(bank, math.prod(bank[1:]), rng, dtype)}
        if self.bias:
            self.params["b"] = np.zeros(self.kernels, dtype)
        return (self.kernels, *places)

    def forward(self, X: Array, train: bool = False) -> Array:
        """Correlate."""
        self.X = X
        return convolve(X, self.params["W"], self.params.get("b"), self.stride, self.pad, self.dilation)

    def backward(self, dout: Array, to_input: bool = True) -> Array:
        """Compute Eqs. (20.9) and (20.10)."""
        dX, dW, db = convolve_backward(self.X, self.params["W"], dout, self.stride, self.pad, self.dilation, to_input)
        self.grads = {"W": dW, "b": db} if self.bias else {"W": dW}
        return dX

    def window(self) -> tuple[int, int]:
        """Reach dilation (size - 1) + 1, and stride."""
        return self.dilation * (self.size - 1) + 1, self.stride


class ReLU(Layer):
    """max(0, x): the gradient passes where the input was above 0."""

    def forward(self, X: Array, train: bool = False) -> Array:
        """Cut at 0."""
        self.out = np.maximum(X, 0)
        return self.out

    def backward(self, dout: Array, to_input: bool = True) -> Array:
        """Pass where the output is above 0."""
        return dout * (self.out > 0)


class MaxPool(Layer):
    """The largest of each window; see `max_pool`."""

    def __init__(self, size: int = 2, stride: int | None = None) -> None:
        super().__init__()
        self.size, self.stride = size, stride or size

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.size}" + (f", stride {self.stride})" if self.stride != self.size else ")")

    def build(self, shape: tuple[int, ...], rng: np.random.Generator, dtype: Any) -> tuple[int, ...]:
        """Nothing to make."""
        if len(shape) != 3:
            raise ValueError(f"takes maps (C, H, W), got vectors of shape {shape}")
        return (shape[0], *(output_size(n, self.size, self.stride) for n in shape[1:]))

    def forward(self, X: Array, train: bool = False) -> Array:
        """Take the maxima."""
        self.X, self.out = X, max_pool(X, self.size, self.stride)
        return self.out

    def backward(self, dout: Array, to_input: bool = True) -> Array:
        """Compute Eq. (20.12)."""
        return max_pool_backward(self.X, self.out, dout, self.size, self.stride)

    def window(self) -> tuple[int, int]:
        """Reach and stride."""
        return self.size, self.stride


class AveragePool(MaxPool):
    """The mean of each window: a box filter, then subsampling; the gradient is shared out evenly."""

    def forward(self, X: Array, train: bool = False) -> Array:
        """Take the means."""
        self.X = X
        return unfold(X, (self.size, self.size), self.stride).mean(axis=(2, 3))

    def backward(self, dout: Array, to_input: bool = True) -> Array:
        """Give each pixel of a window its share."""
        share, dX = dout / self.size**2, np.zeros_like(self.X)
        planes = np.broadcast_to(share[:, :, None, None], (*dout.shape[:2], self.size, self.size, *dout.shape[2:]))
        _fold(np.ascontiguousarray(planes), self.stride, 0, 1, dX)
        return dX


class Flatten(Layer):
    """Maps (C, H, W) to vectors (C H W,)."""

    def build(self, shape: tuple[int, ...], rng: np.random.Generator, dtype: Any) -> tuple[int, ...]:
        """Nothing to make."""
        return (math.prod(shape),)

    def forward(self, X: Array, train: bool = False) -> Array:
        """Give each example one row."""
        self.shape = X.shape
        return X.reshape(len(X), -1)

    def backward(self, dout: Array, to_input: bool = True) -> Array:
        """Give it its shape again."""
        return dout.reshape(self.shape)


@njit(**SERIAL)
def _products(a, b, a0, b0):
    """Sum of (a - a0) (b - b0)."""
    total = a.dtype.type(0)
    for k in range(len(a)):
        total += (a[k] - a0) * (b[k] - b0)
    return total


@njit(**SERIAL)
def _total(a):
    total = a.dtype.type(0)
    for k in range(len(a)):
        total += a[k]
    return total


@njit(**SERIAL)
def _sums(X):
    """Sum of each channel of (N, C, P); rows are added up in double precision."""
    found = np.zeros(X.shape[1])
    for n in range(X.shape[0]):
        for c in range(X.shape[1]):
            found[c] += _total(X[n, c])
    return found


@njit(**SERIAL)
def _products_of(X, Y, x0, y0):
    """Sum of (X - x0) (Y - y0) for each channel."""
    found = np.zeros(X.shape[1])
    for n in range(X.shape[0]):
        for c in range(X.shape[1]):
            found[c] += _products(X[n, c], Y[n, c], x0[c], y0[c])
    return found


@njit(**SERIAL)
def _combine(X, Y, a, b, c, out):
    """Write a X + b Y + c, with a number of each for every channel."""
    for n in range(X.shape[0]):
        for k in range(X.shape[1]):
            x, y, to = X[n, k], Y[n, k], out[n, k]
            p, q, r = a[k], b[k], c[k]
            for i in range(len(to)):
                to[i] = p * x[i] + q * y[i] + r


class BatchNorm(Layer):
    """Give each channel mean 0 and variance 1 over the batch, then a scale and a shift that are learned, Eq. (20.16).

    In training the batch's own mean and variance are used, and a running average of them is kept; afterwards that
    average is, so that one image's result does not depend on its neighbours.
    """

    def __init__(self, momentum: float = 0.9, eps: float = 1e-5) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must lie in [0, 1), got {momentum}")
        self.momentum, self.eps = momentum, eps

    def build(self, shape: tuple[int, ...], rng: np.random.Generator, dtype: Any) -> tuple[int, ...]:
        """Make gamma and beta, one for each channel, and the running mean and variance."""
        self.params = {"gamma": np.ones(shape[0], dtype), "beta": np.zeros(shape[0], dtype)}
        self.state = {"mean": np.zeros(shape[0], dtype), "variance": np.ones(shape[0], dtype)}
        return shape

    def forward(self, X: Array, train: bool = False) -> Array:
        """Normalise by the batch, or after training by the running averages."""
        rows, kind, self.train = np.ascontiguousarray(X).reshape(*X.shape[:2], -1), X.dtype, train
        mean, variance = self.state["mean"], self.state["variance"]
        if train:
            mean = (_sums(rows) / (X.size // X.shape[1])).astype(kind)
            variance = (_products_of(rows, rows, mean, mean) / (X.size // X.shape[1])).astype(kind)
            for name, value in (("mean", mean), ("variance", variance)):
                self.state[name] = self.momentum * self.state[name] + (1 - self.momentum) * value
        self.rows, self.mean, self.scale = rows, mean, 1 / np.sqrt(variance + self.eps)
        a, none = self.params["gamma"] * self.scale, np.zeros_like(mean)
        out = np.empty_like(rows)
        _combine(rows, rows, a, none, self.params["beta"] - a * mean, out)
        return out.reshape(X.shape)

    def backward(self, dout: Array, to_input: bool = True) -> Array:
        """Compute Eq. (20.17): mean and variance depend on every example of the batch."""
        above = np.ascontiguousarray(dout).reshape(self.rows.shape)
        kind, none = dout.dtype, np.zeros_like(self.mean)
        beta = _sums(above).astype(kind)
        gamma = (_products_of(self.rows, above, self.mean, none) * self.scale).astype(kind)
        self.grads = {"gamma": gamma, "beta": beta}
        factor, dX = self.params["gamma"] * self.scale, np.empty_like(above)
        count = dout.size // dout.shape[1] if self.train else math.inf  # no share through the mean after training
        slope = -factor * gamma * self.scale / count
        _combine(above, self.rows, factor, slope, -factor * beta / count - slope * self.mean, dX)
        return dX.reshape(dout.shape)


class Dropout(Layer):
    """In training set each number to 0 with probability p and divide the others by 1 - p, Eq. (20.18); else do nothing."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"the probability p must lie in [0, 1), got {p}")
        self.p = p

    def __repr__(self) -> str:
        return f"Dropout({self.p:g})"

    def build(self, shape: tuple[int, ...], rng: np.random.Generator, dtype: Any) -> tuple[int, ...]:
        """Take a stream of random numbers of its own."""
        self.rng = rng.spawn(1)[0]
        return shape

    def forward(self, X: Array, train: bool = False) -> Array:
        """Drop in training only."""
        keep = self.rng.random(X.shape) >= self.p if train else np.True_
        self.mask = (keep / (1 - self.p if train else 1)).astype(X.dtype)
        return X * self.mask

    def backward(self, dout: Array, to_input: bool = True) -> Array:
        """Drop the same."""
        return dout * self.mask


# --- a network -------------------------------------------------------------------------------


class Network:
    """Layers one after another, checked against each other when they are put together.

    Parameters
    ----------
    layers : sequence of Layer
        In the order of the forward pass.
    in_shape : tuple of int
        Of one example: (C, H, W) for maps, (D,) for vectors.
    rng : Generator or int
        Draws the start weights, and what Dropout drops.
    dtype : float32 or float64
        Of everything inside.

    Raises
    ------
    ValueError
        If a layer cannot take what the one before gives; the message names the layer and the shapes.

    Examples
    --------
    >>> network = Network([Conv(8), ReLU(), MaxPool(), Flatten(), Dense(10)], (1, 8, 8), rng=0)
    >>> network.forward(np.zeros((5, 1, 8, 8))).shape
    (5, 10)
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        in_shape: tuple[int, ...],
        rng: np.random.Generator | int,
        dtype: Any = np.float32,
    ) -> None:
        if not layers:
            raise ValueError("a network needs at least one layer")
        self.layers, self.shapes, self.dtype = list(layers), [tuple(in_shape)], np.dtype(dtype)
        rng = random_generator(rng)
        for k, layer in enumerate(self.layers):
            try:
                self.shapes.append(layer.build(self.shapes[-1], rng, self.dtype))
            except ValueError as problem:
                raise ValueError(f"layer {k}, {layer!r}, after {self.shapes[-1]}: {problem}") from None

    def __repr__(self) -> str:
        return f"Network of {len(self.layers)} layers, {self.shapes[0]} to {self.shapes[-1]}, {self.size} parameters"

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(p.size for layer in self.layers for p in layer.params.values())

    def forward(self, X: ArrayLike, train: bool = False) -> Array:
        """Compute the scores of a batch; `train` is for dropout and batch normalisation."""
        X = np.asarray(X)
        if X.dtype.kind != "f":
            raise TypeError(f"the input must be floating point, got {X.dtype}")
        if X.shape[1:] != self.shapes[0] or len(X) == 0:
            raise ValueError(
                f"layer 0, {self.layers[0]!r}, was built for examples of shape {self.shapes[0]}, "
                f"got {len(X) if X.ndim else 0} of shape {X.shape[1:]}"
            )
        X = np.ascontiguousarray(X, dtype=self.dtype)
        for layer in self.layers:
            X = layer.forward(X, train)
        return X

    def backward(self, dscores: Array, to_input: bool = False) -> Array | None:
        """Fill the layers' ``grads`` from the gradient of the last forward's scores; give that of its input if asked."""
        if dscores.shape[1:] != self.shapes[-1]:
            name = f"layer {len(self.layers) - 1}, {self.layers[-1]!r}"
            raise ValueError(f"{name} gives {self.shapes[-1]}, its gradient came with shape {dscores.shape[1:]}")
        dout = np.ascontiguousarray(dscores, dtype=self.dtype)
        for k in reversed(range(len(self.layers))):
            dout = self.layers[k].backward(dout, to_input or k > 0)
        return dout if to_input else None

    def scores(self, X: ArrayLike, batch: int = 256) -> Array:
        """Compute the scores of any number of examples, as after training, some at a time."""
        X = np.asarray(X)
        if len(X) == 0:
            return self.forward(X)
        return np.concatenate([self.forward(X[k : k + batch]) for k in range(0, len(X), batch)])

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Give the class with the largest score for each example."""
        return np.argmax(self.scores(X), axis=1)

    def accuracy(self, X: ArrayLike, y: ArrayLike) -> float:
        """Give the share of examples whose class is right."""
        return float(np.mean(self.predict(X) == as_labels(y, len(np.asarray(X)), self.shapes[-1][0])))

    def arrays(self) -> dict[str, Array]:
        """List all that a trained network consists of, by name: ``"0.W"`` is W of the first layer."""
        return {
            f"{k}.{name}": value
            for k, layer in enumerate(self.layers)
            for name, value in {**layer.params, **layer.state}.items()
        }

    def save(self, path: str | Path) -> None:
        """Store `arrays` in an ``.npz`` file."""
        np.savez_compressed(path, allow_pickle=False, **self.arrays())

    def load(self, path: str | Path) -> None:
        """Read what `save` stored into this network; nothing is changed if it doesn't fit."""
        with np.load(path, allow_pickle=False) as stored:
            found = dict(stored)
        for name, value in self.arrays().items():
            k = int(name.split(".")[0])
            if name not in found or found[name].shape != value.shape:
                what = f"has shape {found[name].shape}" if name in found else "is missing"
                raise ValueError(f"layer {k}, {self.layers[k]!r}: {name} of {value.shape} {what} in {Path(path).name}")
        if more := sorted(set(found) - set(self.arrays())):
            raise ValueError(f"{Path(path).name} holds {', '.join(more)}, for which this network has no layer")
        for k, layer in enumerate(self.layers):
            for kept in (layer.params, layer.state):
                kept.update({name: found[f"{k}.{name}"].astype(self.dtype) for name in kept})


class Row(NamedTuple):
    """One layer of a `summary`; multiplications, and field and step in pixels of the input, are for one example."""

    layer: str
    shape: tuple[int, ...]
    parameters: int
    multiplications: int
    field: int
    step: int


def summary(network: Network) -> list[Row]:
    """List for every layer: output shape, parameters, multiplications, receptive field and step, Eqs. (20.11) and (20.13).

    The field of a layer after `Flatten` is the last that was known: `Dense` sees all.

    Examples
    --------
    >>> summary(Network([Conv(8), ReLU(), MaxPool()], (1, 8, 8), rng=0))[-1]
    Row(layer='MaxPool(2)', shape=(8, 4, 4), parameters=0, multiplications=0, field=4, step=2)
    """
    rows, field, step = [], 1, 1
    for layer, shape in zip(network.layers, network.shapes[1:], strict=True):
        reach, stride = layer.window()
        field, step = field + (reach - 1) * step, step * stride
        W = layer.params.get("W")
        work = 0 if W is None else W.size * (math.prod(shape[1:]) if W.ndim == 4 else 1)
        rows.append(Row(repr(layer), shape, sum(p.size for p in layer.params.values()), work, field, step))
    return rows


def receptive_field(windows: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Find how many input pixels, along one axis, one output sees, and how far apart outputs look, Eq. (20.13).

    Parameters
    ----------
    windows : sequence of (reach, stride)
        Of each layer in turn; with dilation the reach is ``dilation (size - 1) + 1``.

    Returns
    -------
    (field, step) : int, int

    Raises
    ------
    ValueError
        For a reach or stride below 1.

    Examples
    --------
    >>> receptive_field([(3, 1), (2, 2), (3, 1), (2, 2)])
    (10, 4)
    """
    field, step = 1, 1
    for reach, stride in windows:
        if reach < 1 or stride < 1:
            raise ValueError(f"reach and stride must be >= 1, got {reach} and {stride}")
        field, step = field + (reach - 1) * step, step * stride
    return field, step


# --- descending ------------------------------------------------------------------------------


class Optimizer:
    """Move all parameters of a network by a step rule of lecture 19, each with a memory of its own.

    Parameters
    ----------
    rule : str
        One of `classification.STEPS`: ``"plain"``, ``"momentum"`` (Eq. (20.19)), ``"adam"`` (Eq. (20.20)), ….
    rate : float
        Learning rate, > 0; it may be changed between steps.
    decay : float
        Each step also shrinks the weights, not the biases, by the factor 1 - rate · decay.

    Raises
    ------
    ValueError
        For an unknown rule, a rate <= 0, decay < 0.

    Examples
    --------
    >>> network = Network([Dense(1)], (2,), rng=0)
    >>> network.layers[0].grads = {"W": np.array([[1.0], [-300.0]]), "b": np.zeros(1)}
    >>> before = network.layers[0].params["W"]
    >>> Optimizer("adam", rate=0.1).step(network)
    >>> (network.layers[0].params["W"] - before).round(6).ravel().tolist()
    [-0.1, 0.1]
    """

    def __init__(self, rule: str = "momentum", rate: float = 0.01, decay: float = 0.0) -> None:
        if rule not in STEPS:
            raise ValueError(f"rule is one of {', '.join(STEPS)}; got {rule!r}")
        if not 0 < rate < math.inf:
            raise ValueError(f"the rate must be > 0, got {rate}")
        if not 0 <= decay < math.inf:
            raise ValueError(f"decay must be >= 0, got {decay}")
        self.rule, self.rate, self.decay = rule, rate, decay
        self.memory: dict[tuple[int, str], Memory] = {}

    def step(self, network: "Network") -> None:
        """Make one step with the gradients that `backward` left."""
        rate = float(self.rate)  # a NumPy float64 would turn float32 weights into float64
        for k, layer in enumerate(network.layers):
            for name, p in layer.params.items():
                kept = p * (1 - rate * self.decay) if name == "W" and self.decay else p
                memory = self.memory.setdefault((k, name), {})
                layer.params[name] = STEPS[self.rule](kept, layer.grads[name], memory, rate)


class Step(NamedTuple):
    """Where a training stands after a step: its number and how many there will be, epoch, loss and accuracy of the batch."""

    step: int
    steps: int
    epoch: int
    loss: float
    accuracy: float


def train(
    network: Network,
    optimizer: Optimizer,
    X: Array,
    y: ArrayLike,
    epochs: int,
    rng: np.random.Generator | int,
    batch: int = 64,
    augment: Callable[[Array, np.random.Generator], Array] | None = None,
) -> Iterator[Step]:
    """Train a network by softmax cross-entropy; one step is made whenever the caller asks for the next.

    ``for step in train(...)`` leaves the loop's body to the caller: draw a curve, change ``optimizer.rate``, stop.

    Parameters
    ----------
    network, optimizer
        The network is changed.
    X : ndarray of shape (N, …)
        Examples, shaped as the network wants them.
    y : array of shape (N,), int
        Classes, 0 … C - 1.
    epochs, batch : int
        Passes over all examples, in a new order each; examples in a step.
    rng : Generator or int
        Draws the orders, and is handed to `augment`.
    augment : callable, optional
        ``augment(X_batch, rng)`` returns a changed copy of a batch.

    Yields
    ------
    Step

    Raises
    ------
    TypeError, ValueError
        For shapes that disagree, labels out of range, inputs that aren't finite; at once, not at the first step.
    FloatingPointError
        If the scores turn NaN or infinite: it names the step, the layer, and what to do.

    Examples
    --------
    >>> network = Network([Dense(2)], (1,), rng=0)
    >>> X, y = np.array([[-1.0], [1.0]]), [0, 1]
    >>> steps = list(train(network, Optimizer("plain", 1.0), X, y, epochs=50, rng=0))
    >>> steps[-1].loss < 0.1
    True
    """
    X, rng = np.ascontiguousarray(X, dtype=network.dtype), random_generator(rng)
    y = as_labels(y, len(X), network.shapes[-1][0])
    if epochs < 1 or batch < 1:
        raise ValueError(f"epochs and batch must be at least 1, got {epochs} and {batch}")
    if not np.isfinite(X).all():
        raise ValueError("X holds NaN or infinity")
    network.forward(X[:1])  # a wrong shape is told before the first step
    return _steps(network, optimizer, X, y, epochs, rng, batch, augment)


def _steps(
    network: Network,
    optimizer: Optimizer,
    X: Array,
    y: NDArray[np.int64],
    epochs: int,
    rng: np.random.Generator,
    batch: int,
    augment: Callable[[Array, np.random.Generator], Array] | None,
) -> Iterator[Step]:
    steps = epochs * math.ceil(len(X) / batch)
    done = 0
    for epoch in range(epochs):
        order = rng.permutation(len(X))
        for start in range(0, len(X), batch):
            chosen = order[start : start + batch]
            few, done = X[chosen], done + 1
            with np.errstate(over="ignore", invalid="ignore"):
                few = few if augment is None else augment(few, rng)
                scores = network.forward(few, train=True)
                if not np.isfinite(scores).all():
                    raise FloatingPointError(_blame(network, few, optimizer, done, epoch))
                loss, dscores = softmax_loss(scores, y[chosen])
                network.backward(dscores)
                optimizer.step(network)
            right = float(np.mean(np.argmax(scores, axis=1) == y[chosen]))
            yield Step(done, steps, epoch, loss, right)


def _blame(network: Network, X: Array, optimizer: Optimizer, step: int, epoch: int) -> str:
    """Find the first layer whose output is not finite, and say what may help."""
    for k, layer in enumerate(network.layers):
        X = layer.forward(X, True)
        if not np.isfinite(X).all():
            where = f"layer {k}, {layer!r}"
            break
    return (
        f"the scores are NaN or infinite at step {step} (epoch {epoch}), first after {where}: the weights have run away. "
        f"Lower the rate ({optimizer.rate:g}) by ten, or check that the inputs are scaled to about 1"
    )
