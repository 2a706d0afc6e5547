"""Which requests the dashboard answers: it checks the token, the host name and the origin."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import urllib.parse
from typing import Any

COOKIE = "dreamlab"
READING = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing."""
FOREIGN = "This request comes from another site; only pages of this address may change things."


def loopback(host: str) -> bool:
    """Whether the address can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """ASGI middleware around every route.

    With a token, a visitor gives it once in the address; it is then kept as a cookie. Without a
    token, only requests whose Host header names this machine are answered. This prevents DNS
    rebinding. In both cases, requests that change something, uploads and websockets are refused if
    they come from a page of another origin (cross-site request forgery).
    """

    def __init__(self, app: Any, token: str):
        self.app, self.token = app, token
        self.cookie = (
            hmac.new(token.encode(), b"dreamlab page", hashlib.sha256).hexdigest() if token else ""
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return None
        headers = {
            k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope.get("headers", [])
        }
        if not self.token and not loopback(_host(headers)):
            return await _answer(send, scope, 403, "This page can only be used on this machine.")
        if _is_foreign(scope, headers):
            return await _answer(send, scope, 403, FOREIGN)
        if not self.token or self._knows(headers):
            await self.app(scope, receive, send)
            return None
        query = urllib.parse.parse_qs(scope.get("query_string", b"").decode("latin-1"))
        given = query.pop("token", [""])[0]
        if scope["type"] == "http" and _same(given, self.token):
            rest = urllib.parse.urlencode(query, doseq=True)
            cookie = f"{COOKIE}={self.cookie}; HttpOnly; SameSite=Strict; Path=/; Max-Age=2592000"
            location = scope["path"] + (f"?{rest}" if rest else "")
            return await _answer(
                send, scope, 303, "", [("location", location), ("set-cookie", cookie)]
            )
        return await _answer(
            send, scope, 401, "This page needs a token: open the address with ?token=... once."
        )

    def _knows(self, headers: dict[str, str]) -> bool:
        pairs = (p.partition("=") for p in headers.get("cookie", "").split(";"))
        kept = {name.strip(): value for name, _, value in pairs}.get(COOKIE, "")
        return _same(kept, self.cookie)


def _same(given: str, wanted: str) -> bool:
    return bool(given) and hmac.compare_digest(given.encode(), wanted.encode())


def _host(headers: dict[str, str]) -> str:
    """The name in the Host header without the port; empty if there is none."""
    try:
        return urllib.parse.urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def _is_foreign(scope: Any, headers: dict[str, str]) -> bool:
    """Whether a page of another origin requests a change. Browsers send the header Origin with
    every such request; other programs send none."""
    if scope["type"] == "http" and scope.get("method", "GET") in READING:
        return False
    origin = headers.get("origin")
    if origin is None:
        return False
    # the scheme is not compared, because a proxy may use https where this server uses http
    return origin.partition("://")[2].lower() != headers.get("host", "").lower()


async def _answer(
    send: Any, scope: Any, status: int, text: str, headers: list[tuple[str, str]] | None = None
) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4000 + status})
        return
    pairs = [
        ("content-type", "text/plain; charset=utf-8"),
        ("cache-control", "no-store"),
        *(headers or []),
    ]
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in pairs],
        }
    )
    await send({"type": "http.response.body", "body": text.encode()})
