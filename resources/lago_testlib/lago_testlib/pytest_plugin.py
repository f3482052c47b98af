"""A pytest plugin: nose-style tests, and the reports that `lago ovirt runtest` shows.

It makes generator tests (`def test_all(): … yield test`) into tests, which pytest dropped in its version 4, and runs
nose-style `setup` and `teardown`, which it dropped in its version 8. Under `lago ovirt runtest` it tells of each test over
a socket, one JSON object a line, and waits where the runner has something to do before the next test.
"""
import inspect
import json
import os
import queue
import signal
import socket
import threading
import types
import unittest

import pytest


def pytest_configure(config):
    path = os.environ.get("LAGO_TESTS_SOCKET")
    if path:
        config.pluginmanager.register(Reporter(path), "lago-reporter")
    if not config.pluginmanager.has_plugin("nose"):
        config.pluginmanager.register(NoseFixtures(), "lago-nose-fixtures")


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector, name, obj):
    """Makes a generator test into one test for each that it yields."""
    if not (inspect.isgeneratorfunction(obj) and collector.funcnamefilter(name)):
        return None
    if getattr(obj, "__test__", True) is False or hasattr(obj, "_pytestfixturefunction"):
        return None
    instance = collector.obj() if isinstance(collector, pytest.Class) else None
    function = obj if instance is None else getattr(instance, name)
    return [
        pytest.Function.from_parent(collector, name="%s[%d]" % (name, number), callobj=_callable(yielded, instance))
        for number, yielded in enumerate(function(), 1)
    ]


def _callable(yielded, instance):
    """A test for what a generator test yields: a function, or a tuple of one and its arguments."""
    function, args = (yielded[0], yielded[1:]) if isinstance(yielded, tuple) else (yielded, ())

    def test(*_instance):
        return function(*args)

    described = getattr(function, "description", None) or getattr(function, "__name__", str(function))
    test.description = " ".join([described] + [repr(arg) for arg in args])
    # A method, so that it is this instance that is set up.
    return test if instance is None else types.MethodType(test, instance)


class NoseFixtures(object):
    """`setup` and `teardown` of modules, classes and functions, as nose and pytest 7 run them."""

    @pytest.fixture(autouse=True, scope="module")
    def _nose_module(self, request):
        _optionally(getattr(request, "module", None), ("setup", "setUp"))
        yield
        _optionally(getattr(request, "module", None), ("teardown", "tearDown"))

    @pytest.fixture(autouse=True)
    def _nose_function(self, request):
        instance = request.instance
        # unittest runs these itself.
        own = None if isinstance(instance, unittest.TestCase) else instance
        function = getattr(request, "function", None)
        _optionally(own, ("setup", "setUp"))
        _optionally(function, ("setup",))
        yield
        _optionally(function, ("teardown",))
        _optionally(own, ("teardown", "tearDown"))


def _optionally(owner, names):
    for name in names:
        found = getattr(owner, name, None)
        if callable(found) and not hasattr(found, "_pytestfixturefunction"):
            found()
            return


class Reporter(object):
    """Tells the runner of each test."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        # Nobody else is to come, and nothing is to be left behind when the runner is killed.
        os.unlink(path)
        self._file = self._socket.makefile("rw", encoding="utf-8", newline="\n")
        self._answers = queue.Queue()
        self._main = os.getpid()
        # pytest ends a session properly on an interrupt; of SIGTERM it knows nothing.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        threading.Thread(target=self._read, daemon=True).start()
        self._failed = set()

    def _read(self):
        for line in self._file:
            self._answers.put(line)
        self._answers.put(None)
        # The runner is gone: nobody waits for these tests.
        os.kill(self._main, signal.SIGTERM)

    def _tell(self, event, **values):
        if os.getpid() != self._main:
            return
        try:
            self._file.write(json.dumps(dict(values, event=event)) + "\n")
            self._file.flush()
        except OSError:
            # The runner is gone; `_read` ends the session.
            return

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item):
        self._tell("start", id=_id_of(item.nodeid), name=_name_of(item))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item, call):
        outcome = yield
        report = outcome.get_result()
        if report.failed and item.nodeid not in self._failed:
            self._failed.add(item.nodeid)
            # The artifacts are to show what was there when it failed, before anything is torn down.
            self._tell("failed", id=_id_of(item.nodeid), during=call.when)
            self._answers.get()

    def pytest_runtest_logreport(self, report):
        self._phase(_id_of(report.nodeid), report.when, report.duration, report.outcome, _message_of(report), _text_of(report))
        if report.when == "teardown":
            self._tell("end", id=_id_of(report.nodeid), output=_output_of(report))

    def _phase(self, test, during, seconds, outcome, message, text):
        self._tell("phase", id=test, during=during, seconds=seconds, outcome=outcome, message=message, text=text)

    def pytest_collectreport(self, report):
        """A file that cannot be read is a test that failed."""
        if report.failed:
            name, text = _id_of(report.nodeid), str(report.longrepr)
            self._tell("start", id=name, name=name)
            self._tell("failed", id=name, during="collect")
            self._answers.get()
            self._phase(name, "collect", 0, report.outcome, _last_line(text), text)
            self._tell("end", id=name, output="")


def _id_of(nodeid):
    """`module.Class.function`, as nose names tests."""
    path, _, rest = nodeid.partition("::")
    module = os.path.splitext(os.path.basename(path))[0]
    return ".".join([module] + [part for part in rest.split("::") if part])


def _name_of(item):
    """What nose shows of a test: its description, else the first line of its docstring, else its id."""
    function = getattr(item, "obj", None)
    doc = (getattr(function, "__doc__", None) or "").strip().splitlines()
    return getattr(function, "description", None) or (doc[0] if doc else None) or _id_of(item.nodeid)


def _text_of(report):
    if report.skipped and isinstance(report.longrepr, tuple):
        return report.longrepr[2]
    return report.longreprtext


def _message_of(report):
    if report.passed:
        return ""
    if report.skipped:
        text = _text_of(report)
        return text[len("Skipped: "):] if text.startswith("Skipped: ") else text
    crash = getattr(report.longrepr, "reprcrash", None)
    return crash.message if crash is not None else _last_line(str(report.longrepr))


def _last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _output_of(report):
    return "\n".join("%s\n%s" % (title, content.rstrip()) for title, content in report.sections)
