"""The routes by which a browser sends files: `POST /upload` begins an upload, `POST /upload/NAME`
sends a part, `DELETE /upload/NAME` gives it up. They answer with JSON: the name, or `error` with a
sentence and the status 400."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from dreamlab.service import Refused
from dreamlab.service.places import Places
from dreamlab.store.uploads import UploadError

GATHERED = 2**20
"""Bytes that are gathered in memory before they are written."""


def add_routes(api: FastAPI, places: Places) -> None:
    """Adds the routes to the application."""

    @api.post("/upload")
    async def begin(request: Request) -> JSONResponse:
        try:
            asked = await request.json()
            name = await run_in_threadpool(places.begin, int(asked["bytes"]), int(asked["files"]))
        except (ValueError, KeyError, TypeError) as error:
            return _refused(error)
        return JSONResponse({"name": name})

    @api.post("/upload/{name}")
    async def part(name: str, request: Request) -> JSONResponse:
        try:
            await _received(places.receive(name), request)
        except (UploadError, OSError, Refused) as error:
            return _refused(error)
        return JSONResponse({"name": name})

    @api.delete("/upload/{name}")
    async def give_up(name: str) -> JSONResponse:
        await run_in_threadpool(places.uploads.remove, name)
        return JSONResponse({"name": name})


async def _received(receiver: Any, request: Request) -> None:
    gathered, complete = bytearray(), False
    try:
        async for data in request.stream():
            gathered += data
            if len(gathered) >= GATHERED:
                await run_in_threadpool(receiver.feed, bytes(gathered))
                gathered.clear()
        await run_in_threadpool(receiver.feed, bytes(gathered))
        complete = True
    except ClientDisconnect:
        raise UploadError("The connection ended before the files were complete.") from None
    finally:
        receiver.close(complete)


def _refused(error: Exception) -> JSONResponse:
    if isinstance(error, OSError):
        sentence = f"The files cannot be written on the server ({error.strerror or error})."
    elif isinstance(error, (UploadError, Refused)):
        sentence = str(error)
    else:
        sentence = "The request cannot be read."
    return JSONResponse({"error": sentence}, status_code=400)
