"""Takes and gives back subnets the way Lago does: leases.py DIR UUID_FILE ROUNDS COUNT prints the ms of all rounds. Each step is under
flock; a lease is a JSON file; a lease whose uuid file has another content is free."""

import fcntl
import json
import os
import sys
import time

directory, uuid_path, rounds, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
uuid = open(uuid_path).read()
lock_path = os.path.join(directory, "subnet-lease.lock")


def lease(octet):
    return os.path.join(directory, "%d.lease" % octet)


def valid(octet):
    try:
        with open(lease(octet)) as file:
            path, owner = json.load(file)
        with open(path) as file:
            return file.read() == owner
    except (OSError, ValueError):
        return False


def write(octet):
    # Atomically, like ours.
    temporary = lease(octet) + ".tmp"
    with open(temporary, "w") as file:
        json.dump([uuid_path, uuid], file, indent=4)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, lease(octet))


def locked(work):
    with open(lock_path, "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        return work()


def take():
    free = [octet for octet in range(200, 256) if not valid(octet)][:count]
    for octet in free:
        write(octet)
    return free


def give(octets):
    for octet in octets:
        os.unlink(lease(octet))


os.makedirs(directory, exist_ok=True)
began = time.perf_counter()
for _ in range(rounds):
    taken = locked(take)
    locked(lambda: give(taken))
print((time.perf_counter() - began) * 1000)
