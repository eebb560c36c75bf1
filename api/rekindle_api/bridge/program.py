"""The commands `rekindle-api bridge` and `rekindle-api sweep`: settings, clients, tasks and signals."""

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Protocol

from kubernetes.aio.config import ConfigException

from rekindle_api import logs
from rekindle_api.accounts.purge import Purge
from rekindle_api.accounts.reconciliation import Reconciliation
from rekindle_api.attempts.charges import check_ledger
from rekindle_api.billing.comparison import Comparison
from rekindle_api.billing.context import Billing
from rekindle_api.billing.deletion import cancel_for_deletion
from rekindle_api.billing.inbox import StripeInbox
from rekindle_api.bridge.cluster import Cluster
from rekindle_api.bridge.health import Health
from rekindle_api.bridge.inbox import Inbox
from rekindle_api.bridge.listener import listen
from rekindle_api.bridge.metrics import Metrics
from rekindle_api.bridge.recorder import Recorder
from rekindle_api.bridge.relay import Relay
from rekindle_api.bridge.repair import Repair
from rekindle_api.bridge.resources import KINDS
from rekindle_api.bridge.settings import BridgeSettings, SweepSettings
from rekindle_api.bridge.sweep import Sweep
from rekindle_api.bridge.watch import ResourceWatch
from rekindle_api.credits.expiry import expire_credits
from rekindle_api.database import Database
from rekindle_api.idempotency.expiry import delete_expired
from rekindle_api.outbox.models import OUTBOX_CHANNEL
from rekindle_api.photos.expiry import clear_incoming, expire
from rekindle_api.photos.models import FORM_LIFE
from rekindle_api.rates.unused import forget_unused
from rekindle_api.settings import (
    AccountSettings,
    AuthSettings,
    ClusterSettings,
    DatabaseSettings,
    LogSettings,
    PlanSettings,
    StorageSettings,
    StripeSettings,
    SupabaseSettings,
    read,
)
from rekindle_api.storage import ObjectStorage
from rekindle_api.users.directory import Directory, directory_from
from rekindle_api.webhooks.models import WEBHOOK_CHANNEL

_log = logging.getLogger(__name__)


def run_bridge() -> int:
    """Run the bridge until SIGTERM or SIGINT; return the exit status.

    Raises:
        InvalidSettingsError: the environment is not complete.
    """
    settings = read(BridgeSettings)
    return _run(lambda: _bridge(settings))


def run_sweep() -> int:
    """Do one sweep; return the exit status: 1 when something could not be deleted and is left for the next.

    Raises:
        InvalidSettingsError: the environment is not complete.
    """
    settings = read(SweepSettings)
    return _run(lambda: _sweep(settings))


def _run(command: Callable[[], Coroutine[Any, Any, int]]) -> int:
    logs.configure(read(LogSettings).log_level)
    try:
        return asyncio.run(command())
    except ConfigException as error:
        sys.stderr.write(f"rekindle-api: no way to Kubernetes: {error}. Set KUBECONFIG, or run it in a pod.\n")
        return 2


@asynccontextmanager
async def _parts(request_seconds: float) -> AsyncIterator[tuple[Database, ObjectStorage, Cluster]]:
    """Open the three things that the bridge stands between."""
    async with AsyncExitStack() as stack:
        database = Database(read(DatabaseSettings))
        stack.push_async_callback(database.close)
        storage = ObjectStorage(read(StorageSettings))
        stack.callback(storage.close)
        namespace = read(ClusterSettings).rekindle_namespace
        cluster = await stack.enter_async_context(Cluster.connect(namespace, request_seconds))
        yield database, storage, cluster


@asynccontextmanager
async def _payments(database: Database) -> AsyncIterator[Billing | None]:
    """Open the way to Stripe, if anything is sold."""
    billing = Billing.open(database, read(StripeSettings), read(PlanSettings))
    try:
        yield billing
    finally:
        if billing is not None:
            await billing.close()


