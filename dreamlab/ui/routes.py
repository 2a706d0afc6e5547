"""The web application: the dashboard, its assets, pictures of runs, downloads and uploads."""

from __future__ import annotations

import shutil
from typing import Any

import gradio as gr
from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.background import BackgroundTask

from dreamlab.paths import ASSETS
from dreamlab.service import Refused, Service
from dreamlab.ui import shell, upload_routes
from dreamlab.ui.theme import gradio_theme

LOOK = ("app.js", "picker.js", "app.css", "tokens.css")
KEPT = {
    "cache-control": "private, max-age=31536000, immutable",
    "x-content-type-options": "nosniff",
}
"""Headers of pictures whose address changes with them."""


def web(service: Service) -> Any:
    """A FastAPI application with the dashboard mounted at `/`."""
    api = FastAPI(title="DreamLab", docs_url=None, redoc_url=None, openapi_url=None)

    @api.get("/media/{run}/{path:path}")
    def media(run: str, path: str) -> FileResponse:
        """A PNG file of a run; 404 with one sentence if there is none."""
        try:
            file = service.media(run, path)
        except Refused as error:
            raise HTTPException(404, str(error)) from None
        return FileResponse(file, media_type="image/png", headers=KEPT)

    @api.get("/sets/{name}.png")
    def small_picture(name: str) -> Response:
        """The small picture of a data set; 404 with one sentence if there is none."""
        try:
            png = service.small_picture(name)
        except Refused as error:
            raise HTTPException(404, str(error)) from None
        return Response(png, media_type="image/png", headers=KEPT)

    @api.get("/export/{run}")
    def export(run: str, format: str = "zip", arm: str = "", seed: int = 0) -> FileResponse:
        try:
            file = service.download(run, format, arm=arm, seed=seed)
        except Refused as error:
            raise HTTPException(404, str(error)) from None
        gone = BackgroundTask(shutil.rmtree, file.parent, ignore_errors=True)
        return FileResponse(
            file, filename=file.name, background=gone, headers={"cache-control": "no-store"}
        )

    upload_routes.add_routes(api, service.places)
    api.mount("/look/fonts", StaticFiles(directory=ASSETS / "fonts"))

    @api.get("/look/{name}")
    def asset(name: str) -> FileResponse:
        if name not in LOOK:
            raise HTTPException(404, "There is no such file.")
        return FileResponse(ASSETS / name, headers={"cache-control": "no-cache"})

    return gr.mount_gradio_app(
        api,
        shell.build(service),
        path="/",
        theme=gradio_theme(),
        css=shell.css(),
        head=shell.head(),
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        show_error=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        allowed_paths=[],
    )
