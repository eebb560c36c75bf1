"""Every table of the service in one place, for Alembic and for the test that compares models with migrations."""

from rekindle_api.attempts import models as attempts
from rekindle_api.audit import models as audit
from rekindle_api.billing import models as billing
from rekindle_api.credits import models as credits_
from rekindle_api.database.base import Base
from rekindle_api.idempotency import models as idempotency
from rekindle_api.outbox import models as outbox
from rekindle_api.photos import models as photos
from rekindle_api.rates import models as rates
from rekindle_api.users import models as users
from rekindle_api.webhooks import models as webhooks

METADATA = Base.metadata

__all__ = [
    "METADATA",
    "attempts",
    "audit",
    "billing",
    "credits_",
    "idempotency",
    "outbox",
    "photos",
    "rates",
    "users",
    "webhooks",
]
