"""Puts the domains together into one ASGI application."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Self

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from rekindle_api.auth.tokens import TokenVerifier
from rekindle_api.database import Database
from rekindle_api.events import endpoints as events
from rekindle_api.events.feed import AttemptFeed
from rekindle_api.events.tickets import Tickets
from rekindle_api.health import endpoints as health
from rekindle_api.jobs import endpoints as jobs
from rekindle_api.limits import BodyLimitMiddleware
from rekindle_api.logs import RequestMiddleware
from rekindle_api.migrations.runner import head
from rekindle_api.photos import endpoints as photos
from rekindle_api.photos.uploads import Uploads
from rekindle_api.problems import ProblemBody, install
from rekindle_api.rates.headers import RateHeadersMiddleware
from rekindle_api.settings import (
    AuthSettings,
    DatabaseSettings,
    LimitSettings,
    LiveSettings,
    PlanSettings,
    RateSettings,
    ServerSettings,
    StorageSettings,
    read,
)
from rekindle_api.storage import ObjectStorage


@dataclass(frozen=True)
class WebSettings:
    """All settings of the web server."""

    database: DatabaseSettings
    storage: StorageSettings
    auth: AuthSettings
    server: ServerSettings
    limits: LimitSettings
    live: LiveSettings
    plans: PlanSettings
    rates: RateSettings

    @classmethod
    def read(cls, overrides: Mapping[str, Any] | None = None) -> Self:
        """Read them from the environment; `overrides`, by the names of fields, go first.

        Raises:
            InvalidSettingsError: some are missing or refused.
        """
        return cls(
            database=read(DatabaseSettings, overrides),
            storage=read(StorageSettings, overrides),
            auth=read(AuthSettings, overrides),
            server=read(ServerSettings, overrides),
            limits=read(LimitSettings, overrides),
            live=read(LiveSettings, overrides),
            plans=read(PlanSettings, overrides),
            rates=read(RateSettings, overrides),
        )


def create_app(settings: WebSettings) -> FastAPI:
    """Return the application. It connects to nothing before its lifespan begins."""
    app = FastAPI(
        title="Rekindle",
        version=version("rekindle"),
        summary="Old photos in, restored photos out.",
        lifespan=_lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        responses={"default": {"model": ProblemBody, "description": "Every error (application/problem+json)."}},
    )
    app.state.settings = settings
    app.state.server = settings.server
    app.state.limits = settings.limits
    app.state.plans = settings.plans
    app.state.rates = settings.rates
    install(app)
    for domain in (health, photos, jobs, events):
        app.include_router(domain.router)
    app.add_middleware(BodyLimitMiddleware)
    app.add_middleware(RateHeadersMiddleware)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.server.cors_origins,
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Last-Event-ID"],
        expose_headers=["X-Request-ID", "RateLimit", "RateLimit-Policy", "Retry-After"],
        max_age=600,
    )
    app.add_middleware(RequestMiddleware)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: WebSettings = app.state.settings
    state = app.state
    state.schema_revision = head(settings.database)
    state.database = Database(settings.database)
    state.storage = ObjectStorage(settings.storage)
    state.verifier = TokenVerifier(settings.auth)
    state.uploads = Uploads(state.database, state.storage, settings.limits)
    state.tickets = Tickets(settings.live)
    state.feed = AttemptFeed(state.database, settings.live.heartbeat_seconds, settings.plans)
    state.feed.start()
    try:
        yield
    finally:
        await state.feed.close()
        await state.uploads.close()
        await state.verifier.close()
        state.storage.close()
        await state.database.close()
