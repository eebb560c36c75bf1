"""From the options of `restore` and `animate` to what is asked for: reads files and names, changes nothing."""

import argparse
import os
import re
from pathlib import Path

from rekindle_crds import AnimationParameters, RestoreParameters
from rekindle_crds.crd import RESTORE_JOB, Resource
from rekindle_crds.meta import DNS_SUBDOMAIN
from rekindle_kubectl.cluster import Cluster
from rekindle_kubectl.errors import PluginError, UsageError
from rekindle_kubectl.jobs import parse_name
from rekindle_kubectl.options import parameters
from rekindle_kubectl.orders import Order, Photo, Wishes, check_distinct, file_photo, object_photo, order_of
from rekindle_kubectl.storage import digest_of


def orders_of(options: argparse.Namespace, cluster: Cluster, resource: Resource) -> list[Order]:
    """Return one order for each photo; a mistake in the last of them leaves nothing half done.

    Raises:
        UsageError: The options make no sense.
        PluginError: A photo cannot be found.
    """
    if options.name is not None and len(options.photos) > 1:
        raise UsageError("--name is for one photo; several get names of their own.")
    if options.name is not None and not re.fullmatch(DNS_SUBDOMAIN, options.name):
        raise UsageError(f"--name {options.name!r}: a name has lower-case letters, digits, '-' and '.' only.")
    if options.output is not None and not options.output.is_dir():
        raise UsageError(f"-o {options.output}: there is no such folder.")
    restores = resource is RESTORE_JOB
    wishes = Wishes(
        parameters(options, RestoreParameters) if restores else parameters(options, AnimationParameters),
        bucket=options.bucket or os.environ.get("REKINDLE_BUCKET") or None,
        prefix=options.prefix.strip("/"),
        name=options.name,
        engine=options.engine,
        priority=options.priority,
        queue=options.queue,
        folder=options.output,
    )
    orders = []
    for argument in options.photos:
        photo, bucket = _photo(argument, wishes, cluster, resource)
        orders.append(order_of(resource, photo, wishes, bucket))
    check_distinct(orders)
    return orders


def _photo(argument: str, wishes: Wishes, cluster: Cluster, resource: Resource) -> tuple[Photo, str | None]:
    """Return the photo that an argument names and, for the result of a RestoreJob, its bucket."""
    if argument.startswith("s3://"):
        return object_photo(argument), None
    path = Path(argument)
    if path.is_file():
        try:
            return file_photo(path, digest_of(path), wishes.bucket, wishes.prefix), None
        except OSError as error:
            raise PluginError(f"{path}: {error.strerror}") from error
    if resource is RESTORE_JOB:
        raise PluginError(f"{argument}: there is no such file. An object in S3 is named s3://BUCKET/KEY.")
    return _restored(argument, cluster)


def _restored(argument: str, cluster: Cluster) -> tuple[Photo, str]:
    """Return the result of the RestoreJob that an argument names."""
    kinds, name = parse_name(argument) if argument.count("/") <= 1 else ((), argument)
    job = cluster.job(RESTORE_JOB, name) if RESTORE_JOB in kinds else None
    if job is None:
        raise PluginError(f"{argument}: there is neither such a file nor such a RestoreJob.")
    return Photo(argument, name, restore_job=name), job.spec.output.bucket
