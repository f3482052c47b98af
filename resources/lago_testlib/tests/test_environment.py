import unittest

import pytest

import lago_testlib
from lago_testlib import connection

VMS = {
    "engine": ("ovirt-engine", {"ovirt-capabilities": ["snapshot", "ldap"]}),
    "host-0": ("ovirt-host", {"ovirt-capabilities": ["ipv6"]}),
    "host-1": ("ovirt-he-host", {"ovirt-capabilities": ["fc"]}),
    "storage": ("default", {}),
}


def test_the_environment_is_asked_through_lago(lago):
    lago.has(VMS)
    prefix = lago_testlib.get_test_prefix()
    assert prefix.virt_env.engine_vm().name() == "engine"
    assert [vm.name() for vm in prefix.host_vms()] == ["host-0", "host-1"]
    assert prefix.get_vm("storage").ip() == "192.168.200.2"
    assert prefix.get_vm("storage").alive() and prefix.get_vm("storage").distro() == "el7"
    assert ["--prefix-path", "/env/default", "--out-format", "json", "status"] in lago.asked


def test_a_command_in_a_vm_counts_as_true_when_it_failed(lago):
    lago.has(VMS)
    lago.answers("shell engine -c false", code=3, out="o", err="e")
    lago.answers("shell engine -c echo a b", out="a b\n")
    engine = lago_testlib.get_test_prefix().engine_vm()
    failed = engine.ssh("false")
    assert failed and (failed.code, failed.out, failed.err) == (3, "o", "e")
    assert not engine.ssh(["echo", "a", "b"])


def test_what_lago_says_is_the_error(lago):
    lago.answers("nothing")
    with pytest.raises(lago_testlib.LagoError, match="lago copy-to-vm web a b failed: error: There is no VM"):
        lago_testlib.Vm(lago_testlib.get_test_prefix(), "web", "default").copy_to("a", "b")


def test_names_begin_with_the_suite(monkeypatch):
    monkeypatch.setenv("SUITE", "/suites/basic-suite-4.2")
    assert lago_testlib.get_prefixed_name("engine") == "lago-basic-suite-4-2-engine"


def test_the_environment_is_the_first_argument(lago):
    lago.has(VMS)

    @lago_testlib.with_ovirt_prefix
    def names(prefix, extra):
        return sorted(prefix.get_vms()), extra

    assert names(7) == (sorted(VMS), 7)


@lago_testlib.with_ovirt_prefix
def test_pytest_sees_no_fixture_in_a_decorated_test(prefix):
    assert isinstance(prefix, lago_testlib.Prefix)


@pytest.mark.parametrize(
    "decorator, caps, runs",
    [
        (lago_testlib.engine_capability, ["snapshot"], True),
        (lago_testlib.engine_capability, ["snapshot", "ipv6"], False),
        (lago_testlib.host_capability, ["ipv6", "fc"], True),
        (lago_testlib.host_capability, ["snapshot"], False),
    ],
)
def test_a_test_runs_where_all_its_capabilities_are(lago, decorator, caps, runs):
    lago.has(VMS)
    test = decorator(caps)(lambda *args: ("ran", args))
    if runs:
        assert test(1) == ("ran", (1,))
    else:
        with pytest.raises(unittest.SkipTest):
            test(1)


def test_an_engine_without_a_vm_of_its_own_has_no_capabilities(lago):
    lago.has({"host-0": ("ovirt-he-host", {"ovirt-capabilities": ["fc"]})})
    with pytest.raises(unittest.SkipTest, match="engine: no fc"):
        lago_testlib.engine_capability(["fc"])(lambda: None)()


def test_the_sdks_are_asked_for_by_version(lago, monkeypatch):
    lago.has(VMS)
    engine = lago_testlib.get_test_prefix().engine_vm()
    for version in (3, 4):
        monkeypatch.setitem(__import__("sys").modules, {3: "ovirtsdk", 4: "ovirtsdk4"}[version], None)
        with pytest.raises(RuntimeError, match="oVirt Python SDK v%d not found." % version):
            engine.get_api(version)
    with pytest.raises(RuntimeError, match="Unknown API requested: 5"):
        engine.get_api(5)


def test_an_api_is_kept_while_it_works(lago, monkeypatch):
    lago.has(VMS)
    made = []

    class Sdk(object):
        def __init__(self):
            self.works = True
            made.append(self)

        def test(self):
            return self.works

    monkeypatch.setattr(connection, "_v4", lambda engine: Sdk)
    monkeypatch.setattr(connection, "_connections", {})
    get = lago_testlib.with_ovirt_api4(lambda api: api)
    assert get() is get()
    made[0].works = False
    assert get() is made[1]


def test_the_cpu_family_is_that_of_a_host_in_the_words_of_a_version(lago):
    lago.has(VMS)
    lago.answers("ovirt cpu-family", out="Intel Westmere Family\n")
    env = lago_testlib.get_test_prefix().virt_env
    assert env.get_ovirt_cpu_family() == "Intel Westmere Family"
    assert env.get_ovirt_cpu_family(env.get_vm("host-0"), engine_version="4.4") == "Intel Westmere Family"
    assert lago.asked[-1][2:] == ["ovirt", "cpu-family", "host-0", "--engine-version", "4.4"]


def test_an_engine_is_set_up_and_gets_images_through_lago(lago):
    lago.has(VMS)
    lago.answers("ovirt")
    engine = lago_testlib.get_test_prefix().virt_env.engine_vm()
    engine.engine_setup("answers.conf")
    engine.add_iso("a.iso")
    assert [words[2:] for words in lago.asked[-2:]] == [
        ["ovirt", "engine-setup", "--config", "answers.conf"],
        ["ovirt", "add-iso", "a.iso"],
    ]
