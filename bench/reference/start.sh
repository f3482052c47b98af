#!/bin/bash
# start.sh WORK IMAGE COUNT: the floor for "start": disks, seeds and descriptions are there; the host, the network and COUNT VMs are started
# with virsh. Prints the milliseconds until all VMs run, then ends everything.
set -eu
. "$(dirname "$0")/host.sh"

prepare_host
make_key
write_network
each_vm make_vm
began=$(now_ms)
begin_host
await_host
start_network
each_vm start_vm
echo $(($(now_ms) - began))
