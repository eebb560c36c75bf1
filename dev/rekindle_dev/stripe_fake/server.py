"""The HTTP face: paths, parameters, errors, lists and keys of idempotency as Stripe has them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rekindle_dev.stripe_fake.account import Account
from rekindle_dev.stripe_fake.forms import parse
from rekindle_dev.stripe_fake.judge import Judge
from rekindle_dev.stripe_fake.store import Object, StripeError, listed, wire

Params = dict[str, Any]
Handler = Callable[[Account, Params, Mapping[str, str]], Object]
_EVERYWHERE = {"expand"}
_PAGING = {"limit", "starting_after", "ending_before", "created"}


@dataclass
class Fake:
    """What the endpoints work on."""

    account: Account
    secret_key: str
    judge: Judge | None = None
    lock: RLock = field(default_factory=RLock)
    requests: list[str] = field(default_factory=list)
    """Method and path of each, in order."""
    answers: dict[str, tuple[str, int, Object]] = field(default_factory=dict)
    """By key of idempotency: what was asked, and how it was answered."""
    broken: int = 0
    """How many of the next requests get no good answer."""


@dataclass(frozen=True)
class Endpoint:
    """One call of the API."""

    method: str
    path: str
    handle: Handler
    parameters: frozenset[str] = frozenset()


def application(fake: Fake) -> Starlette:
    """Return the ASGI application."""
    return Starlette(
        routes=[Route(each.path, _answering(fake, each), methods=[each.method]) for each in ENDPOINTS],
        exception_handlers={404: _no_such_path},
    )


def _answering(fake: Fake, endpoint: Endpoint) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        text = request.url.query if endpoint.method == "GET" else (await request.body()).decode()
        with fake.lock:
            fake.requests.append(f"{request.method} {request.url.path}")
            if fake.broken:
                fake.broken -= 1
                return _error(StripeError(500, "", "An unknown error occurred", "api_error"))
            try:
                status, body = _once(fake, endpoint, request, text)
            except StripeError as error:
                return _error(error)
        if fake.judge is not None and (refusal := fake.judge.try_request(request, text, body)) is not None:
            return Response(refusal, 400, media_type="application/json")
        return JSONResponse(body, status, headers={"Request-Id": f"req_{len(fake.requests):06}"})

    return answer


def _once(fake: Fake, endpoint: Endpoint, request: Request, text: str) -> tuple[int, Object]:
    """Answer a request; one with a key that was used gets the answer of the first."""
    if request.headers.get("authorization") != f"Bearer {fake.secret_key}":
        raise StripeError(401, "", "Invalid API Key provided")
    asked = f"{request.method} {request.url.path} {text}"
    key = request.headers.get("idempotency-key") if request.method != "GET" else None
    if key is not None and key in fake.answers:
        before, status, body = fake.answers[key]
        if before != asked:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used with."
            )
            raise StripeError(400, "idempotency_key_in_use", message, "idempotency_error")
        return status, body
    params = parse(text)
    unknown = params.keys() - endpoint.parameters - _EVERYWHERE
    if unknown:
        raise StripeError(400, "parameter_unknown", f"Received unknown parameter: {', '.join(sorted(unknown))}")
    body = wire(endpoint.handle(fake.account, params, request.path_params))
    if key is not None:
        fake.answers[key] = (asked, 200, body)
    return 200, body


def _error(error: StripeError) -> Response:
    body = {"type": error.kind, "message": str(error), **({"code": error.code} if error.code else {})}
    return JSONResponse({"error": body}, error.status)


async def _no_such_path(request: Request, _: Exception) -> Response:
    return _error(StripeError(404, "", f"Unrecognized request URL ({request.method}: {request.url.path})."))


def _page(found: Iterable[Object], params: Params, url: str) -> Object:
    """Return one page of a list, newest first."""
    items = list(found)
    if after := params.get("starting_after"):
        items = items[[each["id"] for each in items].index(after) + 1 :]
    since = params.get("created")
    if isinstance(since, dict):
        items = [each for each in items if each["created"] >= int(since["gte"])]
    limit = int(params.get("limit", 10))
    return listed(items[:limit], url, has_more=len(items) > limit)


def _matching(account: Account, kind: str, params: Params, *names: str) -> list[Object]:
    wanted = {name: params[name] for name in names if name in params}
    return [each for each in account.all(kind) if all(each.get(name) == value for name, value in wanted.items())]


def _create_customer(account: Account, params: Params, _: Mapping[str, str]) -> Object:
    return account.add("cus", "customer", email=params.get("email"), metadata=params.get("metadata", {}))


def _get(kind: str) -> Handler:
    return lambda account, _, path: account.get(kind, path["id"])


def _list(kind: str, url: str, *names: str) -> Handler:
    return lambda account, params, _: _page(_matching(account, kind, params, *names), params, url)


def _portal(account: Account, params: Params, _: Mapping[str, str]) -> Object:
    made = account.add("bps", "billing_portal.session", **params)
    return {**made, "url": f"https://billing.stripe.com/p/session/{made['id']}"}


def _subscriptions(account: Account, params: Params, _: Mapping[str, str]) -> Object:
    live = [each for each in _matching(account, "subscription", params, "customer") if each["status"] != "canceled"]
    return _page(live, params, "/v1/subscriptions")


def _update_subscription(account: Account, params: Params, path: Mapping[str, str]) -> Object:
    return account.set_cancel(path["id"], at_period_end=params["cancel_at_period_end"] == "true")


def _invoice(account: Account, params: Params, path: Mapping[str, str]) -> Object:
    return _with_payments(account.get("invoice", path["id"]), "payments" in params.get("expand", []))


def _invoices(account: Account, params: Params, _: Mapping[str, str]) -> Object:
    found = [
        each
        for each in _matching(account, "invoice", params, "status")
        if params.get("subscription") in {None, each["parent"]["subscription_details"]["subscription"]}
    ]
    page = _page(found, params, "/v1/invoices")
    page["data"] = [_with_payments(each, "data.payments" in params.get("expand", [])) for each in page["data"]]
    return page


def _with_payments(invoice: Object, expanded: bool) -> Object:
    if not expanded:
        return invoice
    return {**invoice, "payments": listed(invoice["_payments"], f"/v1/invoices/{invoice['id']}/payments")}


def _lines(account: Account, params: Params, path: Mapping[str, str]) -> Object:
    lines = account.get("invoice", path["id"])["lines"]["data"]
    return _page(lines, params, f"/v1/invoices/{path['id']}/lines")


def _invoice_payments(account: Account, params: Params, _: Mapping[str, str]) -> Object:
    wanted = params["payment"]["payment_intent"]
    found = [each for each in account.all("invoice_payment") if each["payment"]["payment_intent"] == wanted]
    return _page(found, params, "/v1/invoice_payments")


def _intent(account: Account, params: Params, path: Mapping[str, str]) -> Object:
    intent = account.get("payment_intent", path["id"])
    if "latest_charge" not in params.get("expand", []) or intent["latest_charge"] is None:
        return intent
    return {**intent, "latest_charge": account.get("charge", intent["latest_charge"])}


def _refund(account: Account, params: Params, _: Mapping[str, str]) -> Object:
    return account.refund(params.pop("payment_intent"), **params)


_SESSION_PARAMETERS = frozenset(
    {"mode", "customer", "client_reference_id", "line_items", "success_url", "cancel_url", "expires_at", "metadata"}
    | {"subscription_data", "payment_intent_data"}
)
ENDPOINTS = (
    Endpoint("GET", "/v1/prices/{id}", _get("price")),
    Endpoint("POST", "/v1/customers", _create_customer, frozenset({"email", "metadata"})),
    Endpoint("GET", "/v1/customers/{id}", _get("customer")),
    Endpoint(
        "POST", "/v1/checkout/sessions", lambda account, params, _: account.open_session(params), _SESSION_PARAMETERS
    ),
    Endpoint(
        "GET",
        "/v1/checkout/sessions",
        _list("checkout.session", "/v1/checkout/sessions", "status", "payment_intent"),
        frozenset({"status", "payment_intent"} | _PAGING),
    ),
    Endpoint("GET", "/v1/checkout/sessions/{id}", _get("checkout.session")),
    Endpoint("POST", "/v1/checkout/sessions/{id}/expire", lambda account, _, path: account.expire_session(path["id"])),
    Endpoint("POST", "/v1/billing_portal/sessions", _portal, frozenset({"customer", "return_url", "configuration"})),
    Endpoint("GET", "/v1/subscriptions", _subscriptions, frozenset({"customer"} | _PAGING)),
    Endpoint("GET", "/v1/subscriptions/{id}", _get("subscription")),
    Endpoint("POST", "/v1/subscriptions/{id}", _update_subscription, frozenset({"cancel_at_period_end"})),
    Endpoint(
        "DELETE",
        "/v1/subscriptions/{id}",
        lambda account, _, path: account.end(path["id"]),
        frozenset({"invoice_now", "prorate"}),
    ),
    Endpoint("GET", "/v1/invoices", _invoices, frozenset({"status", "subscription"} | _PAGING)),
    Endpoint("GET", "/v1/invoices/{id}", _invoice),
    Endpoint("GET", "/v1/invoices/{id}/lines", _lines, frozenset(_PAGING - {"created"})),
    Endpoint("GET", "/v1/invoice_payments", _invoice_payments, frozenset({"payment"} | _PAGING)),
    Endpoint("GET", "/v1/payment_intents/{id}", _intent),
    Endpoint("POST", "/v1/refunds", _refund, frozenset({"payment_intent", "amount", "reason", "metadata"})),
    Endpoint(
        "GET", "/v1/refunds", _list("refund", "/v1/refunds", "payment_intent"), frozenset({"payment_intent"} | _PAGING)
    ),
    Endpoint(
        "GET",
        "/v1/disputes",
        _list("dispute", "/v1/disputes", "payment_intent"),
        frozenset({"payment_intent"} | _PAGING),
    ),
)
