"""Why a caller is turned away."""

from rekindle_api.problems import Problem


class MissingTokenError(Problem):
    """The request carries no bearer token."""

    status = 401
    code = "missing_token"
    title = "Not signed in"
    headers = {"WWW-Authenticate": "Bearer"}  # noqa: RUF012 - never changed


class InvalidTokenError(Problem):
    """The token is expired, forged, of another issuer, or not a user's."""

    status = 401
    code = "invalid_token"
    title = "The access token is not valid"
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}  # noqa: RUF012 - never changed


class KeysUnavailableError(Problem):
    """The issuer's public keys cannot be had, so no token can be checked."""

    status = 503
    code = "keys_unavailable"
    title = "Sign-in cannot be checked"
    headers = {"Retry-After": "5"}  # noqa: RUF012 - never changed


class AccountClosedError(Problem):
    """The account is suspended or deleted."""

    status = 403
    code = "account_closed"
    title = "The account is closed"
