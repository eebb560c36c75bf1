"""Puts the domains together into one ASGI application."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from typing import Any, Self

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from rekindle_api.accounts import endpoints as accounts
from rekindle_api.accounts import export_endpoints as accounts_export
from rekindle_api.accounts import webhook as supabase_webhook
from rekindle_api.auth.tokens import TokenVerifier
from rekindle_api.billing import endpoints as billing
from rekindle_api.billing import webhook as stripe_webhook
from rekindle_api.billing.context import Billing
from rekindle_api.billing.prices import PriceList
from rekindle_api.conditional import ConditionalMiddleware
from rekindle_api.credits import endpoints as credits_
from rekindle_api.database import Database
from rekindle_api.events import endpoints as events
from rekindle_api.events.feed import AttemptFeed
from rekindle_api.events.tickets import Tickets
from rekindle_api.headers import SecurityHeadersMiddleware
from rekindle_api.health import endpoints as health
from rekindle_api.jobs import endpoints as jobs
from rekindle_api.jobs import processing
from rekindle_api.limits import BodyLimitMiddleware
from rekindle_api.logs import RequestMiddleware
from rekindle_api.migrations.runner import head
from rekindle_api.openapi import page
from rekindle_api.openapi.document import describe, operation_id
from rekindle_api.photos import endpoints as photos
from rekindle_api.photos import upload_endpoints as uploads
from rekindle_api.photos.direct import DirectUploads
from rekindle_api.photos.intake import Intake
from rekindle_api.photos.uploads import Uploads
from rekindle_api.problems import install
from rekindle_api.rates.headers import RateHeadersMiddleware
from rekindle_api.settings import (
    AccountSettings,
    AuthSettings,
    DatabaseSettings,
    LimitSettings,
    LiveSettings,
    PlanSettings,
    RateSettings,
    ServerSettings,
    StorageSettings,
    StripeSettings,
    SupabaseSettings,
    read,
)
from rekindle_api.storage import ObjectStorage
from rekindle_api.users.directory import directory_from

_PARTS = (
    health,
    uploads,
    photos,
    jobs,
    processing,
    credits_,
    events,
    billing,
    accounts,
    accounts_export,
    stripe_webhook,
    supabase_webhook,
)


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
    supabase: SupabaseSettings
    accounts: AccountSettings
    stripe: StripeSettings

    @classmethod
    def read(cls, overrides: Mapping[str, Any] | None = None) -> Self:
        """Read them from the environment; `overrides`, by the names of fields, go first.

        Raises:
            InvalidSettingsError: some are missing or refused.
        """
        settings = cls(
            database=read(DatabaseSettings, overrides),
            storage=read(StorageSettings, overrides),
            auth=read(AuthSettings, overrides),
            server=read(ServerSettings, overrides),
            limits=read(LimitSettings, overrides),
            live=read(LiveSettings, overrides),
            plans=read(PlanSettings, overrides),
            rates=read(RateSettings, overrides),
            supabase=read(SupabaseSettings, overrides),
            accounts=read(AccountSettings, overrides),
            stripe=read(StripeSettings, overrides),
        )
        settings.supabase.check_web_server()
        settings.stripe.check_web_server()
        settings.stripe.check_packs(settings.plans)
        return settings


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
        generate_unique_id_function=operation_id,
    )
    app.openapi = cache(partial(describe, app))  # type: ignore[method-assign]  # as FastAPI documents
    app.state.settings = settings
    app.state.server = settings.server
    app.state.limits = settings.limits
    app.state.plans = settings.plans
    app.state.rates = settings.rates
    install(app)
    for part in _PARTS:
        app.include_router(part.router)
    if settings.server.shows_docs:
        app.include_router(page.router)
    _protect(app, settings)
    return app


def _protect(app: FastAPI, settings: WebSettings) -> None:
    """Put around the routes what every request passes, the innermost first."""
    app.add_middleware(BodyLimitMiddleware)
    app.add_middleware(ConditionalMiddleware, signed_seconds=settings.limits.signed_url_seconds)
    app.add_middleware(RateHeadersMiddleware)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.server.cors_origins,
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Last-Event-ID"],
        expose_headers=[
            "Content-Disposition",
            "ETag",
            "RateLimit",
            "RateLimit-Policy",
            "Retry-After",
            "X-Request-ID",
        ],
        max_age=600,
    )
    app.add_middleware(RequestMiddleware)
    app.add_middleware(SecurityHeadersMiddleware, production=settings.server.production)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: WebSettings = app.state.settings
    state = app.state
    state.schema_revision = head(settings.database)
    state.database = Database(settings.database)
    state.storage = ObjectStorage(settings.storage)
    state.verifier = TokenVerifier(settings.auth)
    state.directory = directory_from(settings.supabase, settings.auth.issuer)
    state.intake = Intake(state.database, state.storage, settings.limits, settings.plans)
    state.uploads = Uploads(state.intake)
    state.direct_uploads = DirectUploads(state.intake)
    state.tickets = Tickets(settings.live)
    state.feed = AttemptFeed(state.database, settings.live.heartbeat_seconds, settings.plans)
    state.feed.start()
    state.billing = Billing.open(state.database, settings.stripe, settings.plans)
    state.prices = PriceList(state.billing.stripe, settings.stripe) if state.billing else None
    try:
        yield
    finally:
        await state.feed.close()
        if state.billing is not None:
            await state.billing.close()
        await state.intake.close()
        if state.directory is not None:
            await state.directory.close()
        await state.verifier.close()
        state.storage.close()
        await state.database.close()
