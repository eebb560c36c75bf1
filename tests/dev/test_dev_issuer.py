"""The issuer, seen by Supabase's own client and by a verifier of its tokens."""

import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator

import httpx
import jwt
import pytest
from supabase import Client, create_client
from supabase.lib.client_options import SyncClientOptions
from supabase_auth.errors import AuthApiError, AuthWeakPasswordError

from rekindle_dev.issuer import TokenIssuer

pytestmark = pytest.mark.stack

PASSWORD = "correct horse battery"


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=60) as client:
        yield client


@pytest.fixture
def browser(issuer: TokenIssuer, http: httpx.Client) -> Client:
    return create_client(issuer.url, issuer.publishable_key, _options(http))


@pytest.fixture
def administrator(issuer: TokenIssuer, http: httpx.Client) -> Client:
    return create_client(issuer.url, issuer.secret_key, _options(http))


def _options(http: httpx.Client) -> SyncClientOptions:
    return SyncClientOptions(auto_refresh_token=False, httpx_client=http)


def _email() -> str:
    return f"{uuid.uuid4().hex}@example.com"


def _verify(issuer: TokenIssuer, token: str) -> dict[str, object]:
    keys = jwt.PyJWKSet.from_dict(httpx.get(f"{issuer.url}/auth/v1/.well-known/jwks.json", timeout=60).json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims: dict[str, object] = jwt.decode(
        token, key, ["ES256"], audience="authenticated", issuer=f"{issuer.url}/auth/v1",
        options={"require": ["exp", "iat", "sub", "aud", "iss"]},
    )  # fmt: skip
    return claims


def test_supabase_py_signs_up_in_and_out(browser: Client) -> None:
    email = _email()
    signed_up = browser.auth.sign_up({"email": email, "password": PASSWORD})
    assert signed_up.user is not None
    assert signed_up.session is not None
    signed_in = browser.auth.sign_in_with_password({"email": email.upper(), "password": PASSWORD})
    assert signed_in.user is not None
    assert signed_in.user.id == signed_up.user.id

    answer = browser.auth.get_user()
    assert answer is not None
    assert answer.user.email == email
    claims = browser.auth.get_claims()
    assert claims is not None
    assert claims["claims"]["sub"] == signed_up.user.id

    assert signed_in.session is not None
    browser.auth.sign_out()
    with pytest.raises(AuthApiError, match="Session from session_id"):
        browser.auth.get_user(signed_in.session.access_token)


def test_a_refresh_token_is_good_once(browser: Client) -> None:
    first = browser.auth.sign_up({"email": _email(), "password": PASSWORD}).session
    assert first is not None
    second = browser.auth.refresh_session(first.refresh_token).session
    assert second is not None
    assert second.refresh_token != first.refresh_token
    with pytest.raises(AuthApiError) as refused:
        browser.auth.refresh_session(first.refresh_token)
    assert str(refused.value.code) == "refresh_token_not_found"


def test_signing_out_elsewhere_keeps_this_session(browser: Client) -> None:
    email = _email()
    other = browser.auth.sign_up({"email": email, "password": PASSWORD}).session
    here = browser.auth.sign_in_with_password({"email": email, "password": PASSWORD}).session
    assert other is not None
    assert here is not None
    browser.auth.sign_out({"scope": "others"})
    assert browser.auth.get_user(here.access_token) is not None
    with pytest.raises(AuthApiError):
        browser.auth.get_user(other.access_token)


def test_refusals_carry_supabases_error_codes(browser: Client) -> None:
    email = _email()
    browser.auth.sign_up({"email": email, "password": PASSWORD})
    with pytest.raises(AuthApiError) as taken:
        browser.auth.sign_up({"email": email, "password": PASSWORD})
    with pytest.raises(AuthApiError) as wrong:
        browser.auth.sign_in_with_password({"email": email, "password": "wrong password"})
    with pytest.raises(AuthWeakPasswordError):
        browser.auth.sign_up({"email": _email(), "password": "12345"})
    assert (taken.value.code, wrong.value.code) == ("user_already_exists", "invalid_credentials")


def test_an_administrator_lists_reads_and_deletes_users(browser: Client, administrator: Client) -> None:
    user = browser.auth.sign_up({"email": _email(), "password": PASSWORD}).user
    assert user is not None
    assert user.id in {each.id for each in administrator.auth.admin.list_users(page=1, per_page=100)}
    assert administrator.auth.admin.get_user_by_id(user.id).user.email == user.email
    new = _email()
    changed = administrator.auth.admin.update_user_by_id(user.id, {"email": new, "user_metadata": {"name": "Ada"}}).user
    assert (changed.email, changed.user_metadata["name"]) == (new, "Ada")
    assert changed.updated_at is not None
    assert user.updated_at is not None
    assert changed.updated_at > user.updated_at
    administrator.auth.admin.delete_user(user.id)
    with pytest.raises(AuthApiError) as missing:
        administrator.auth.admin.get_user_by_id(user.id)
    assert missing.value.code == "user_not_found"


def test_a_browsers_key_opens_no_door_of_administrators(browser: Client) -> None:
    with pytest.raises(AuthApiError, match="User not allowed"):
        browser.auth.admin.list_users()


def test_an_access_token_says_what_supabases_tokens_say(issuer: TokenIssuer) -> None:
    session = issuer.sign_up(_email(), PASSWORD)
    claims = _verify(issuer, session.access_token)
    assert claims["sub"] == session.user_id
    assert claims.keys() >= {
        "iss", "aud", "exp", "iat", "sub", "role", "aal", "session_id", "email", "phone", "is_anonymous",
    }  # fmt: skip


def test_claims_of_a_made_token_can_be_changed_and_left_out(issuer: TokenIssuer) -> None:
    claims = _verify(issuer, issuer.access_token(email="someone@example.com", phone=None))
    assert claims["email"] == "someone@example.com"
    assert "phone" not in claims
    with pytest.raises(jwt.ExpiredSignatureError):
        _verify(issuer, issuer.access_token(exp=int(time.time()) - 60))


def test_a_withdrawn_key_verifies_nothing_any_more(issuer: TokenIssuer) -> None:
    old = issuer.access_token()
    issuer.rotate_key()
    assert _verify(issuer, old)["sub"]
    issuer.rotate_key(withdraw_old=True)
    with pytest.raises(KeyError):
        _verify(issuer, old)
    assert _verify(issuer, issuer.access_token())["sub"]


def test_accounts_outlive_a_restart_and_a_pause_is_silent(
    issuer: TokenIssuer, http: httpx.Client, browser: Client
) -> None:
    email = _email()
    issuer.sign_up(email, PASSWORD)
    issuer.restart()
    assert browser.auth.sign_in_with_password({"email": email, "password": PASSWORD}).user is not None
    issuer.pause()
    with pytest.raises(httpx.TimeoutException):
        httpx.get(f"{issuer.url}/auth/v1/health", timeout=0.5)
    issuer.resume()
    assert http.get(f"{issuer.url}/auth/v1/health").is_success


def test_a_malformed_request_is_refused_in_supabases_form(issuer: TokenIssuer, http: httpx.Client) -> None:
    headers = {"apikey": issuer.publishable_key}
    answers = [
        http.post(f"{issuer.url}/auth/v1/signup", content=b"{", headers=headers),
        http.post(f"{issuer.url}/auth/v1/token?grant_type=magic", json={}, headers=headers),
        http.get(f"{issuer.url}/auth/v1/user", headers={**headers, "Authorization": "Bearer not.a.token"}),
        http.get(f"{issuer.url}/auth/v1/user", headers=headers),
        http.post(f"{issuer.url}/auth/v1/signup", json={}),
    ]
    assert [answer.status_code for answer in answers] == [400, 400, 403, 401, 401]
    assert all(isinstance(answer.json()["msg"], str) for answer in answers)
    with pytest.raises(urllib.error.HTTPError):
        issuer.sign_up("no address", PASSWORD)
