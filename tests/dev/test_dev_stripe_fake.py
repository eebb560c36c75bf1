"""The stand-in for Stripe refuses what Stripe refuses, and its judge sees what Stripe would not say."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from rekindle_dev.stripe_fake import StripeFake
from rekindle_dev.stripe_fake.forms import parse
from rekindle_dev.stripe_fake.judge import differences


@pytest.fixture
def fake() -> Iterator[StripeFake]:
    with StripeFake.start() as running:
        running.account.price("price_pack", 499, monthly=False)
        yield running


def ask(fake: StripeFake, path: str, body: str, **headers: str) -> tuple[int, dict[str, Any]]:
    """Post a form; return status and answer."""
    request = urllib.request.Request(  # noqa: S310 - the stand-in's own address
        f"{fake.url}/v1/{path}", body.encode(), {"Authorization": f"Bearer {fake.secret_key}", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - same
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_nested_parameters_are_read_as_stripe_writes_them():
    form = "a[b][c]=1&items[0][price]=p&items[1][price]=q&expand[]=x&expand[]=y&plain=%20"
    assert parse(form) == {
        "a": {"b": {"c": "1"}},
        "items": [{"price": "p"}, {"price": "q"}],
        "expand": ["x", "y"],
        "plain": " ",
    }


def test_a_key_makes_one_object_and_takes_no_other_parameters(fake: StripeFake):
    first, again = (ask(fake, "customers", "email=a%40b.c", **{"Idempotency-Key": "k"}) for _ in range(2))
    assert first == again
    status, answer = ask(fake, "customers", "email=other%40b.c", **{"Idempotency-Key": "k"})
    assert (status, answer["error"]["type"]) == (400, "idempotency_error")
    assert len(list(fake.account.all("customer"))) == 1


def test_unknown_parameters_paths_and_keys_are_refused(fake: StripeFake):
    assert ask(fake, "customers", "colour=red")[1]["error"]["code"] == "parameter_unknown"
    assert ask(fake, "nothing", "")[0] == 404
    assert ask(fake, "customers", "", Authorization="Bearer sk_test_other")[0] == 401


def test_a_checkout_is_paid_once_and_an_expired_one_not_at_all(fake: StripeFake):
    customer = fake.account.add("cus", "customer", email=None, metadata={})
    wanted = {
        "mode": "payment",
        "customer": customer["id"],
        "line_items": [{"price": "price_pack"}],
        "success_url": "https://a.example",
    }
    paid, expired = fake.account.open_session(wanted), fake.account.open_session(wanted)
    fake.account.pay(paid["id"])
    fake.account.expire_session(expired["id"])
    for session in (paid, expired):
        with pytest.raises(Exception, match="closed"):
            fake.account.pay(session["id"])
        with pytest.raises(Exception, match="can be expired"):
            fake.account.expire_session(session["id"])


def test_events_are_signed_as_stripe_signs_them(fake: StripeFake):
    body, header = fake.signed({"id": "evt_1"})
    assert stripe.WebhookSignature.verify_header(body, header, fake.webhook_secret, 300)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(body, header, "whsec_of_somebody_else", 300)


def test_the_judge_names_what_only_we_have_and_what_is_of_another_type():
    ours = {"id": "x", "list": [{"a": 1}, {"b": 2}], "metadata": {"free": "1"}, "count": "1", "none": None}
    theirs = {"id": "y", "list": [{"a": 5}], "metadata": {}, "count": 3, "none": {}}
    assert set(differences(ours, theirs)) == {"list.b is not there", "count is int there"}
