"""What becomes of a row when Supabase says something: in any order, twice, or with gaps, the end is the same."""

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.api.accounts.hooks import BEGIN, HASH, TOKEN, account_row

from rekindle_api.accounts.profile import percentage
from rekindle_api.accounts.reconciliation import is_credible
from rekindle_api.users.changes import Action, Standing, on_deletion, on_record
from rekindle_api.users.models import AccountStatus
from rekindle_api.users.names import checked_name, checked_picture
from rekindle_api.users.supabase import SupabaseUser

USER = uuid.uuid4()
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def record(minute: float = 0, **columns: object) -> SupabaseUser:
    return SupabaseUser.read(account_row(str(USER), minute, **columns))


@dataclass
class Row:
    """A row as the decisions would have it."""

    standing: Standing | None = None

    def see(self, notice: SupabaseUser | None) -> Action:
        """Apply a notice; None is a deletion."""
        change = on_deletion(self.standing, NOW) if notice is None else on_record(self.standing, notice, NOW)
        values = {name: value for name, value in change.values.items() if name != "deleted_at"}
        if values:
            self.standing = replace(self.standing or Standing(), **values)  # type: ignore[arg-type]
        return change.action


def test_a_record_is_created_updated_and_known() -> None:
    row = Row()

    assert row.see(record(0)) is Action.CREATED
    assert row.see(record(0)) is Action.SKIPPED
    assert row.see(record(1)) is Action.NO_CHANGES
    assert row.see(record(2, email="new@example.com")) is Action.UPDATED
    assert row.see(record(1, email="old@example.com")) is Action.SKIPPED
    assert row.standing is not None
    assert row.standing.email == "new@example.com"


def test_nothing_brings_a_deleted_account_back() -> None:
    row = Row()
    row.see(record(0))

    assert [row.see(None), row.see(None), row.see(record(9))] == [Action.DELETED, Action.SKIPPED, Action.SKIPPED]
    assert row.standing is not None
    assert row.standing.status is AccountStatus.DELETED
    assert row.standing.email is None


def test_a_deletion_that_overtakes_the_creation_leaves_a_tombstone() -> None:
    row = Row()

    assert [row.see(None), row.see(record(0))] == [Action.DELETED, Action.SKIPPED]


def test_an_account_that_is_marked_deleted_is_deleted() -> None:
    row = Row()
    row.see(record(0))

    assert row.see(record(1, deleted_at=BEGIN.isoformat())) is Action.DELETED


def test_an_anonymous_account_is_no_user_until_it_is_none() -> None:
    row = Row()

    assert row.see(record(0, is_anonymous=True, email="")) is Action.SKIPPED
    assert row.standing is None
    assert row.see(record(1)) is Action.CREATED


def test_names_that_the_owner_changed_here_are_kept() -> None:
    row = Row(Standing(first_name="Augusta", profile_changed_at=NOW))

    row.see(record(0, email="ada@example.com"))

    assert row.standing is not None
    assert (row.standing.first_name, row.standing.email) == ("Augusta", "ada@example.com")


def test_a_row_that_a_first_call_made_takes_over_any_record() -> None:
    row = Row(Standing(email="claimed@example.com"))

    assert row.see(record(-1000)) is Action.UPDATED


emails = st.sampled_from(["a@example.com", "b@example.com", None])
histories = st.lists(
    st.tuples(emails, st.booleans(), st.sampled_from(["Ada", "Grace", None]), st.booleans()), min_size=1, max_size=6
)


