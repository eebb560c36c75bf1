"""Handles stored events: each belongs to one process for a while, says what to look at, and may be handled again.

A process may die after any line. The event is taken again when its claim ends, and whatever it did before is found
done: what follows from an event depends on Stripe and the tables alone, and every grant has a name.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from types import MappingProxyType

from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from rekindle_api.billing.context import Billing
from rekindle_api.billing.errors import StripeUnavailableError
from rekindle_api.billing.events import SOURCE, SUBJECTS, Subject
from rekindle_api.billing.purchases import apply_customer, apply_intent, apply_invoice, apply_session
from rekindle_api.billing.subscriptions import apply_subscription
from rekindle_api.faults import Commit, at_commit
from rekindle_api.webhooks.models import WebhookEvent
from rekindle_api.webhooks.repository import WebhookRepository

_log = logging.getLogger(__name__)
# However long Stripe was away, so many other failures are borne before an event is set aside.
_FAILURES_LEFT = 4
_STOP_SECONDS = 5.0
_DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeoutError)
_APPLY: Mapping[Subject, Callable[[Billing, str], Awaitable[str]]] = MappingProxyType(
    {
        Subject.SESSION: apply_session,
        Subject.INVOICE: apply_invoice,
        Subject.SUBSCRIPTION: apply_subscription,
        Subject.PAYMENT: apply_intent,
        Subject.CUSTOMER: apply_customer,
    }
)


class StripeInbox:
    """The loop of one process."""

    def __init__(self, billing: Billing) -> None:
        self._billing = billing
        self._settings = billing.settings
        self._running: set[asyncio.Task[None]] = set()
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """Handle events for ever, several at a time; when cancelled, end those under way."""
        try:
            while True:
                self.wake.clear()
                for event in await self._claim():
                    task = asyncio.create_task(self.handle(event))
                    self._running.add(task)
                    task.add_done_callback(self._ended)
                try:
                    async with asyncio.timeout(self._settings.stripe_poll_seconds):
                        await self.wake.wait()
                except TimeoutError:
                    continue
        finally:
            await self._stop()

    async def drain(self) -> int:
        """Handle what is due now, one event after the other; return how many there were."""
        handled = 0
        while claimed := await self._claim():
            for event in claimed:
                await self.handle(event)
            handled += len(claimed)
        return handled

    async def handle(self, event: WebhookEvent) -> None:
        """Apply what one claimed event is about, and note how that went."""
        began = time.monotonic()
        try:
            outcome = await _apply(self._billing, event)
        except _DATABASE_AWAY as error:
            # Nothing can be noted: the event is taken again when its claim ends.
            _log.warning("event interrupted", extra={"event": event.external_id, "error": type(error).__name__})
            return
        except Exception as error:  # noqa: BLE001 - whatever one event meets is written on it, and stops no other
            await self._failed(event, error)
            return
        async with self._billing.database.transaction() as session:
            await WebhookRepository(session).finish(event.id, outcome)
            at_commit(session, Commit.EVENT_FINISHED)
        _log.info(
            "event handled",
            extra={
                "event": event.external_id,
                "type": event.type,
                "object": event.object_id,
                "outcome": outcome,
                "milliseconds": round((time.monotonic() - began) * 1000),
            },
        )

    async def _claim(self) -> list[WebhookEvent]:
        free = self._settings.stripe_events_at_once - len(self._running)
        if free <= 0:
            return []
        lease = timedelta(seconds=self._settings.stripe_claim_seconds)
        try:
            async with self._billing.database.transaction() as session:
                claimed = await WebhookRepository(session).claim(SOURCE, free, lease)
                if claimed:
                    at_commit(session, Commit.EVENT_CLAIMED)
                return claimed
        except SQLAlchemyError as error:
            _log.warning("inbox not readable", extra={"error": type(error).__name__})
            return []

    async def _failed(self, event: WebhookEvent, error: Exception) -> None:
        """Try an event again later; set it aside when it failed too often for a reason of its own."""
        settings, tries = self._settings, event.attempts
        away = isinstance(error, StripeUnavailableError)
        text = _words(error)
        extra = {"event": event.external_id, "type": event.type, "object": event.object_id, "error": text}
        async with self._billing.database.transaction() as session:
            inbox = WebhookRepository(session)
            if not away and tries >= settings.stripe_park_after:
                await inbox.park(event.id, text)
                at_commit(session, Commit.EVENT_PARKED)
                _log.error("event set aside: mend the cause, and have it handled again", extra=extra)
                return
            ceiling = min(settings.stripe_backoff_limit_seconds, settings.stripe_backoff_seconds * 2.0 ** (tries - 1))
            delay = ceiling * random.uniform(0.5, 1)  # noqa: S311 - jitter is no secret
            counted = min(tries, max(1, settings.stripe_park_after - _FAILURES_LEFT)) if away else tries
            await inbox.postpone(event.id, timedelta(seconds=delay), text, counted)
            at_commit(session, Commit.EVENT_POSTPONED)
        _log.warning("event postponed", extra={**extra, "seconds": round(delay, 1)})

    async def _stop(self) -> None:
        """Give events under way a moment; one that is cut off is taken again when its claim ends."""
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=_STOP_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self.wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("event broke off; it is taken again when its claim ends", exc_info=error)


def _words(error: Exception) -> str:
    """Return what may be written down of an error: the database's own words quote rows."""
    if isinstance(error, SQLAlchemyError):
        constraint = getattr(getattr(getattr(error, "orig", None), "diag", None), "constraint_name", None)
        return f"{type(error).__name__}: {constraint or 'refused by the database'}"
    return f"{type(error).__name__}: {getattr(error, 'cause', '') or error}"


async def _apply(billing: Billing, event: WebhookEvent) -> str:
    subject = SUBJECTS.get(event.type)
    if subject is None or event.object_id is None:
        return "nothing to look at"
    return await _APPLY[subject](billing, event.object_id)
