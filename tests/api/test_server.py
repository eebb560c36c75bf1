"""How the web server meets what stands before it: load balancers and other proxies."""

import uvicorn

from rekindle_api.application import WebSettings
from rekindle_api.server import configuration

NOWHERE = {"database_url": "postgresql://nobody@localhost/nothing", "s3_bucket": "photos", "supabase_url": "http://x"}
IDLE_OF_LOAD_BALANCERS = 120
"""What docs/install.md sets at most: an ALB's idle_timeout; nginx closes its own after 60."""


def _configuration(**overrides: object) -> uvicorn.Config:
    return configuration(WebSettings.read({**NOWHERE, **overrides}), "127.0.0.1", 0)


def test_a_connection_outlives_that_of_the_load_balancer() -> None:
    assert _configuration().timeout_keep_alive > IDLE_OF_LOAD_BALANCERS
    assert _configuration(keep_alive_seconds=4000).timeout_keep_alive == 4000


def test_nobody_is_believed_about_who_the_client_is() -> None:
    assert _configuration().proxy_headers is False