async def _bridge(settings: BridgeSettings) -> int:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with (
        _parts(settings.bridge_request_seconds) as (database, storage, cluster),
        _payments(database) as billing,
    ):
        metrics = Metrics()
        recorder = Recorder(database, storage, metrics, settings.bridge_vanished_seconds)
        relay = Relay(database, cluster, recorder, metrics, settings)
        inbox = Inbox(recorder.record, metrics)
        watches = [
            ResourceWatch(cluster.of(kind), recorder, inbox, metrics, settings.bridge_silence_seconds)
            for kind in KINDS.values()
        ]
        repair = Repair(database, cluster, recorder, metrics)
        loops = [
            relay.run(),
            listen(database, OUTBOX_CHANNEL, relay.wake),
            *(watch.run() for watch in watches),
            *(inbox.work() for _ in range(settings.bridge_sightings_at_once)),
            repair.run(settings.bridge_repair_seconds),
        ]
        if billing is not None:
            events = StripeInbox(billing)
            loops += [events.run(), listen(database, WEBHOOK_CHANNEL, events.wake)]
        if settings.bridge_port:
            loops.append(Health(database, watches, metrics).serve(settings.bridge_host, settings.bridge_port))
        _log.info("bridge started", extra={"namespace": cluster.namespace})
        await _until(stopped, loops)
        _log.info("bridge stopped")
    return 0


async def _until(stopped: asyncio.Event, loops: list[Coroutine[Any, Any, None]]) -> None:
    """Run the loops until `stopped` is set. A loop that ends by itself ends the process: it is started anew, whole."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    end = asyncio.create_task(stopped.wait())
    try:
        ended, _ = await asyncio.wait([*tasks, end], return_when=asyncio.FIRST_COMPLETED)
        for task in ended - {end}:
            task.result()
            raise RuntimeError("a loop of the bridge ended by itself")
    finally:
        for task in (*tasks, end):
            task.cancel()
        await asyncio.gather(*tasks, end, return_exceptions=True)


class _Done(Protocol):
    """What a pass of the sweep did; its text is the summary line. `failures` counts what is left for the next."""

    failures: int


@asynccontextmanager
async def _directory() -> AsyncIterator[Directory | None]:
    """Open the way to Supabase's list of accounts, if there is a key for it."""
    settings = read(SupabaseSettings)
    directory = directory_from(settings, read(AuthSettings).issuer) if settings.supabase_service_key else None
    try:
        yield directory
    finally:
        if directory is not None:
            await directory.close()


async def _sweep(settings: SweepSettings) -> int:
    async with (
        _parts(request_seconds=30) as (database, storage, cluster),
        _payments(database) as billing,
        _directory() as directory,
    ):
        plans, accounts = read(PlanSettings), read(AccountSettings)
        end_billing = partial(cancel_for_deletion, billing) if billing is not None else None
        passes: dict[str, Callable[[], Awaitable[_Done]]] = {}
        if directory is not None:
            passes["supabase"] = Reconciliation(database, directory, plans, accounts).run
        passes |= {
            "accounts": Purge(database, directory, end_billing, accounts).run,
            "idempotency": lambda: delete_expired(database),
            "rates": lambda: forget_unused(database),
            "retention": lambda: expire(database, plans),
            "forms": lambda: clear_incoming(database, storage, FORM_LIFE),
            "erasure": lambda: Sweep(database, storage, cluster, settings).sweep(),
        }
        if billing is not None:
            passes["stripe"] = Comparison(billing).compare
        passes |= {"credits": lambda: expire_credits(database), "ledger": lambda: check_ledger(database)}
        statuses = [await _pass(name, work) for name, work in passes.items()]
    return max(statuses)


async def _pass(name: str, work: Callable[[], Awaitable[_Done]]) -> int:
    """Do one pass of the sweep and print its line; return the exit status. One that fails stops no other."""
    try:
        done = await work()
    except Exception:  # noqa: BLE001 - whatever it is, it is told, and the other passes go on
        _log.exception("a pass of the sweep failed", extra={"pass": name})
        return 1
    sys.stdout.write(f"{done}\n")
    return 1 if done.failures else 0
