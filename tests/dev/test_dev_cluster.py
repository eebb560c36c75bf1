import json
import os
import tarfile
from pathlib import Path

import pytest

from rekindle_dev.cluster import layout as files
from rekindle_dev.cluster.archive import write_image
from rekindle_dev.cluster.builds import COREDNS, NODE, PAUSE, ROUTER
from rekindle_dev.cluster.layout import Layout
from rekindle_dev.cluster.leftovers import clear, mounts_below
from rekindle_dev.cluster.machine import removal
from rekindle_dev.cluster.requirements import check, missing_packages
from rekindle_dev.cluster.turn import Turn
from rekindle_dev.controlplane.programs import go_program
from rekindle_dev.processes import PartError

SAVED = """*mangle
:PREROUTING ACCEPT [0:0]
:KUBE-KUBELET-CANARY - [0:0]
COMMIT
*filter
:INPUT ACCEPT [5:300]
:DOCKER - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-FORWARD - [0:0]
-A INPUT -j KUBE-FIREWALL
-A INPUT -s 10.0.0.0/8 -m comment --comment "not KUBE-FIREWALL" -j DOCKER
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
COMMIT
*nat
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
-A OUTPUT -j DOCKER
COMMIT
"""

MOUNTS = r"""20 1 0:5 / / rw - ext4 /dev/vda rw
21 20 0:6 / /var/node rw - tmpfs tmpfs rw
22 21 0:7 / /var/node/a\040b rw - tmpfs tmpfs rw
23 20 0:8 / /var/node-of-somebody rw - tmpfs tmpfs rw
"""


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path / "node")


def test_what_a_machine_lacks_is_named_as_packages_to_install(tmp_path):
    assert missing_packages(lambda program: None if program in ("ctr", "runc") else program, tmp_path) == [
        "containerd",
        "containernetworking-plugins",
        "runc",
    ]


def test_a_machine_with_everything_lacks_nothing(tmp_path):
    for plugin in ("ptp", "host-local", "loopback"):
        (tmp_path / plugin).touch()
    assert missing_packages(lambda program: program, tmp_path) == []


def test_whoever_is_not_root_is_told_so_in_words(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(PartError, match="needs root"):
        check()


def test_the_chains_of_kubernetes_leave_the_firewall_and_all_others_stay():
    assert removal(SAVED).splitlines() == [
        "*mangle",
        ":KUBE-KUBELET-CANARY - [0:0]",
        "-X KUBE-KUBELET-CANARY",
        "COMMIT",
        "*filter",
        ":KUBE-FIREWALL - [0:0]",
        ":KUBE-FORWARD - [0:0]",
        "-D INPUT -j KUBE-FIREWALL",
        '-D FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
        "-X KUBE-FIREWALL",
        "-X KUBE-FORWARD",
        "COMMIT",
    ]


def test_a_firewall_without_kubernetes_is_left_alone():
    assert removal("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n") == ""


def test_only_mounts_below_the_folder_of_the_node_are_its_own():
    assert mounts_below(Path("/var/node"), MOUNTS) == ["/var/node", "/var/node/a b"]


def test_a_folder_where_no_node_was_is_cleared_without_complaint(layout):
    clear(layout)
    assert not layout.directory.exists()


def test_one_node_at_a_time_has_the_machine(tmp_path):
    file = tmp_path / "turn"
    turn = Turn.take(tmp_path / "first", clear=lambda _: None, file=file)
    with pytest.raises(PartError, match="first"):
        Turn.take(tmp_path / "second", clear=lambda _: None, file=file)
    turn.end()
    Turn.take(tmp_path / "second", clear=lambda _: None, file=file).end()


def test_what_a_killed_node_left_is_cleared_by_the_next_one(tmp_path):
    file = tmp_path / "turn"
    file.write_text(str(tmp_path / "killed"))
    cleared: list[Path] = []
    Turn.take(tmp_path / "next", clear=cleared.append, file=file).end()
    assert cleared == [tmp_path / "killed"]
    Turn.take(tmp_path / "after", clear=cleared.append, file=file).end()
    assert cleared == [tmp_path / "killed"]


def test_an_image_of_one_program_is_an_archive_that_names_its_layers_by_content(tmp_path):
    program = tmp_path / "pause"
    program.write_bytes(b"\x7fELF")
    with tarfile.open(write_image(tmp_path / "image.tar", "localhost/pause:1", program)) as archive:
        manifest = json.load(archive.extractfile("manifest.json") or pytest.fail("no manifest"))
        config = json.load(archive.extractfile(manifest[0]["Config"]) or pytest.fail("no config"))
        with tarfile.open(fileobj=archive.extractfile(manifest[0]["Layers"][0])) as layer:
            entry = layer.getmember("pause")
    assert manifest[0]["RepoTags"] == ["localhost/pause:1"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{manifest[0]['Layers'][0].removesuffix('/layer.tar')}"]
    assert config["config"] == {"Entrypoint": ["/pause"], "User": "65535:65535"}
    assert entry.mode == 0o755


def test_the_same_program_makes_the_same_image(tmp_path):
    program = tmp_path / "pause"
    program.write_bytes(b"\x7fELF")
    first = write_image(tmp_path / "a.tar", "localhost/pause:1", program).read_bytes()
    assert write_image(tmp_path / "b.tar", "localhost/pause:1", program).read_bytes() == first


def test_everything_that_the_node_writes_is_in_its_own_folder(layout):
    authority, proxy, dns = (layout.directory / name for name in ("ca.crt", "proxy", "dns"))
    layout.directory.mkdir()
    files.write(layout, authority, proxy, dns)
    kubelet = json.loads((layout.directory / "kubelet.json").read_text())
    assert Path(kubelet["podLogsDir"]).is_relative_to(layout.directory)
    assert Path(kubelet["volumePluginDir"]).is_relative_to(layout.directory)
    assert str(layout.socket) in (layout.directory / "containerd.toml").read_text()
    network = json.loads((layout.network / "10-rekindle.conflist").read_text())
    assert Path(network["plugins"][0]["ipam"]["dataDir"]).is_relative_to(layout.directory)
    assert str(dns) in (layout.directory / "Corefile").read_text()


def test_nothing_of_the_node_listens_where_other_machines_could_reach_it(layout):
    assert files.kubelet_config(layout, layout.directory)["address"] == files.NODE_ADDRESS
    proxy = files.proxy_config(layout.directory)
    assert proxy["bindAddress"] == files.NODE_ADDRESS
    assert proxy["healthzBindAddress"].startswith(f"{files.NODE_ADDRESS}:")
    served = [line.split() for line in files.corefile(layout.directory).splitlines() if "health" in line]
    assert all(words[1].startswith(f"{files.NODE_ADDRESS}:") for words in served)


def test_the_node_is_of_the_same_version_as_its_control_plane():
    plane, node = go_program().linker_flags, NODE.linker_flags
    assert plane == node


def test_the_programs_that_are_built_have_their_sources():
    assert [program.module for program in (NODE, COREDNS, ROUTER, PAUSE)] == [
        "rekindle.dev/node",
        "rekindle.dev/coredns",
        "rekindle.dev/kube-router",
        "rekindle.dev/pause",
    ]
