"""Every table of the service in one place, for Alembic and for the test that compares models with migrations."""

from rekindle_api.attempts import models as attempts
from rekindle_api.audit import models as audit
from rekindle_api.database.base import Base
from rekindle_api.outbox import models as outbox
from rekindle_api.photos import models as photos
from rekindle_api.users import models as users

METADATA = Base.metadata

__all__ = ["METADATA", "attempts", "audit", "outbox", "photos", "users"]
