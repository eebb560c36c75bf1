"""What is done with the chart on a real node, one step after the other. Each proves what it says, or fails."""

import io
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image
from tests.cluster.reach import reached, stand_in
from tests.cluster.release import CHARTS, Providers, Release
from tests.cluster.rights import compare
from tests.e2e.photos import damaged_photo

from rekindle_crds import Label
from rekindle_dev import helm
from rekindle_dev.cluster import Cluster
from rekindle_dev.controlplane import audit
from rekindle_dev.images.building import LIVE, TARGETS, build, make_base, size_bytes
from rekindle_dev.visitor import Visitor, fetch

FIRST, SECOND = "e2e-1", "e2e-2"
SOURCE = Path(__file__).parents[2]
_API_SERVER = "kubernetes.default.svc.cluster.local:443"
_PROGRAMS = {
    "api": "api/rekindle_api/cli.py",
    "bridge": "api/rekindle_api/cli.py",
    "operator": "operator/rekindle_operator/cli.py",
}
_WAIT_SECONDS = 180.0


class StepError(Exception):
    """A step found something else than it should."""


class Journey:
    """Two releases on one node, from their images to their end."""

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        self.directory = directory
        self.figures: dict[str, str] = {}
        self._say = say
        self._stack = ExitStack()

    def close(self) -> None:
        """Take the node away."""
        self._stack.close()

    def build_images(self) -> None:
        """Build every image, on a base of this machine's own."""
        base = make_base(self.directory)
        for target in (*TARGETS, *LIVE):
            archive = self.directory / f"{target}.tar"
            name = build(target, source=SOURCE, base=base, tag=FIRST, archive=archive)
            if target in TARGETS:
                over = (size_bytes(name) - size_bytes(base)) / 1e6
                self.figures[f"image {target}, over its base"] = f"{over:.0f} MB"

    def start_node(self) -> None:
        """Start Kubernetes, give the node the images under two tags, and install the custom resources."""
        self.cluster = self._stack.enter_context(Cluster.start(self.directory / "node", say=self._say))
        for target in TARGETS:
            self.cluster.load(self.directory / f"{target}.tar")
            self.cluster.tag(f"localhost/rekindle-{target}:{FIRST}", f"localhost/rekindle-{target}:{SECOND}")
        for target in LIVE:
            self.cluster.load(self.directory / f"{target}.tar")
        helm.run("install", "rekindle-crds", CHARTS / "rekindle-crds", kubeconfig=self._kubeconfig)

    def install(self) -> None:
        """Install a try-out and a staging environment into two namespaces, held to Pod Security `restricted`."""
        self.dev = Release(self.cluster, "photos-dev", FIRST, self.directory, None)
        providers = Providers.install(self.cluster, "providers", FIRST)
        self.staging = Release(self.cluster, "photos-staging", FIRST, self.directory, providers)
        began = time.monotonic()
        self.dev.install()
        self.figures["a release, from nothing to ready"] = f"{time.monotonic() - began:.0f} s"
        self.staging.install()

    def test_release(self) -> None:
        """`helm test` finds nothing missing."""
        said = self.dev.test()
        _demand("Succeeded" in said, said)

    def restore_and_animate(self) -> None:
        """A user uploads a damaged photo, has it restored and animated, and downloads both."""
        with self.dev.visitor() as visitor:
            began = time.monotonic()
            photo_id, attempt_id = _restored(visitor, damaged_photo(seed=1))
            self.figures["a photo restored, from upload to result"] = f"{time.monotonic() - began:.1f} s"
            _demand_changed(damaged_photo(seed=1), visitor.download(photo_id)[0])
            began = time.monotonic()
            animation_id = visitor.animate(photo_id, attempt_id)
            video = fetch(visitor.follow_animation(photo_id, animation_id, _quiet))[0]
            self.figures["its animation"] = f"{time.monotonic() - began:.1f} s"
            with av.open(io.BytesIO(video), "r") as container:
                _demand(sum(1 for _ in container.decode(video=0)) > 24, "the video is shorter than a second")

    def keep_apart(self) -> None:
        """The other environment works beside it, and neither has anything of the other's."""
        before = {job["metadata"]["name"] for job in self.dev.items("restorejobs")}
        with self.staging.visitor() as visitor:
            _restored(visitor, damaged_photo(seed=2))
        _demand({job["metadata"]["name"] for job in self.dev.items("restorejobs")} == before, "dev has a new job")
        _demand(len(self.staging.items("restorejobs")) == 1, "staging has not just its own job")

    def kill_operator(self) -> None:
        """The operator that acts is killed while a job runs; the job ends well, and ran once."""
        with self.dev.visitor() as visitor:
            photo_id = visitor.upload("large.jpg", damaged_photo(2048, seed=3))
            attempt_id = visitor.restore(photo_id)
            self._until_running(self.dev)
            holder = self.dev.kubectl("get", "lease", "rekindle-operator", "-o", "jsonpath={.spec.holderIdentity}")
            pods = self.dev.items("pods")
            [leader] = [pod["metadata"]["name"] for pod in pods if pod["metadata"]["uid"] == holder]
            self.dev.kubectl("delete", "pod", leader, "--force", "--grace-period=0")
            visitor.follow_restoration(photo_id, attempt_id, _quiet)
        _demand_one_run(self.dev, attempt_id)

    def upgrade(self) -> None:
        """Both go over to other images, staging from the first chart, while a job runs: it ends well, and ran once."""
        for release in (self.dev, self.staging):
            with release.visitor() as visitor:
                attempt_id = visitor.restore(visitor.upload("large.jpg", damaged_photo(2048, seed=4)))
                self._until_running(release)
                began = time.monotonic()
                release.upgrade(SECOND)
                self.figures[f"an upgrade of all programs, {release.namespace}"] = f"{time.monotonic() - began:.0f} s"
            self._until(partial(_succeeded, release, attempt_id), "the job ends well")
            _demand_one_run(release, attempt_id)
            images = {
                container["image"]
                for deployment in release.items("deployments", "-l", "app.kubernetes.io/component!=tryout")
                for container in deployment["spec"]["template"]["spec"]["containers"]
            }
            _demand(all(image.endswith(f":{SECOND}") for image in images), f"images are {images}")

    def hold_policies(self) -> None:
        """The node's firewall lets each pod reach what its NetworkPolicies say, by packets tried from inside of it."""
        near, far = "rekindle-tryout", f"rekindle-tryout.{self.dev.namespace}"
        parts = {name: f"{near}:{port}" for name, port in (("database", 5432), ("s3", 9000), ("issuer", 9999))}
        api, operator = "rekindle-api:80", "rekindle-operator:8080"
        everything = {*parts.values(), api, operator, _API_SERVER}
        stand_in(self.dev, "worker-like", {Label.JOB_KIND: "RestoreJob"})
        stand_in(self.staging, "stranger", {})
        for release, pod, targets, wanted in (
            (self.dev, "worker-like", everything, {parts["s3"]}),
            # A pod may always reach itself.
            (self.dev, "deploy/rekindle-operator", everything - {operator}, {_API_SERVER}),
            (self.dev, "deploy/rekindle-api", everything - {api}, set(parts.values())),
            (self.dev, "deploy/rekindle-bridge", everything, {*parts.values(), _API_SERVER}),
            (self.staging, "stranger", {f"{far}:5432", f"{far}:9000", _API_SERVER}, {_API_SERVER}),
        ):
            found = partial(reached, release, pod, targets)
            self._until(partial(_equal, found, wanted), f"{pod} reaches {wanted}", partial(_text, found))
        self.dev.kubectl("delete", "pod", "worker-like")
        self.staging.kubectl("delete", "pod", "stranger")

    def sweep(self) -> None:
        """The CronJob's run ends well: nothing fails, and the ledger adds up."""
        self._until(
            lambda: any(
                job["status"].get("succeeded") and job["metadata"]["name"].startswith("rekindle-sweep")
                for job in self.dev.items("jobs")
            ),
            "a sweep has ended well",
        )

    def compare_rights(self) -> None:
        """No program was refused anything by the API server."""
        requests = [each for each in audit.read(self.cluster.control_plane.audit_log) if each.namespace == "photos-dev"]
        comparison = compare(self.dev.items("roles"), self.dev.items("rolebindings"), requests)
        _demand(not comparison.refused, f"refused: {', '.join(map(str, comparison.refused))}")
        _demand(bool(comparison.used), "the audit log tells of nothing")
        self._say(f"granted and not used here: {', '.join(map(str, comparison.unused)) or 'nothing'}")

    def develop(self) -> None:
        """What `skaffold dev` relies on: a file that is copied into a running container starts its program again."""
        live = [f"images.{program}.repository=rekindle-{program}-live" for program in ("api", "operator")]
        self.dev.upgrade(FIRST, *live, "operator.replicas=1")
        for component, source in _PROGRAMS.items():
            mark = f"{component} was changed while it ran"
            changed = f"import sys\n\nsys.stderr.write({mark + chr(10)!r})\n" + (SOURCE / source).read_text("utf-8")
            pod = self.dev.copy_into(component, f"/tmp/live/{source.partition('/')[2]}", changed)
            log = partial(self.dev.kubectl, "logs", pod, "-c", component)
            self._until(partial(_says, log, mark), f"the {component} takes what was changed", log)
        self.dev.kubectl("rollout", "status", "deployment", "--timeout=120s")

    def uninstall(self) -> None:
        """Results and custom resources stay; nothing else of the release does, and the other environment works on."""
        jobs = {f"restorejob.rekindle.dev/{job['metadata']['name']}" for job in self.dev.items("restorejobs")}
        jobs |= {f"animationjob.rekindle.dev/{job['metadata']['name']}" for job in self.dev.items("animationjobs")}
        self.dev.uninstall()
        self._until(lambda: not self._remains(jobs), "only results are left", lambda: f"left: {self._remains(jobs)}")
        _demand(jobs <= set(self.dev.left()), "results are gone")
        with self.staging.visitor() as visitor:
            _restored(visitor, damaged_photo(seed=5))
        helm.run("uninstall", "rekindle-crds", kubeconfig=self._kubeconfig)
        _demand(jobs <= set(self.dev.left()), "results went with the chart of the custom resources")

    @property
    def _kubeconfig(self) -> Path:
        return self.cluster.control_plane.kubeconfig

    def _remains(self, kept: set[str]) -> set[str]:
        # What the operator has made belongs to the jobs, and is gone with them.
        return {
            name
            for name in self.dev.left()
            if name not in kept and not name.startswith(("job.batch/r-", "job.batch/a-", "pod/r-", "pod/a-"))
        }

    def _until_running(self, release: Release) -> None:
        self._until(
            lambda: any(job.get("status", {}).get("phase") == "Running" for job in release.items("restorejobs")),
            "the job runs",
        )

    def _until(self, check: Callable[[], bool], wanted: str, found: Callable[[], str] = lambda: "") -> None:
        deadline = time.monotonic() + _WAIT_SECONDS
        while not check():
            _demand(time.monotonic() < deadline, f"not within {_WAIT_SECONDS:.0f} s: {wanted}. {found()}")
            time.sleep(0.5)


