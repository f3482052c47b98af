#!/bin/bash
# env-up.sh WORK IMAGE COUNT: the floor for "init, start, ssh". What a careful script for COUNT VMs on one network would do: the same
# kind of private libvirt, an overlay and a NoCloud seed for each VM, virsh, ssh; no checks, no records, no undo.
# Prints the milliseconds until a command ran in every VM, then ends everything. WORK keeps what a second run may reuse (libvirt's cache).
set -eu
export LC_ALL=C PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin

if [ "$1" = inside ]; then # first process of the host, in its own namespaces
  d=$2
  mount -n -t proc proc /proc
  mount -n -t sysfs sysfs /sys
  mount -n -t tmpfs -o mode=755 run /run
  mkdir -p /run/libvirt /run/lock
  mount -n --bind "$d/run" /run/libvirt
  for folder in /var/lib/libvirt /etc/libvirt /var/cache/libvirt /var/log/libvirt; do
    if [ ! -d "$folder" ]; then
      work=/run/overlay${folder//\//-}
      mkdir -p "$work/u" "$work/w"
      mount -n -t overlay -o "lowerdir=${folder%/*},upperdir=$work/u,workdir=$work/w,userxattr" overlay "${folder%/*}"
      mkdir "$folder"
    fi
  done
  mount -n --bind "$d/var" /var/lib/libvirt
  mount -n --bind "$d/etc" /etc/libvirt
  mount -n --bind "$d/../cache" /var/cache/libvirt
  mount -n --bind "$d/log" /var/log/libvirt
  mount -n --bind "$d/hosts" /etc/hosts
  mount -n --bind "$d/passwd" /etc/passwd
  mount -n --bind "$d/group" /etc/group
  hostname envup
  ip link set lo up
  virtlogd &
  libvirtd &
  wait
  exit
fi

work=$1 image=$2 count=$3
d=$work/host
cell=

cleanup() {
  if [ -n "$cell" ]; then
    kill -9 "$cell" 2>/dev/null || :
    wait "$cell" 2>/dev/null || :
  fi
  rm -rf "$d"
}
trap cleanup EXIT
began=$(date +%s%N)

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
setsid unshare --net --mount --pid --ipc --uts --fork --kill-child bash "$0" inside "$d" </dev/null >"$d/log/inside" 2>&1 &
cell=$!
v() { virsh -q -c "qemu:///system?socket=$d/run/libvirt-sock" "$@"; }
ssh-keygen -q -t ed25519 -N '' -C env-up -f "$d/key"
until [ -S "$d/run/libvirt-sock" ] && v uri >/dev/null 2>&1; do
  kill -0 "$cell" || { cat "$d/log/inside" >&2; exit 1; }
  sleep 0.01
done
init=$(pgrep -P "$cell")

{
  cat <<X
<network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'>
  <name>net</name><forward mode='nat'/><bridge name='br0' stp='off' delay='0'/>
  <ip address='192.168.200.1' netmask='255.255.255.0'><dhcp><range start='192.168.200.100' end='192.168.200.254'/>
X
  for n in $(seq 2 $((count + 1))); do echo "<host mac='54:52:c0:a8:c8:0$n' name='vm$n' ip='192.168.200.$n'/>"; done
  cat <<X
  </dhcp></ip>
  <dnsmasq:options><dnsmasq:option value='user=root'/><dnsmasq:option value='group='/></dnsmasq:options>
</network>
X
} >"$d/net.xml"
v net-define "$d/net.xml" >/dev/null
v net-start net >/dev/null

up() { # N: makes and starts one VM and waits until a command ran in it
  local n=$1 vm=$d/vm/$1
  mkdir "$vm" "$vm/seed"
  qemu-img create -q -f qcow2 -F qcow2 -b "$image" "$vm/root.qcow2"
  printf 'instance-id: vm%s\nlocal-hostname: vm%s\n' "$n" "$n" >"$vm/seed/meta-data"
  printf '#cloud-config\nssh_authorized_keys:\n  - %s\n' "$(<"$d/key.pub")" >"$vm/seed/user-data"
  genisoimage -quiet -volid cidata -rock -o "$vm/seed.iso" "$vm/seed"
  cat >"$vm/domain.xml" <<X
<domain type='${TYPE:-qemu}'>
  <name>vm$n</name><memory unit='MiB'>256</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os>
  <features><acpi/><apic/></features>
  <cpu mode='maximum'><feature policy='disable' name='la57'/></cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='unsafe'/><source file='$vm/root.qcow2'/><target dev='vda' bus='virtio'/></disk>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='$vm/seed.iso'/><target dev='vdb' bus='virtio'/><readonly/></disk>
    <interface type='network'><source network='net'/><mac address='54:52:c0:a8:c8:0$n'/><model type='virtio'/><rom enabled='no'/></interface>
    <controller type='usb' index='0' model='none'/>
    <serial type='pty'><target port='0'/></serial>
    <memballoon model='none'/>
  </devices>
</domain>
X
  v define "$vm/domain.xml" >/dev/null
  v start "vm$n" >/dev/null
  until nsenter -t "$init" -n timeout 0.3 bash -c "exec 3<>/dev/tcp/192.168.200.$n/22" 2>/dev/null; do sleep 0.05; done
  until nsenter -t "$init" -n ssh -i "$d/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
    -o BatchMode=yes -o ConnectTimeout=10 "root@192.168.200.$n" true </dev/null; do sleep 0.1; done
}
jobs=()
for n in $(seq 2 $((count + 1))); do
  up "$n" &
  jobs+=($!)
done
for job in "${jobs[@]}"; do wait "$job"; done
echo $((($(date +%s%N) - began) / 1000000))
