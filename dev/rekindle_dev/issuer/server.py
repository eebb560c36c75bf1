"""The HTTP face of the issuer: the paths, shapes and error codes of Supabase Auth."""

import hmac
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import jwt
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rekindle_dev.issuer.accounts import AccountError, Accounts, SignedIn
from rekindle_dev.issuer.tokens import ALGORITHM, LIFETIME_SECONDS, KeyRing, claims

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Issuer:
    """What the endpoints work on."""

    url: str
    keys: KeyRing
    accounts: Accounts
    publishable_key: str
    secret_key: str

    @property
    def name(self) -> str:
        """The `iss` of every token."""
        return f"{self.url}/auth/v1"

    def session(self, signed_in: SignedIn) -> dict[str, Any]:
        """Return a session with a fresh access token."""
        user, now = signed_in.user, int(time.time())
        content = claims(self.name, user.id, user.email, signed_in.session_id, now)
        return {
            "access_token": self.keys.newest().sign({**content, "user_metadata": user.metadata}),
            "token_type": "bearer",
            "expires_in": LIFETIME_SECONDS,
            "expires_at": now + LIFETIME_SECONDS,
            "refresh_token": signed_in.refresh_token,
            "user": user.wire(),
        }

    def verify(self, token: str) -> dict[str, Any]:
        """Return the claims of one of our access tokens whose session is still open.

        Raises:
            AccountError: if it is not one.
        """
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
            key = next(key for key in self.keys.load() if key.key_id == key_id)
            content: dict[str, Any] = jwt.decode(
                token, key.private.public_key(), [ALGORITHM], audience="authenticated", issuer=self.name
            )
        except (jwt.InvalidTokenError, StopIteration):
            raise AccountError(403, "bad_jwt", "invalid JWT: unable to parse or verify signature") from None
        if not self.accounts.has_session(content["session_id"]):
            raise AccountError(403, "session_not_found", "Session from session_id claim in JWT does not exist")
        return content


async def key_set(request: Request) -> Response:
    """GET /.well-known/jwks.json."""
    return JSONResponse(_issuer(request).keys.key_set(), headers={"Cache-Control": "public, max-age=600"})


async def health(request: Request) -> Response:
    """GET /health."""
    del request
    return JSONResponse({"name": "rekindle-dev", "version": "1", "description": "a local stand-in for Supabase Auth"})


async def sign_up(request: Request) -> Response:
    """POST /signup."""
    issuer, body = _known_client(request), await _body(request)
    email, password = str(body.get("email", "")), str(body.get("password", ""))
    signed_in = issuer.accounts.sign_up(email, password, body.get("data") or {})
    return JSONResponse(issuer.session(signed_in))


async def token(request: Request) -> Response:
    """POST /token?grant_type=password|refresh_token."""
    issuer, body = _known_client(request), await _body(request)
    match request.query_params.get("grant_type"):
        case "password":
            signed_in = issuer.accounts.sign_in(str(body.get("email", "")), str(body.get("password", "")))
        case "refresh_token":
            signed_in = issuer.accounts.refresh(str(body.get("refresh_token", "")))
        case _:
            raise AccountError(400, "invalid_credentials", "unsupported_grant_type")
    return JSONResponse(issuer.session(signed_in))


async def user(request: Request) -> Response:
    """GET /user."""
    issuer = _known_client(request)
    return JSONResponse(issuer.accounts.user(issuer.verify(_bearer(request))["sub"]).wire())


async def sign_out(request: Request) -> Response:
    """POST /logout?scope=global|local|others."""
    issuer = _known_client(request)
    content = issuer.verify(_bearer(request))
    issuer.accounts.sign_out(content["sub"], content["session_id"], request.query_params.get("scope", "global"))
    return Response(status_code=204)


async def list_users(request: Request) -> Response:
    """GET /admin/users?page&per_page."""
    issuer = _administrator(request)
    try:
        page = int(request.query_params.get("page") or 1)
        per_page = int(request.query_params.get("per_page") or 50)
    except ValueError:
        raise AccountError(400, "validation_failed", "page and per_page must be numbers") from None
    users, total = issuer.accounts.users(max(page, 1), max(per_page, 1))
    body = {"users": [each.wire() for each in users], "aud": "authenticated"}
    return JSONResponse(body, headers={"X-Total-Count": str(total)})


async def get_user(request: Request) -> Response:
    """GET /admin/users/{id}."""
    return JSONResponse(_administrator(request).accounts.user(request.path_params["id"]).wire())


async def update_user(request: Request) -> Response:
    """PUT /admin/users/{id}: the address and the user's metadata."""
    issuer, body = _administrator(request), await _body(request)
    email, metadata = body.get("email"), body.get("user_metadata") or {}
    return JSONResponse(issuer.accounts.update(request.path_params["id"], email, metadata).wire())


async def delete_user(request: Request) -> Response:
    """DELETE /admin/users/{id}."""
    _administrator(request).accounts.delete(request.path_params["id"])
    return JSONResponse({})


def application(issuer: Issuer) -> Starlette:
    """Return the ASGI application."""
    routes = [
        Route("/auth/v1/.well-known/jwks.json", key_set),
        Route("/auth/v1/health", health),
        Route("/auth/v1/signup", sign_up, methods=["POST"]),
        Route("/auth/v1/token", token, methods=["POST"]),
        Route("/auth/v1/user", user),
        Route("/auth/v1/logout", sign_out, methods=["POST"]),
        Route("/auth/v1/admin/users", list_users),
        Route("/auth/v1/admin/users/{id}", get_user),
        Route("/auth/v1/admin/users/{id}", update_user, methods=["PUT"]),
        Route("/auth/v1/admin/users/{id}", delete_user, methods=["DELETE"]),
    ]
    # supabase-js calls from the browser, whatever its page's origin.
    cors = Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
    app = Starlette(routes=routes, middleware=[cors], exception_handlers={AccountError: _refusal})
    app.state.issuer = issuer
    return app


async def _refusal(_: Request, error: Exception) -> Response:
    if not isinstance(error, AccountError):
        raise error
    body: dict[str, Any] = {"code": error.status, "error_code": error.code, "msg": error.message}
    if error.code == "weak_password":
        body["weak_password"] = {"reasons": ["length"]}
    return JSONResponse(body, status_code=error.status)


def _issuer(request: Request) -> Issuer:
    issuer: Issuer = request.app.state.issuer
    return issuer


def _known_client(request: Request) -> Issuer:
    issuer = _issuer(request)
    given = request.headers.get("apikey", "")
    if not any(hmac.compare_digest(given, key) for key in (issuer.publishable_key, issuer.secret_key)):
        raise AccountError(401, "no_authorization", "Invalid API key")
    return issuer


def _administrator(request: Request) -> Issuer:
    issuer = _known_client(request)
    if not hmac.compare_digest(_bearer(request), issuer.secret_key):
        raise AccountError(403, "not_admin", "User not allowed")
    return issuer


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise AccountError(401, "no_authorization", "This endpoint requires a valid Bearer token")
    return token


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise AccountError(400, "bad_json", "Could not parse request body as JSON")
    return body
