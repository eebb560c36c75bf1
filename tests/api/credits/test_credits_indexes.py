"""Among 10,000 users and 50,000 entries nothing that a request does to credits reads a whole table."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import event

from rekindle_api.credits import service
from rekindle_api.credits.models import LotSource
from rekindle_api.credits.repository import CreditRepository, users_with_expired_credits

if TYPE_CHECKING:
    from tests.api.conftest import Soon
    from tests.api.credits.conftest import Ledger

pytestmark = [pytest.mark.stack, pytest.mark.slow]
USERS = 10_000
FILL = """
    INSERT INTO users (id, supabase_user_id, email, email_verified_at)
        SELECT md5('user' || n)::uuid, md5('supabase' || n)::uuid, 'user' || n || '@example.com', now()
        FROM generate_series(1, {users}) n;
    INSERT INTO credit_accounts (user_id) SELECT md5('user' || n)::uuid FROM generate_series(1, {users}) n;
    INSERT INTO credit_lots (id, user_id, source, source_reference, granted, remaining, held, expires_at)
        SELECT md5('free' || n)::uuid, md5('user' || n)::uuid, 'free', md5('user' || n)::uuid::text, 3, 3, 0, NULL
        FROM generate_series(1, {users}) n;
    INSERT INTO credit_lots (id, user_id, source, source_reference, granted, remaining, held, expires_at)
        SELECT md5('pack' || n)::uuid, md5('user' || n)::uuid, 'top_up', 'cs_' || n, 20, 14, 0,
            now() + make_interval(days => n % 300 + 1)
        FROM generate_series(1, {users}) n;
    INSERT INTO credit_entries (user_id, lot_id, kind, amount, reference, description)
        SELECT md5('user' || n)::uuid, md5('free' || n)::uuid, 'granted', 3, 'free' || n, 'Free credits'
        FROM generate_series(1, {users}) n;
    INSERT INTO credit_entries (user_id, lot_id, kind, amount, reference, description)
        SELECT md5('user' || n)::uuid, md5('pack' || n)::uuid, 'granted', 20, 'cs_' || n, 'A pack'
        FROM generate_series(1, {users}) n;
    INSERT INTO credit_entries (user_id, lot_id, kind, amount, reference, attempt_id, description)
        SELECT md5('user' || n)::uuid, md5('pack' || n)::uuid, 'spent', -2, 'attempt' || n || ' ' || m,
            md5('attempt' || n || ' ' || m)::uuid, 'Restoration'
        FROM generate_series(1, 3) m, generate_series(1, {users}) n;
    INSERT INTO credit_holds (attempt_id, user_id, credits, description, state, resolved_at)
        SELECT md5('attempt' || n || ' 1')::uuid, md5('user' || n)::uuid, 2, 'Restoration', 'captured', now()
        FROM generate_series(1, {users}) n;
    INSERT INTO credit_hold_parts (attempt_id, lot_id, credits)
        SELECT md5('attempt' || n || ' 1')::uuid, md5('pack' || n)::uuid, 2 FROM generate_series(1, {users}) n;
    INSERT INTO free_credit_claims (email_sha256)
        SELECT encode(sha256(('user' || n || '@example.com')::bytea), 'hex') FROM generate_series(1, {users}) n
"""
SEQUENTIAL = "SELECT relname, coalesce(seq_scan, 0), coalesce(idx_scan, 0) FROM pg_stat_user_tables"


@dataclass(frozen=True)
class Statement:
    text: str
    parameters: Any

    def plan(self, connection: "psycopg.Connection[Any]") -> dict[str, Any]:
        [[[plan]]] = connection.execute(f"EXPLAIN (FORMAT JSON) {self.text}".encode(), self.parameters).fetchall()
        return dict(plan["Plan"])


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


async def everything(ledger: "Ledger") -> None:
    """Do once whatever requests, payments and the bridge do to credits."""
    user = await ledger.user("somebody@example.com")
    async with ledger.database.transaction() as session:
        await service.ensure_account(session, user, ledger.plans)
        repository = CreditRepository(session, user.id)
        await repository.account()
        await repository.stock()
        await repository.entries(None, 50)
        await repository.entries(20_000, 50)
    await ledger.grant(user, 10, reference="cs_new")
    await ledger.settle(user, await ledger.hold(user, 4), 2)
    await ledger.settle(user, await ledger.hold(user, 4), 0)
    await ledger.reverse(user, 10, source=LotSource.TOP_UP, source_reference="cs_new", reference="re_new")
    await ledger.adjust(user, -1)
    await ledger.expire(user)
    async with ledger.database.transaction() as session:
        await service.restore_reversed(
            session, user.id, reversal_reference="re_new", reference="re_new won", description="Won"
        )
        await users_with_expired_credits(session, None, 100)
        await users_with_expired_credits(session, uuid.uuid4(), 100)


async def test_credits_are_found_by_indexes_only(ledger: "Ledger", migrated_url: str, soon: "Soon") -> None:
    statements: list[Statement] = []

    def collect(_connection: object, _cursor: object, text: str, parameters: Any, *_: object) -> None:
        statements.append(Statement(text, parameters))

    with psycopg.connect(migrated_url, autocommit=True) as connection:
        connection.execute(FILL.format(users=USERS).encode())
        connection.execute("VACUUM ANALYZE")
        assert connection.execute("SELECT count(*) FROM credit_entries").fetchone() == (5 * USERS,)
        connection.execute("SELECT pg_stat_force_next_flush()")
        before = {name: (sequential, indexed) for name, sequential, indexed in connection.execute(SEQUENTIAL.encode())}

        engine = ledger.database._engine
        event.listen(engine.sync_engine, "before_cursor_execute", collect)
        await everything(ledger)
        event.remove(engine.sync_engine, "before_cursor_execute", collect)

        about_credits = [each for each in statements if "credit" in each.text]
        assert len(about_credits) > 40
        for statement in about_credits:
            for node in nodes(statement.plan(connection)):
                assert node["Node Type"] != "Seq Scan", f"{node['Relation Name']}: {statement.text}"

        # What triggers and foreign keys read shows in the counters, which a connection leaves when it is closed.
        await engine.dispose()
        seen: dict[str, tuple[int, int]] = {}

        def counted() -> bool:
            seen.update({name: (one, other) for name, one, other in connection.execute(SEQUENTIAL.encode())})
            return bool(seen["credit_accounts"][1] > before["credit_accounts"][1] + 20)

        await soon(counted)
        tables = [name for name in seen if name == "users" or "credit" in name]
        assert {name: seen[name][0] for name in tables} == {name: before[name][0] for name in tables}