def _restored(visitor: Visitor, photo: bytes) -> tuple[str, str]:
    photo_id = visitor.upload("photo.jpg", photo)
    attempt_id = visitor.restore(photo_id)
    visitor.follow_restoration(photo_id, attempt_id, _quiet)
    return photo_id, attempt_id


def _equal(found: Callable[[], set[str]], wanted: set[str]) -> bool:
    return found() == wanted


def _text(found: Callable[[], set[str]]) -> str:
    return f"It reaches {found()}"


def _says(log: Callable[[], str], mark: str) -> bool:
    return mark in log()


def _status(release: Release, attempt_id: str) -> dict[str, Any]:
    name = f"r-{attempt_id.replace('-', '')}"
    status: dict[str, Any] = json.loads(release.kubectl("get", "restorejob", name, "-o", "json"))["status"]
    return status


def _succeeded(release: Release, attempt_id: str) -> bool:
    return bool(_status(release, attempt_id)["phase"] == "Succeeded")


def _demand_one_run(release: Release, attempt_id: str) -> None:
    status = _status(release, attempt_id)
    _demand(status["phase"] == "Succeeded", f"the job is {status['phase']}")
    _demand(len(status["attempts"]) == 1, f"it took {len(status['attempts'])} attempts")


def _quiet(_percent: int, _stage: str) -> None:
    return


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise StepError(otherwise)


def _demand_changed(before: bytes, after: bytes) -> None:
    """The result is a picture of the same size that is not the one that was sent."""
    with Image.open(io.BytesIO(before)) as sent, Image.open(io.BytesIO(after)) as made:
        _demand(sent.size == made.size, f"{made.size} instead of {sent.size}")
        change = np.abs(np.asarray(sent.convert("RGB"), float) - np.asarray(made.convert("RGB"), float)).mean()
    _demand(1 < change < 64, f"it differs from the damaged photo by {change:.1f} of 255")
