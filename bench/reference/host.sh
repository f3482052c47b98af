#!/bin/bash
# Sourced by the references that start VMs: WORK IMAGE COUNT. The same kind of private libvirt as ours, one network, COUNT VMs, virsh; no
# checks, no records, no undo. WORK keeps what a second run may reuse (libvirt's cache); everything else ends with the script.
export LC_ALL=C PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin
work=$1 image=$2 count=$3
d=$work/host
numbers=$(seq 2 $((count + 1))) # last octets of the VMs' addresses
cell=

cleanup() {
  if [ -n "$cell" ]; then
    kill -9 "$cell" 2>/dev/null || :
    wait "$cell" 2>/dev/null || :
  fi
  rm -rf "$d"
}
trap cleanup EXIT

v() { virsh -q -c "qemu:///system?socket=$d/run/libvirt-sock" "$@"; }

mac() { printf '54:52:c0:a8:c8:%02x' "$1"; }

prepare_host() {
  mkdir -p "$work/cache" "$d"/{run,var,etc,log,vm}
  cat >"$d/etc/libvirtd.conf" <<'C'
unix_sock_rw_perms = "0700"
auth_unix_ro = "none"
auth_unix_rw = "none"
C
  cat >"$d/etc/qemu.conf" <<'C'
user = "+4294967295"
group = "+4294967295"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
cgroup_controllers = []
C
  printf '127.0.0.1 localhost envup\n' >"$d/hosts"
  { cat /etc/passwd; echo 'libvirt-qemu:x:64055:64055::/:/bin/false'; } >"$d/passwd"
  { cat /etc/group; echo 'libvirt-qemu:x:64055:'; } >"$d/group"
}

begin_host() { # in the background; sets cell
  setsid unshare --net --mount --pid --ipc --uts --fork --kill-child bash "$(dirname "$0")/inside.sh" "$d" </dev/null >"$d/log/inside" 2>&1 &
  cell=$!
}

await_host() { # sets init, the first process in its namespaces
  until [ -S "$d/run/libvirt-sock" ] && v uri >/dev/null 2>&1; do
    kill -0 "$cell" || { cat "$d/log/inside" >&2; exit 1; }
    sleep 0.01
  done
  init=$(pgrep -P "$cell")
}

make_key() { ssh-keygen -q -t ed25519 -N '' -C env-up -f "$d/key"; }

write_network() {
  {
    cat <<X
<network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'>
  <name>net</name><forward mode='nat'/><bridge name='br0' stp='off' delay='0'/>
  <ip address='192.168.200.1' netmask='255.255.255.0'><dhcp><range start='192.168.200.100' end='192.168.200.254'/>
X
    for n in $numbers; do echo "<host mac='$(mac "$n")' name='vm$n' ip='192.168.200.$n'/>"; done
    cat <<X
  </dhcp></ip>
  <dnsmasq:options><dnsmasq:option value='user=root'/><dnsmasq:option value='group='/></dnsmasq:options>
</network>
X
  } >"$d/net.xml"
}

start_network() {
  v net-define "$d/net.xml" >/dev/null
  v net-start net >/dev/null
}

make_vm() { # N: its disk, seed and description
  local n=$1 vm=$d/vm/$1
  mkdir "$vm" "$vm/seed"
  qemu-img create -q -f qcow2 -F qcow2 -b "$image" "$vm/root.qcow2"
  printf 'instance-id: vm%s\nlocal-hostname: vm%s\n' "$n" "$n" >"$vm/seed/meta-data"
  printf '#cloud-config\nssh_authorized_keys:\n  - %s\n' "$(<"$d/key.pub")" >"$vm/seed/user-data"
  genisoimage -quiet -volid cidata -rock -o "$vm/seed.iso" "$vm/seed"
  cat >"$vm/domain.xml" <<X
<domain type='${TYPE:-qemu}'>
  <name>vm$n</name><memory unit='MiB'>${MEMORY:-256}</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os>
  <features><acpi/><apic/></features>
  <cpu mode='maximum'><feature policy='disable' name='la57'/></cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='unsafe'/><source file='$vm/root.qcow2'/><target dev='vda' bus='virtio'/></disk>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='$vm/seed.iso'/><target dev='vdb' bus='virtio'/><readonly/></disk>
    <interface type='network'><source network='net'/><mac address='$(mac "$n")'/><model type='virtio'/><rom enabled='no'/></interface>
    <controller type='usb' index='0' model='none'/>
    <serial type='pty'><target port='0'/></serial>
    <memballoon model='none'/>
  </devices>
</domain>
X
}

start_vm() { # N
  v define "$d/vm/$1/domain.xml" >/dev/null
  v start "vm$1" >/dev/null
}

each_vm() { # COMMAND…: runs it with each number, all at once; fails with the first that fails
  local n job jobs=()
  for n in $numbers; do
    "$@" "$n" &
    jobs+=($!)
  done
  for job in "${jobs[@]}"; do wait "$job"; done
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }
