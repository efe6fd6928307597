"""
`/docs`: Swagger UI on the document, from files of this machine alone.
"""

from importlib import resources

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import FileResponse, HTMLResponse

_STATIC = resources.files("fastapi_offline") / "static"
# Holds a browser to this host, should a version of Swagger UI ask another.
_POLICY = "default-src 'self' data: 'unsafe-inline'"


def router(title: str) -> APIRouter:
    """
    The page and its two files; it names them relatively, so that a proxy's prefix changes nothing.
    """
    routes = APIRouter()

    @routes.get("/docs")
    async def page() -> HTMLResponse:
        answer = get_swagger_ui_html(
            openapi_url="openapi.json",
            title=title,
            swagger_js_url="docs/swagger-ui-bundle.js",
            swagger_css_url="docs/swagger-ui.css",
            swagger_favicon_url="data:,",
            swagger_ui_parameters={"validatorUrl": None, "tryItOutEnabled": True},
        )
        answer.headers["content-security-policy"] = _POLICY
        return answer

    @routes.get("/docs/swagger-ui-bundle.js", include_in_schema=False)
    async def script() -> FileResponse:
        return FileResponse(str(_STATIC / "swagger-ui-bundle.js"))

    @routes.get("/docs/swagger-ui.css", include_in_schema=False)
    async def style() -> FileResponse:
        return FileResponse(str(_STATIC / "swagger-ui.css"))

    return routes
