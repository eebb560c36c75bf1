"""What a node changes on the machine it runs on, and takes back: an interface, kernel settings, firewall rules."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from rekindle_dev.cluster.layout import INTERFACE, NODE_ADDRESS, POD_RANGE, Layout
from rekindle_dev.processes import PartError

_SETTINGS = (
    # The network plugin turns this on, the kubelet sets the others.
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
)
_KERNEL = Path("/proc/sys")
_OURS = ("-m", "comment", "--comment", "rekindle", "-j", "ACCEPT")
_FORWARDS = (("FORWARD", "-s", POD_RANGE, *_OURS), ("FORWARD", "-d", POD_RANGE, *_OURS))
_CHAINS = "KUBE-"
_SETS = ("KUBE-", "kube-router-")


def prepare(layout: Layout) -> None:
    """Make the interface that the node's address is on, and let packets of pods through the machine's firewall.

    Raises:
        PartError: if another Kubernetes runs on this machine, or the kernel refuses.
    """
    if ":KUBE-SERVICES " in _run("iptables-save"):
        raise PartError(
            "Another Kubernetes runs on this machine (the firewall has its chain KUBE-SERVICES). A second node beside "
            "it would change its rules: stop it first, or use another machine."
        )
    record = {name: (_KERNEL / name).read_text().strip() for name in _SETTINGS if (_KERNEL / name).exists()}
    _record_of(layout).write_text(json.dumps(record))
    # A bridge without members serves as an interface that is always there; not every kernel has the type "dummy".
    _run("ip", "link", "add", INTERFACE, "type", "bridge")
    _run("ip", "address", "add", f"{NODE_ADDRESS}/32", "dev", INTERFACE)
    _run("ip", "link", "set", INTERFACE, "up")
    for rule in _FORWARDS:
        _run("iptables", "-w", "-I", *rule)


def restore(layout: Layout) -> None:
    """Take back what `prepare` and the programs of the node changed; what is not there any more is left so."""
    for rule in _FORWARDS:
        _try("iptables", "-w", "-D", *rule)
    for program in ("iptables", "ip6tables"):
        if script := removal(_try(f"{program}-save")):
            _try(f"{program}-restore", "-w", "--noflush", stdin=script)
    for name in _try("ipset", "list", "-name").split():
        if name.startswith(_SETS):
            _try("ipset", "destroy", name)
    _try("ip", "link", "delete", INTERFACE)
    with suppress(FileNotFoundError):
        for name, value in json.loads(_record_of(layout).read_text()).items():
            (_KERNEL / name).write_text(value)
        _record_of(layout).unlink()


def enforces_policies() -> bool:
    """Tell whether packets of pods pass by the policies."""
    rules = _run("iptables-save").splitlines()
    return any(rule.startswith("-A FORWARD ") and rule.endswith(" -j KUBE-ROUTER-FORWARD") for rule in rules)


def removal(saved: str) -> str:
    """Return what iptables-restore must read to remove every chain of Kubernetes, and the rules that lead there.

    Args:
        saved: what iptables-save printed.
    """
    return "".join(_removal_of_tables(saved))


def _removal_of_tables(saved: str) -> Iterator[str]:
    for table in saved.split("*")[1:]:
        lines = table.splitlines()
        chains = [line[1:].split()[0] for line in lines if line.startswith(f":{_CHAINS}")]
        leading = [line for line in lines if line.startswith("-A ") and _leads_to_kubernetes(line)]
        if chains:
            yield f"*{lines[0]}\n"
            yield from (f":{chain} - [0:0]\n" for chain in chains)
            yield from (f"-D {line.removeprefix('-A ')}\n" for line in leading)
            yield from (f"-X {chain}\n" for chain in chains)
            yield "COMMIT\n"


def _leads_to_kubernetes(rule: str) -> bool:
    words = rule.split()
    return not words[1].startswith(_CHAINS) and any(
        option in ("-j", "-g") and target.startswith(_CHAINS) for option, target in pairwise(words)
    )


def _record_of(layout: Layout) -> Path:
    return layout.directory / "kernel-settings.json"


def _run(*command: str, stdin: str | None = None) -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PartError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
    return done.stdout


def _try(*command: str, stdin: str | None = None) -> str:
    with suppress(PartError, OSError):
        return _run(*command, stdin=stdin)
    return ""
