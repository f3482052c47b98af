"""What tests of a Lago environment need, under the names that Lago's own `testlib` had.

Everything that is asked of the environment goes through the command `lago` (see `environment.py`), so that a test can be
run by `lago ovirt runtest`, and as well by pytest itself in the folder of an environment.
"""
from .capabilities import engine_capability, host_capability
from .connection import with_ovirt_api, with_ovirt_api4, with_ovirt_api4_service
from .environment import (
    CommandStatus,
    LagoError,
    Prefix,
    Vm,
    get_prefixed_name,
    get_test_prefix,
    with_ovirt_prefix,
)
from .sequence import continue_on_failure, test_sequence_gen
from .waiting import (
    LONG_TIMEOUT,
    SHORT_TIMEOUT,
    assert_equals_within,
    assert_equals_within_long,
    assert_equals_within_short,
    assert_true_within,
    assert_true_within_long,
    assert_true_within_short,
)

__all__ = [
    "CommandStatus",
    "LONG_TIMEOUT",
    "LagoError",
    "Prefix",
    "SHORT_TIMEOUT",
    "Vm",
    "assert_equals_within",
    "assert_equals_within_long",
    "assert_equals_within_short",
    "assert_true_within",
    "assert_true_within_long",
    "assert_true_within_short",
    "continue_on_failure",
    "engine_capability",
    "get_prefixed_name",
    "get_test_prefix",
    "host_capability",
    "test_sequence_gen",
    "with_ovirt_api",
    "with_ovirt_api4",
    "with_ovirt_api4_service",
    "with_ovirt_prefix",
]
