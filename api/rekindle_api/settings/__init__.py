"""Settings from the environment: one frozen class per domain, each refusing what production may not have.

A command reads only the classes it needs, so `rekindle-api migrate` asks for a database and nothing else.
"""

from rekindle_api.settings.billing import StripeSettings
from rekindle_api.settings.database import DatabaseSettings, MigrationSettings
from rekindle_api.settings.domains import (
    AuthSettings,
    ClusterSettings,
    LimitSettings,
    LogSettings,
    ServerSettings,
    StorageSettings,
)
from rekindle_api.settings.environment import (
    FAULT_VARIABLE,
    DomainSettings,
    Environment,
    InvalidSettingsError,
    read,
)
from rekindle_api.settings.live import LiveSettings
from rekindle_api.settings.plans import Costs, Plan, PlanSettings, Tier
from rekindle_api.settings.rates import Policy, Rate, RateSettings
from rekindle_api.settings.supabase import AccountSettings, SupabaseSettings

__all__ = [
    "FAULT_VARIABLE",
    "AccountSettings",
    "AuthSettings",
    "ClusterSettings",
    "Costs",
    "DatabaseSettings",
    "DomainSettings",
    "Environment",
    "InvalidSettingsError",
    "LimitSettings",
    "LiveSettings",
    "LogSettings",
    "MigrationSettings",
    "Plan",
    "PlanSettings",
    "Policy",
    "Rate",
    "RateSettings",
    "ServerSettings",
    "StorageSettings",
    "StripeSettings",
    "SupabaseSettings",
    "Tier",
    "read",
]