@given(histories, st.booleans(), st.randoms(use_true_random=False), st.data())
def test_any_order_duplication_and_loss_ends_in_the_same_state(
    history: list[tuple[str | None, bool, str | None, bool]],
    deleted: bool,
    random: Random,
    data: st.DataObject,
) -> None:
    notices: list[SupabaseUser | None] = [
        record(
            minute,
            email=email,
            email_confirmed_at=BEGIN.isoformat() if verified else None,
            raw_user_meta_data={"first_name": name} if name else None,
            banned_until=(NOW + timedelta(days=1)).isoformat() if banned else None,
        )
        for minute, (email, verified, name, banned) in enumerate(history)
    ]
    if deleted:
        notices.append(None)
    in_order = Row()
    for notice in notices:
        in_order.see(notice)

    # Whatever is lost, the last one arrives: by the comparison with Supabase's list, if by nothing else.
    kept = [*data.draw(st.lists(st.sampled_from(notices))), notices[-1]]
    random.shuffle(kept)
    shuffled = Row()
    for notice in kept:
        shuffled.see(notice)

    assert shuffled.standing is not None
    assert in_order.standing is not None
    if deleted:
        # A tombstone keeps the time of the newest record that it saw; nobody is told it.
        assert replace(shuffled.standing, supabase_updated_at=None) == replace(
            in_order.standing, supabase_updated_at=None
        )
    else:
        assert shuffled.standing == in_order.standing


def test_a_record_holds_nothing_but_what_is_taken_over() -> None:
    text = repr(record())

    for secret in (HASH, TOKEN, "+4930123456", "dark"):
        assert secret not in text


@pytest.mark.parametrize(
    "columns",
    [{"id": "root"}, {"id": None}, {"email": 7}, {"updated_at": "soon"}, {"banned_until": "a\0b"}, {"email": "a\0b"}],
)
def test_a_record_that_is_none_is_refused_without_being_quoted(columns: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        SupabaseUser.read(account_row() | columns)

    assert HASH not in str(refused.value)
    assert "soon" not in str(refused.value)


@pytest.mark.parametrize(
    ("metadata", "wanted"),
    [
        ({"first_name": "Ada", "last_name": "Lovelace"}, ("Ada", "Lovelace")),
        ({"given_name": "Ada", "family_name": "Lovelace"}, ("Ada", "Lovelace")),
        ({"full_name": "Ada King Lovelace"}, ("Ada", "King Lovelace")),
        ({"name": "Ada"}, ("Ada", None)),
        ({"first_name": "<script>", "last_name": 7}, (None, None)),
        ({"first_name": "x" * 101}, (None, None)),
        (None, (None, None)),
        ([], (None, None)),
    ],
)
def test_names_are_found_where_providers_put_them(metadata: object, wanted: tuple[str | None, str | None]) -> None:
    found = record(raw_user_meta_data=metadata)

    assert (found.first_name, found.last_name) == wanted


@pytest.mark.parametrize("name", ["Ada", "Zoë", "O'Neill-Smith", "Jean Luc", "李", "محمد", "प्रिया", "x" * 100, " Ada "])
def test_a_persons_name_is_taken(name: str) -> None:
    assert checked_name(name) == name.strip()


@pytest.mark.parametrize("name", ["R2D2", "<b>", "x" * 101, "-", "'", "Ada\nB", "A\0", "\ud800", "a_b", "💐"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"must|may"):
        checked_name(name)


@pytest.mark.parametrize(
    "url",
    [
        "http://x.example/a.jpg",
        "javascript:alert(1)",
        "https://",
        "https://u:p@x.example/",
        "https://x y",
        "https://[",
        "x" * 3000,
    ],
)
def test_what_is_no_https_picture_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"must be|Invalid IPv6|must not be longer"):
        checked_picture(url)


def test_nothing_is_no_name_and_no_picture() -> None:
    assert (checked_name(""), checked_name("  "), checked_picture("")) == (None, None, None)


@pytest.mark.parametrize(
    ("live", "found", "missing", "credible"),
    [
        (0, 0, 0, True),
        (5, 0, 5, False),
        (5, 1, 4, True),
        (1000, 900, 100, True),
        (1000, 700, 300, False),
        (20, 10, 10, True),
        (20, 9, 11, False),
    ],
)
def test_a_list_that_lacks_too_many_is_not_believed(live: int, found: int, missing: int, *, credible: bool) -> None:
    assert is_credible(live=live, found=found, missing=missing, share=0.2) is credible


@pytest.mark.parametrize(("used", "limit", "wanted"), [(0, 100, 0.0), (1, 3, 33.33), (300, 100, 300.0), (0, 0, 100.0)])
def test_the_used_part_of_the_storage_is_told_in_percent(used: int, limit: int, wanted: float) -> None:
    assert percentage(used, limit) == wanted
