"""Times calls of python3-libvirt: libvirt-calls.py URI CALLS THREADS prints the median of one call at a time in microseconds and the
calls a second of THREADS threads on one connection (median of three)."""

import sys
import threading
import time

import libvirt

uri, calls, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
connection = libvirt.open(uri)


def one_at_a_time():
    times = []
    for _ in range(calls):
        began = time.perf_counter_ns()
        connection.lookupByName("test")
        times.append(time.perf_counter_ns() - began)
    times.sort()
    return times[calls // 2] / 1000


def many_at_once():
    def work():
        for _ in range(calls // threads):
            connection.lookupByName("test")

    workers = [threading.Thread(target=work) for _ in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return calls // threads * threads / (time.perf_counter() - began)


for _ in range(1000):
    connection.lookupByName("test")
print(one_at_a_time(), sorted(many_at_once() for _ in range(3))[1])
