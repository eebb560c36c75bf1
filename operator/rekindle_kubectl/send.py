"""`restore` and `animate`: photos go up, jobs are made and followed, results come down."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field

from rekindle_crds import OutputName, Phase
from rekindle_crds.crd import ANIMATION_JOB, RESTORE_JOB
from rekindle_kubectl.again import retry
from rekindle_kubectl.asking import orders_of
from rekindle_kubectl.cluster import Cluster
from rekindle_kubectl.errors import ClusterError, PluginError, StorageError
from rekindle_kubectl.follow import follow, tell_end
from rekindle_kubectl.jobs import Job, read, reference
from rekindle_kubectl.orders import Order, same_work
from rekindle_kubectl.screen import Screen, open_screen, report
from rekindle_kubectl.storage import Storage, in_the_way
from rekindle_kubectl.words import size

_CONFLICT = 409


def run(options: argparse.Namespace, cluster: Cluster) -> int:
    """Make a job for each photo and, unless told otherwise, wait for the results.

    Returns:
        0 when every photo has its result, or its job when nothing is waited for; 1 otherwise.
    """
    orders = orders_of(options, cluster, RESTORE_JOB if options.command == "restore" else ANIMATION_JOB)
    with open_screen() as screen:
        delivery = _Delivery(cluster, Storage(), screen, wait=options.wait, force=options.force)
        try:
            complete = delivery.place_all(orders)
            if options.wait:
                jobs = [job for job, _ in delivery.placed.values()]
                return 0 if follow(cluster, jobs, screen, delivery.ended, options.timeout) and complete else 1
        except KeyboardInterrupt:
            screen.close()
            delivery.part()
            raise
        if delivery.placed:
            screen.say(f"Not waited for: {' '.join(delivery.placed)}")
            screen.say("The same command without --no-wait follows, and saves the results.")
    return 0 if complete else 1


@dataclass
class _Delivery:
    """The jobs of one command line."""

    cluster: Cluster
    storage: Storage
    screen: Screen
    wait: bool
    force: bool
    placed: dict[str, tuple[Job, Order]] = field(default_factory=dict)
    """Jobs that exist, and what was ordered, by the name of the job."""

    def place_all(self, orders: Sequence[Order]) -> bool:
        """Make the jobs one after another, and return whether all exist: those that do are looked after in any case."""
        complete = True
        for order in orders:
            try:
                job = self._place(order)
            except PluginError as error:
                report(f"{order.photo.argument}: {error}")
                complete = False
                if isinstance(error, ClusterError | StorageError):
                    break  # it is not the photo: the next one would fare no better
            else:
                self.placed[reference(job)] = (job, order)
        return complete

    def ended(self, job: Job) -> bool:
        """Tell how a job ended, save its result, and return whether there is one."""
        return tell_end(self.screen, job) and self._save(job)

    def part(self) -> None:
        """Say how to go on with jobs that are left alone."""
        if self.placed:
            names = " ".join(self.placed)
            self.screen.say(f"The jobs go on: {names}")
            self.screen.say("To follow them again and save the results, run the same command again.")
            self.screen.say(f"To stop them: kubectl rekindle cancel {names}")

    def _place(self, order: Order) -> Job:
        """Return the job of an order: the one that does it already, one that tries again, or a new one."""
        job = self.cluster.job(order.resource, order.name)
        if job is None:
            made = self._make(order)
            if made is not None:
                return made
            job = self.cluster.job(order.resource, order.name)
        if job is None:
            raise PluginError(f"{order.reference} was deleted while it was made; try again.")
        if not same_work(order.body, job):
            raise PluginError(f"{order.reference} exists and does something else: choose another --name.")
        if job.status.phase not in {Phase.FAILED, Phase.CANCELLED}:
            self.screen.say(f"{order.reference} exists already")
            return job
        following, _ = retry(self.cluster, job)
        before = "failed" if job.status.phase == Phase.FAILED else "was cancelled"
        self.screen.say(f"{order.reference} {before} earlier; {reference(following)} tries again")
        return following

    def _make(self, order: Order) -> Job | None:
        """Upload the photo and make the job; None when somebody else has just made it."""
        photo = order.photo
        if self.wait and order.target.exists() and not self.force:
            raise in_the_way(order.target)
        if photo.path is not None and photo.source is not None:
            self.storage.upload(photo.path, photo.source, photo.digest)
            self.screen.say(f"{photo.path} is uploaded ({size(photo.path.stat().st_size)})")
        try:
            body = self.cluster.create(order.resource.plural, order.body)
        except ClusterError as error:
            if error.status == _CONFLICT:
                return None
            raise
        self.screen.say(f"{order.reference} is made")
        return read(body)

    def _save(self, job: Job) -> bool:
        """Save the result of a job; False when that was not possible, which is said."""
        outcome, target = job.status.result, self.placed[reference(job)][1].target
        outputs = outcome.outputs if outcome is not None else []
        result = next((output for output in outputs if output.name == OutputName.RESULT), None)
        if outcome is None or result is None:
            report(f"{reference(job)} names no result.")
            return False
        try:
            fresh = self.storage.download(job.spec.output, result.key, result.sha256, target, force=self.force)
        except PluginError as error:
            report(str(error))
            return False
        words = f"{result.width}x{result.height}, {size(result.bytes)}"
        self.screen.say(f"  {target} ({words})" if fresh else f"  {target} is there already")
        for warning in outcome.warnings:
            self.screen.say(f"  note: {warning}", "yellow")
        return True
