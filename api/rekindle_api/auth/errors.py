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
    """The account may not act; each reason has a code of its own."""

    status = 403
    title = "The account is closed"


class AccountSuspendedError(AccountClosedError):
    """An administrator suspended the account."""

    code = "account_suspended"

    def __init__(self) -> None:
        super().__init__("This account is suspended. Write to us to have it opened again.")


class AccountBannedError(AccountClosedError):
    """Supabase lets nobody sign in to the account for now."""

    code = "account_banned"

    def __init__(self) -> None:
        super().__init__("This account is banned for now.")


class AccountDeletionRequestedError(AccountClosedError):
    """The owner asked for the account's deletion, and can still take that back."""

    code = "account_deletion_requested"

    def __init__(self) -> None:
        super().__init__("This account will be deleted. Take the deletion back to go on, or download what is in it.")


class AccountDeletedError(AccountClosedError):
    """The account was deleted."""

    code = "account_deleted"

    def __init__(self) -> None:
        super().__init__("This account was deleted.")


ACCOUNT_CLOSED = (AccountSuspendedError, AccountBannedError, AccountDeletionRequestedError, AccountDeletedError)
"""Every reason for which an account may not act."""
