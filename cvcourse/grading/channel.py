"""Messages between the grader and a sandboxed worker: a length, then that many bytes of JSON."""

import json
import struct
from collections.abc import Callable
from typing import Any

MAX_REPLY = 32 << 20
HEAD = struct.Struct(">I")


def pack(message: Any) -> bytes:
    """Turn a message into bytes."""
    body = json.dumps(message).encode()
    return HEAD.pack(len(body)) + body


def unpack(read: Callable[[int], bytes], limit: int) -> Any:
    """Read one message; ``read(n)`` gives n bytes, fewer only at the end.

    Raises
    ------
    EOFError
        If the other side has ended.
    ValueError
        If the message is too large or no JSON.
    """
    head = read(HEAD.size)
    if len(head) < HEAD.size:
        raise EOFError("the other side has ended")
    (size,) = HEAD.unpack(head)
    if size > limit:
        raise ValueError(f"the result is too large ({size >> 20} MB; {limit >> 20} MB are allowed)")
    body = read(size)
    if len(body) < size:
        raise EOFError("the other side ended in the middle of a message")
    return json.loads(body)
