"""Swagger UI and ReDoc, served locally: the pages load nothing from other hosts."""

from fastapi import FastAPI
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

OPENAPI_URL = "/openapi.json"
_ASSETS = "/docs/assets"
DOCS_URL = "/docs"


def add_docs(app: FastAPI) -> None:
    """Serve `/docs` and `/redoc`, and redirect common addresses to `/docs`."""
    app.mount(_ASSETS, StaticFiles(packages=[("fastapi_offline", "static")]), name="docs assets")
    favicon = f"{_ASSETS}/favicon.png"

    @app.get(DOCS_URL, include_in_schema=False)
    async def swagger() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=OPENAPI_URL,
            title=app.title,
            swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{_ASSETS}/swagger-ui.css",
            swagger_favicon_url=favicon,
            swagger_ui_parameters={"persistAuthorization": True, "tryItOutEnabled": True},
        )

    @app.get("/", include_in_schema=False)
    @app.get("/api/docs", include_in_schema=False)
    @app.get("/api/v1/docs", include_in_schema=False)
    async def redirect_to_docs() -> RedirectResponse:
        return RedirectResponse(DOCS_URL)

    @app.get("/redoc", include_in_schema=False)
    async def redoc() -> HTMLResponse:
        return get_redoc_html(
            openapi_url=OPENAPI_URL,
            title=app.title,
            redoc_js_url=f"{_ASSETS}/redoc.standalone.js",
            redoc_favicon_url=favicon,
            with_google_fonts=False,
        )
