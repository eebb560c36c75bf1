"""Where Stripe is, what is sold there, and whose objects in it are ours."""

from collections.abc import Mapping
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, PositiveFloat, SecretStr, StringConstraints, field_validator, model_validator
from pydantic_settings import NoDecode

from rekindle_api.settings.environment import DomainSettings, Environment, InvalidSettingsError
from rekindle_api.settings.plans import PlanSettings, Tier

_LIVE = ("sk_live_", "rk_live_")
_TEST = ("sk_test_", "rk_test_")
_WEBHOOK_SECRET = "whsec_"  # noqa: S105 - how such a secret begins
_MIN_WEBHOOK_SECRET = 24

PriceIds = tuple[Annotated[str, StringConstraints(pattern=r"^price_\w+$")], ...]


class StripeSettings(DomainSettings):
    """Payments by Stripe. Without STRIPE_SECRET_KEY nothing is sold, and everything else works."""

    stripe_secret_key: SecretStr | None = None
    """Secret or restricted API key (sk_... or rk_...); production takes live keys only, development test keys only."""
    stripe_webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """Signing secrets (whsec_...) of the webhook endpoint, separated by commas: two while one replaces the other."""
    stripe_prices: dict[Tier, PriceIds] = Field(default_factory=dict)
    """Monthly price of each tier as JSON, {"remember": "price_..."}; of a list the first is sold, all are known."""
    stripe_top_up_prices: dict[str, PriceIds] = Field(default_factory=dict)
    """One-time price of each pack of TOP_UPS as JSON, {"small": "price_..."}."""
    stripe_success_url: str = "http://localhost:3000/billing/success?session_id={CHECKOUT_SESSION_ID}"
    """Page to which Stripe sends a customer who paid; Stripe fills in {CHECKOUT_SESSION_ID}."""
    stripe_cancel_url: str = "http://localhost:3000/billing/cancelled"
    """Page to which Stripe sends a customer who did not pay."""
    stripe_return_url: str = "http://localhost:3000/billing"
    """Page to which the billing portal leads back."""
    stripe_portal_configuration: Annotated[str, StringConstraints(pattern=r"^bpc_\w+$")] | None = None
    """Configuration of the billing portal; the account's default one when left out."""
    stripe_deployment: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")] | None = None
    """Name that marks our objects in a Stripe account which several deployments share; rekindle-<ENVIRONMENT>."""
    stripe_api_base: str | None = None
    """Address of an API that stands in for Stripe's."""
    stripe_timeout_seconds: PositiveFloat = 15
    """How long one request to Stripe may take."""
    stripe_retries: Annotated[int, Field(ge=0, le=5)] = 2
    """How often a request that got no good answer is sent again, with the same idempotency key."""
    stripe_checkout_minutes: Annotated[int, Field(ge=30, le=1440)] = 60
    """How long a Checkout page can be paid; Stripe takes 30 minutes to 24 hours."""
    stripe_events_at_once: Annotated[int, Field(ge=1, le=32)] = 4
    """Events that one process handles at the same time; each holds a database connection."""
    stripe_poll_seconds: PositiveFloat = 10
    """How often the inbox is looked at when no notification came."""
    stripe_claim_seconds: Annotated[float, Field(ge=1)] = 180
    """How long an event belongs to the process that took it; longer than its requests to Stripe."""
    stripe_backoff_seconds: PositiveFloat = 2
    """Longest wait after the first failure of an event; it doubles with each further one."""
    stripe_backoff_limit_seconds: PositiveFloat = 900
    """Longest wait between two tries of an event."""
    stripe_park_after: Annotated[int, Field(ge=1)] = 12
    """How many failures set an event aside. Stripe being out of reach never does."""
    stripe_lookback_days: Annotated[int, Field(ge=1, le=365)] = 35
    """How old an invoice, Checkout or refund is at most that the comparison looks at; disputes are looked at longer."""

    @field_validator("stripe_webhook_secrets", mode="before")
    @classmethod
    def _comma_separated(cls, value: object) -> object:
        if isinstance(value, str):
            return [secret.strip() for secret in value.split(",") if secret.strip()]
        return value

    @field_validator("stripe_prices", "stripe_top_up_prices", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        return {name: (ids,) if isinstance(ids, str) else ids for name, ids in value.items()}

    @field_validator("stripe_prices")
    @classmethod
    def _free_is_not_sold(cls, value: dict[Tier, PriceIds]) -> dict[Tier, PriceIds]:
        if Tier.FREE in value:
            raise ValueError("free has no price")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.stripe_secret_key is None:
            return self
        key = self.stripe_secret_key.get_secret_value()
        if not key.startswith(_LIVE + _TEST):
            raise ValueError("STRIPE_SECRET_KEY: must begin with sk_test_, sk_live_, rk_test_ or rk_live_")
        if self.environment is Environment.DEVELOPMENT and self.livemode:
            raise ValueError("STRIPE_SECRET_KEY: development takes test keys only")
        prices = [price for ids in (*self.stripe_prices.values(), *self.stripe_top_up_prices.values()) for price in ids]
        if len(set(prices)) < len(prices):
            raise ValueError("STRIPE_PRICES, STRIPE_TOP_UP_PRICES: a price stands for two things")
        if not all((*self.stripe_prices.values(), *self.stripe_top_up_prices.values())):
            raise ValueError("STRIPE_PRICES, STRIPE_TOP_UP_PRICES: each entry needs a price")
        if (wrong := self._not_an_url("stripe_api_base")) is not None:
            raise ValueError(wrong)
        if self.production:
            self._check_production()
        return self

    def _not_an_url(self, name: str) -> str | None:
        value = getattr(self, name)
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme in ({"https"} if self.production else {"http", "https"}) and parts.netloc:
            return None
        return f"{name.upper()}: must be an {'https' if self.production else 'http or https'} URL"

    def _check_production(self) -> None:
        if not self.livemode:
            raise ValueError("STRIPE_SECRET_KEY: production needs a live key")
        if not self.stripe_prices:
            raise ValueError("STRIPE_PRICES: production needs the price of each tier that is sold")
        if self.stripe_deployment is None:
            raise ValueError("STRIPE_DEPLOYMENT: production needs a name of its own")

    def check_web_server(self) -> None:
        """Do nothing if what only the web server uses will do: pages to come back to, and secrets of webhooks.

        Raises:
            InvalidSettingsError: with a line for each that will not.
        """
        if not self.enabled:
            return
        pages = ("stripe_success_url", "stripe_cancel_url", "stripe_return_url")
        wrong = [line for name in pages if (line := self._not_an_url(name)) is not None]
        secrets = [secret.get_secret_value() for secret in self.stripe_webhook_secrets]
        if self.production and not secrets:
            wrong.append("STRIPE_WEBHOOK_SECRETS: production needs one")
        whole = all(secret.startswith(_WEBHOOK_SECRET) and len(secret) >= _MIN_WEBHOOK_SECRET for secret in secrets)
        if self.production and not whole:
            wrong.append("STRIPE_WEBHOOK_SECRETS: each must be a whole whsec_... secret")
        if wrong:
            raise InvalidSettingsError("\n".join(wrong))

    def check_packs(self, plans: PlanSettings) -> None:
        """Do nothing if each pack on sale holds credits.

        Raises:
            InvalidSettingsError: one is not among TOP_UPS.
        """
        if unknown := self.stripe_top_up_prices.keys() - plans.top_ups.keys():
            raise InvalidSettingsError(f"STRIPE_TOP_UP_PRICES: TOP_UPS has no {', '.join(sorted(unknown))}")

    @property
    def enabled(self) -> bool:
        """Whether anything is sold."""
        return self.stripe_secret_key is not None

    @property
    def livemode(self) -> bool:
        """Whether the key moves real money."""
        return self.stripe_secret_key is not None and self.stripe_secret_key.get_secret_value().startswith(_LIVE)

    @property
    def deployment(self) -> str:
        """What marks our objects."""
        return self.stripe_deployment or f"rekindle-{self.environment}"

    @property
    def sold(self) -> Mapping[str, str]:
        """The price that each tier and each pack is sold for now."""
        tiers = {str(tier): ids[0] for tier, ids in self.stripe_prices.items()}
        return {**tiers, **{pack: ids[0] for pack, ids in self.stripe_top_up_prices.items()}}

    def tier_of(self, price_id: str) -> Tier | None:
        """Return the tier that a price stands for."""
        return next((tier for tier, ids in self.stripe_prices.items() if price_id in ids), None)
