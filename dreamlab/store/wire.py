"""Messages over a Unix socket: a JSON object and named bytes, without pickle."""

from __future__ import annotations

import json
import select
import socket
import struct
from typing import Any

LARGEST_HEADER = 2**20
LARGEST_BLOB = 2**28
_LENGTH = struct.Struct("!I")


class WireError(ConnectionError):
    """The other side has closed the connection, or sends something else."""


def send(connection: socket.socket, message: dict[str, Any]) -> None:
    """Sends a dict: values that are bytes are sent unchanged, all others as JSON. Raises OSError if
    the other side is gone."""
    blobs = {name: value for name, value in message.items() if isinstance(value, bytes)}
    rest = {name: value for name, value in message.items() if name not in blobs}
    header = json.dumps(
        {"values": rest, "blobs": [[n, len(b)] for n, b in blobs.items()]}, allow_nan=False
    ).encode()
    connection.sendall(_LENGTH.pack(len(header)) + header + b"".join(blobs.values()))


def receive(connection: socket.socket) -> dict[str, Any] | None:
    """The next message; None if the other side has closed the connection between messages. Raises
    WireError if a message is incomplete or malformed."""
    first = _take(connection, _LENGTH.size, start=True)
    if first is None:
        return None
    (length,) = _LENGTH.unpack(first)
    if length > LARGEST_HEADER:
        raise WireError(f"a header of {length} bytes")
    try:
        header = json.loads(_take(connection, length) or b"")
        message: dict[str, Any] = dict(header["values"])
        blobs = [(str(name), int(size)) for name, size in header["blobs"]]
    except (ValueError, KeyError, TypeError) as error:
        raise WireError(f"a header that cannot be read: {error}") from None
    for name, size in blobs:
        if not 0 <= size <= LARGEST_BLOB:
            raise WireError(f"{name} of {size} bytes")
        message[name] = _take(connection, size)
    return message


def hung_up(connection: socket.socket) -> bool:
    """Whether the other side has closed the connection."""
    readable, _, _ = select.select(
        [connection], [], [], 0
    )  # recv alone would wait until the timeout of the socket
    try:
        return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


def _take(connection: socket.socket, count: int, start: bool = False) -> bytes | None:
    parts, missing = [], count
    while missing:
        part = connection.recv(min(missing, 2**20))
        if not part:
            if start and missing == count:
                return None
            raise WireError("the connection ended within a message")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
