"""Runs the web server."""

import gc
import socket

import uvicorn

from rekindle_api import logs
from rekindle_api.application import WebSettings, create_app
from rekindle_api.settings import LogSettings, read

_SHUTDOWN_SECONDS = 20


class Server(uvicorn.Server):
    """Ends event streams when it is asked to stop: they would outlast any wait."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop taking requests, and let those under way finish."""
        app = self.config.app
        state = getattr(app, "state", None)
        if (feed := getattr(state, "feed", None)) is not None:
            feed.end_streams()
        await super().shutdown(sockets)


def configuration(settings: WebSettings, host: str, port: int) -> uvicorn.Config:
    """Return how uvicorn serves the application."""
    return uvicorn.Config(
        create_app(settings),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        # No reply depends on who a proxy says the client is, or on the scheme: then nobody need be believed.
        proxy_headers=False,
        timeout_keep_alive=settings.server.keep_alive_seconds,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )


def serve(host: str, port: int) -> int:
    """Serve until a signal; return the exit status.

    Raises:
        InvalidSettingsError: settings are missing or refused.
    """
    settings = WebSettings.read()
    logs.configure(read(LogSettings).log_level)
    server = Server(configuration(settings, host, port))
    # What stands for as long as the process does need not be looked through whenever memory is tidied.
    gc.freeze()
    server.run()
    return 0 if server.started else 1
