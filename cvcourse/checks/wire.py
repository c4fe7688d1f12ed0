"""Plain data as JSON types: what may pass between a student's code and a check; never pickle."""

import base64
from typing import Any

import numpy as np


def encode(value: Any) -> Any:
    """Turn a value into JSON types.

    Raises
    ------
    TypeError
        For anything but numbers, text, None, numeric arrays, and lists, tuples and dicts of these.
        Subclasses don't count: an object that pretends to equal everything is no data.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return {"a": [value.dtype.str, [], base64.b64encode(value.tobytes()).decode()]}
    if type(value) is complex:
        return {"c": [value.real, value.imag]}
    if type(value) is np.ndarray and value.dtype.kind in "biufc":
        return {"a": [value.dtype.str, list(value.shape), base64.b64encode(value.tobytes()).decode()]}
    if type(value) is list:
        return [encode(item) for item in value]
    if isinstance(value, tuple):  # a NamedTuple arrives as a plain tuple
        return {"t": [encode(item) for item in value]}
    if type(value) is dict:
        return {"d": [[encode(key), encode(item)] for key, item in value.items()]}
    what = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
    raise TypeError(f"{what} cannot be checked; return a number, text, a list or an array of numbers")


def decode(data: Any) -> Any:
    """Turn JSON types back into values; arrays are fresh copies.

    Raises
    ------
    ValueError
        If `data` is not what `encode` makes.
    """
    if isinstance(data, list):
        return [decode(item) for item in data]
    if not isinstance(data, dict):
        return data
    if len(data) != 1:
        raise ValueError("not a message of encode()")
    ((tag, content),) = data.items()
    if tag == "a":
        dtype, shape, raw = content
        dtype = np.dtype(str(dtype))
        if dtype.kind not in "biufc":
            raise ValueError(f"an array of {dtype} is not plain data")
        array = np.frombuffer(base64.b64decode(raw), dtype).reshape([int(n) for n in shape]).copy()
        return array if shape else array[()]
    if tag == "t":
        return tuple(decode(item) for item in content)
    if tag == "d":
        return {decode(key): decode(item) for key, item in content}
    if tag == "c":
        return complex(*content)
    raise ValueError(f"unknown tag {tag!r}")
