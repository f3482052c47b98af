"""oVirt's Python SDKs, connected to the engine of the environment.

The engine is reached by a port of this machine's loopback address (`lago forward`) that is open as long as the tests run.
"""
import atexit
import functools
import re
import subprocess

from .environment import LagoError, get_test_prefix, lago_command, _forget_signature
from .waiting import assert_true_within_short

USER = "admin@internal"
DEFAULT_PASSWORD = "123"

_ports = {}
_connections = {}


def connect(engine, api_ver):
    """The SDK of a version, connected to an engine. It is kept while its own `test()` says that it works."""
    key = (engine.name(), api_ver)
    known = _connections.get(key)
    if known is not None and known.test():
        return known
    if api_ver not in (3, 4):
        raise RuntimeError("Unknown API requested: %s" % api_ver)
    make = _v4 if api_ver == 4 else _v3
    _connections[key] = _patiently(make(engine))
    return _connections[key]


def _patiently(make):
    made = []

    def attempt():
        candidate = make()
        if candidate.test():
            made.append(candidate)
        return bool(made)

    try:
        # What an SDK raises while the engine starts is a class of its own, in each version another.
        assert_true_within_short(attempt, allowed_exceptions=[Exception])
    except AssertionError as error:
        raise RuntimeError("Failed to connect to the engine") from error
    return made[0]


def _v4(engine):
    try:
        import ovirtsdk4
    except ImportError as error:
        raise RuntimeError("oVirt Python SDK v4 not found.") from error
    return lambda: ovirtsdk4.Connection(url=_url(engine), username=USER, password=_password(engine), insecure=True)


def _v3(engine):
    try:
        import ovirtsdk.api
    except ImportError as error:
        raise RuntimeError("oVirt Python SDK v3 not found.") from error
    return lambda: ovirtsdk.api.API(
        url=_url(engine), username=USER, password=_password(engine), validate_cert_chain=False, insecure=True
    )


def _password(engine):
    return str(engine.metadata.get("ovirt-engine-password", DEFAULT_PASSWORD))


def _url(engine):
    return "https://localhost:%d/ovirt-engine/api" % _forwarded(engine)


def _forwarded(engine):
    """The port of this machine that leads to the engine's port 443."""
    name = engine.name()
    process, port = _ports.get(name, (None, None))
    if process is None or process.poll() is not None:
        prefix = get_test_prefix()
        where = ["--prefix-path", prefix.path] if prefix.path else []
        command = lago_command() + ["--ignore-warnings"] + where + ["forward", name, "443"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, universal_newlines=True)
        atexit.register(process.terminate)
        found = re.search(r"(\d+)/?\s*$", process.stdout.readline())
        if found is None:
            raise LagoError("lago forward %s 443 failed" % name)
        port = int(found.group(1))
        _ports[name] = (process, port)
    return port


def _with_api(func, of):
    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        engine = get_test_prefix().virt_env.engine_vm()
        if engine is None:
            raise RuntimeError("The environment has no VM of type ovirt-engine")
        return func(of(engine), *args, **kwargs)

    _forget_signature(wrapper)
    return wrapper


def with_ovirt_api(func):
    """Pass the SDK of version 3, connected to the engine, as the first argument."""
    return _with_api(func, lambda engine: engine.get_api(3))


def with_ovirt_api4(func):
    """Pass the SDK of version 4, connected to the engine, as the first argument."""
    return _with_api(func, lambda engine: engine.get_api(4))


def with_ovirt_api4_service(func):
    """Pass the system service of the SDK of version 4 as the first argument."""
    return _with_api(func, lambda engine: engine.get_api(4).system_service())
