"""Tests that only some environments can run, by `ovirt-capabilities` in the metadata of their VMs."""
import functools
from unittest import SkipTest

from .environment import get_test_prefix


def _missing(vms, wanted):
    present = set()
    for vm in vms:
        present.update(vm.metadata.get("ovirt-capabilities") or [])
    return sorted(set(wanted) - present)


def _requires(caps, vms, who):
    def decorator(func):
        @functools.wraps(func)
        def wrapper(*args, **kwargs):
            missing = _missing(vms(get_test_prefix().virt_env), caps)
            if missing:
                raise SkipTest("%s: no %s" % (who, ", ".join(missing)))
            return func(*args, **kwargs)

        return wrapper

    return decorator


def engine_capability(caps):
    """Skip the test unless the engine's VM has all of these capabilities. A hosted engine has none that are known."""
    return _requires(caps, lambda env: [vm for vm in [env.engine_vm()] if vm is not None], "engine")


def host_capability(caps):
    """Skip the test unless the VMs of hosts together have all of these capabilities."""
    return _requires(caps, lambda env: env.host_vms(), "hosts")
