import json
import os
import sys

import pytest

from lago_testlib import environment

#: Stands for `lago`: answers from a file, and writes down what it was asked.
FAKE = """
import json, sys
answers, asked = sys.argv[1:3]
words = [word for word in sys.argv[3:] if word != "--ignore-warnings"]
with open(asked, "a") as file:
    file.write(json.dumps(words) + "\\n")
known = json.load(open(answers))
key = next((one for one in known if one in " ".join(words)), None)
if key is None:
    sys.stderr.write("error: There is no VM of this name.\\n")
    sys.exit(2)
answer = known[key]
sys.stdout.write(answer.get("out", ""))
sys.stderr.write(answer.get("err", ""))
sys.exit(answer.get("code", 0))
"""


class FakeLago(object):
    def __init__(self, folder):
        self._answers = os.path.join(str(folder), "answers.json")
        self._asked = os.path.join(str(folder), "asked.jsonl")
        self._script = os.path.join(str(folder), "lago.py")
        with open(self._script, "w") as file:
            file.write(FAKE)
        self._known = {}

    @property
    def command(self):
        return [sys.executable, self._script, self._answers, self._asked]

    def answers(self, key, **answer):
        self._known[key] = answer
        with open(self._answers, "w") as file:
            json.dump(self._known, file)

    @property
    def asked(self):
        with open(self._asked) as file:
            return [json.loads(line) for line in file]

    def has(self, vms):
        """An environment of VMs, name → (type, metadata)."""
        status = {
            "Prefix": {
                "VMs": {
                    name: {
                        "status": "running",
                        "distro": "el7",
                        "metadata": metadata,
                        "NICs": {"eth0": {"ip": "N/A"}, "eth1": {"ip": "192.168.200.2"}},
                    }
                    for name, (_, metadata) in vms.items()
                }
            }
        }
        groups = "\n".join("[vm-type=%s]\n%s ansible_host=192.168.200.2" % (kind, name) for name, (kind, _) in vms.items())
        self.answers("status", out=json.dumps(status))
        self.answers("ansible_hosts", out=groups + "\n[own]\n" + "".join("%s x\n" % name for name in vms))


@pytest.fixture
def lago(tmp_path, monkeypatch):
    fake = FakeLago(tmp_path)
    monkeypatch.setenv("LAGO_COMMAND", json.dumps(fake.command))
    monkeypatch.setenv("LAGO_PREFIX", "/env/default")
    monkeypatch.setattr(environment, "_test_prefix", None)
    return fake
