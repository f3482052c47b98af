"""The environment that the tests run on, seen through the command `lago`."""
import functools
import json
import os
import subprocess

_test_prefix = None


class LagoError(RuntimeError):
    """The command `lago` failed; the text is what it said."""


class CommandStatus(object):
    """The result of a command in a VM. As in Lago, it counts as true when the command failed."""

    def __init__(self, code, out, err):
        self.code = code
        self.out = out
        self.err = err

    def __bool__(self):
        return self.code != 0

    def __iter__(self):
        return iter((self.code, self.out, self.err))

    def __repr__(self):
        return "CommandStatus(code=%r, out=%r, err=%r)" % (self.code, self.out, self.err)


def lago_command():
    """The words that start `lago`: those that `lago ovirt runtest` named, else what is found on PATH."""
    named = os.environ.get("LAGO_COMMAND")
    return json.loads(named) if named else ["lago"]


def get_test_prefix():
    """The environment: the one of `lago ovirt runtest`, else the current one of the workdir."""
    global _test_prefix
    if _test_prefix is None:
        _test_prefix = Prefix(os.environ.get("LAGO_PREFIX") or os.environ.get("LAGO_PREFIX_PATH"))
    return _test_prefix


def get_prefixed_name(entity_name):
    """`lago-SUITE-NAME`, SUITE being the base name of the variable SUITE, with dashes for dots."""
    suite = os.path.basename(os.environ["SUITE"])
    return "lago-%s-%s" % (suite.replace(".", "-"), entity_name)


def with_ovirt_prefix(func):
    """Pass the environment as the first argument."""

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        return func(get_test_prefix(), *args, **kwargs)

    _forget_signature(wrapper)
    return wrapper


def _forget_signature(wrapper):
    # pytest follows __wrapped__ and would look for a fixture called "prefix".
    del wrapper.__wrapped__


class Prefix(object):
    """An environment. Without a path it is the one that `lago` finds from the current folder."""

    def __init__(self, path=None):
        self.path = path

    @property
    def virt_env(self):
        """As in Lago: `prefix.virt_env.engine_vm()`."""
        return self

    def lago(self, *words, **options):
        """Run `lago WORDS` on this environment, and return the finished process. `LagoError` when it fails, unless `check=False`."""
        check = options.pop("check", True)
        where = ["--prefix-path", self.path] if self.path else []
        command = lago_command() + ["--ignore-warnings"] + where + list(words)
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, universal_newlines=True, **options
        )
        if check and done.returncode != 0:
            raise LagoError("lago %s failed: %s" % (" ".join(words), done.stderr.strip() or "exit code %s" % done.returncode))
        return done

    def status(self):
        """What `lago status` knows, as a mapping."""
        return json.loads(self.lago("--out-format", "json", "status").stdout)["Prefix"]

    def get_vms(self):
        """VMs by name."""
        types = self._vm_types()
        return {name: Vm(self, name, types.get(name, "default")) for name in self.status()["VMs"]}

    def get_vm(self, name):
        """The VM of this name. `KeyError` for an unknown one."""
        return self.get_vms()[name]

    def engine_vm(self):
        """The VM of type ovirt-engine, None without one."""
        return next((vm for vm in self.get_vms().values() if vm.vm_type == "ovirt-engine"), None)

    def host_vms(self):
        """The VMs that are hosts of oVirt."""
        types = ("ovirt-host", "ovirt-node", "ovirt-he-host")
        return [vm for vm in self.get_vms().values() if vm.vm_type in types]

    def get_ovirt_cpu_family(self, host=None, engine_version=None):
        """oVirt's name for the processor of a VM (default: the last host, else the engine): the CPU type of its cluster.

        With `engine_version` ("3.6", "4.4") it is the name that engines of that version know. `LagoError` for a processor
        that oVirt does not have and `ovirt-cpu-map` in the VM's metadata does not name.
        """
        words = ["ovirt", "cpu-family"] + ([] if host is None else [host.name()])
        if engine_version is not None:
            words += ["--engine-version", str(engine_version)]
        return self.lago(*words).stdout.strip()

    def collect_artifacts(self, output_dir, ignore_nopath=True):
        """Collect the artifacts of all VMs into a folder."""
        self.lago("collect", "--output", output_dir, *([] if ignore_nopath else ["--no-skip"]))

    def _vm_types(self):
        types, current = {}, None
        for line in self.lago("ansible_hosts", "-k", "vm-type").stdout.splitlines():
            if line.startswith("["):
                current = line[len("[vm-type="):-1] if line.startswith("[vm-type=") else None
            elif line and current is not None:
                types[line.split(" ")[0]] = current
        return types


class Vm(object):
    """A VM of an environment."""

    def __init__(self, prefix, name, vm_type):
        self._prefix = prefix
        self._name = name
        self.vm_type = vm_type

    def name(self):
        return self._name

    def _status(self):
        return self._prefix.status()["VMs"][self._name]

    @property
    def metadata(self):
        return dict(self._status().get("metadata") or {})

    def distro(self):
        return self._status()["distro"]

    def state(self):
        return self._status()["status"]

    def alive(self):
        return self.state() == "running"

    def ip(self):
        """Its first address, None without one. It is reachable from inside the environment only; see `forward`."""
        addresses = [nic["ip"] for nic in self._status()["NICs"].values()]
        return next((ip for ip in addresses if ip != "N/A"), None)

    def ssh(self, command):
        """Run a command, a list of words that a shell in the VM reads as one line, and return its `CommandStatus`."""
        line = command if isinstance(command, str) else " ".join(command)
        done = self._prefix.lago("shell", self._name, "-c", line, check=False)
        return CommandStatus(done.returncode, done.stdout, done.stderr)

    def copy_to(self, local_path, remote_path):
        self._prefix.lago("copy-to-vm", self._name, local_path, remote_path)

    def copy_from(self, remote_path, local_path):
        self._prefix.lago("copy-from-vm", self._name, remote_path, local_path)

    def engine_setup(self, config):
        """Run engine-setup in this engine's VM, with the answers of a file."""
        self._prefix.lago("ovirt", "engine-setup", "--config", config)

    def add_iso(self, path):
        """Upload an image to this engine's ISO domain."""
        self._prefix.lago("ovirt", "add-iso", path)

    def get_api(self, api_ver=3):
        """oVirt's Python SDK, connected to this engine."""
        from .connection import connect

        return connect(self, api_ver)

    def get_api_v3(self):
        return self.get_api(3)

    def get_api_v4(self, check=False):
        return self.get_api(4)
