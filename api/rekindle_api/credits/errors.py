"""Why work is not begun for want of credits, and what is wrong with a request to take credits back."""

from rekindle_api.problems import Problem


class InsufficientCreditsError(Problem):
    """The user has fewer credits than the work costs."""

    status = 402
    code = "insufficient_credits"
    title = "Not enough credits"

    def __init__(self, needed: int, available: int) -> None:
        super().__init__(
            f"This costs {_counted(needed)}, and {max(available, 0)} can be spent."
            " Buy credits, or wait for those of the next month."
        )
        self.needed = needed
        self.available = available


class CreditsOwedError(Problem):
    """Spent credits were taken back, because their payment was refunded or disputed, and are not paid yet."""

    status = 402
    code = "credits_owed"
    title = "Credits are owed"

    def __init__(self, needed: int, debt: int) -> None:
        super().__init__(
            f"This costs {_counted(needed)}, but {_counted(debt)} of a refunded payment had been spent and are owed."
            " The next credits pay for them first."
        )
        self.needed = needed
        self.debt = debt


class LotNotFoundError(LookupError):
    """Nothing was granted for the payment whose credits shall be taken back."""


def _counted(credits_: int) -> str:
    return f"{credits_} credit" if credits_ == 1 else f"{credits_} credits"
