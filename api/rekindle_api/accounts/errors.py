"""Why something about an account is refused."""

from rekindle_api.problems import Problem


class WebhookNotConfiguredError(Problem):
    """There is no secret by which Supabase's webhooks could be told from others."""

    status = 503
    code = "supabase_webhook_not_configured"
    title = "Webhooks of Supabase are not set up"

    def __init__(self) -> None:
        super().__init__("Set SUPABASE_WEBHOOK_SECRETS to receive webhooks.")


class ForgedWebhookError(Problem):
    """The webhook has no good signature, and no secret that is known."""

    status = 401
    code = "invalid_webhook_signature"
    title = "The webhook is not Supabase's"

    def __init__(self) -> None:
        super().__init__("The webhook has neither a good signature nor the secret.")


class UnreadableWebhookError(Problem):
    """The webhook's body is none of a database webhook."""

    status = 400
    code = "invalid_webhook"
    title = "The webhook cannot be read"

    def __init__(self) -> None:
        super().__init__("The body is not that of a database webhook on auth.users.")
