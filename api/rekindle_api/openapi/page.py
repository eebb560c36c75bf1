"""The page that shows the OpenAPI document, from files that are installed here: it asks no other host for anything."""

from importlib.resources import files

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

router = APIRouter(prefix="/docs", include_in_schema=False)

_CACHED = {"Cache-Control": "public, max-age=86400"}
# Swagger UI sets style attributes, and its icons are data: addresses.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Rekindle API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  docExpansion: "none",
  validatorUrl: null,
});
"""
_ASSETS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}


@router.get("")
async def page() -> HTMLResponse:
    """Show the API."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@router.get("/start.js")
async def start() -> Response:
    """Return the script that begins."""
    return Response(_START, media_type="text/javascript", headers=_CACHED)


@router.get("/{name}")
def asset(name: str) -> Response:
    """Return a file of Swagger UI."""
    if name not in _ASSETS:
        raise HTTPException(404)
    content = (files("fastapi_offline") / "static" / name).read_bytes()
    return Response(content, media_type=_ASSETS[name], headers=_CACHED)
