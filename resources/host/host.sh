#!/bin/bash
# First process (pid 1) of an embedded host, in network, mount, pid, ipc and uts namespaces of its own: private folders, virtlogd,
# libvirtd and the relay, each started again when it ends. Environment as for cell.sh, which starts it.
# The whole script is parsed before it runs: its file may vanish while it does.
set -eu
export PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin

table=

# One line of a mount table; blanks in paths as fstab wants them.
bind() {
  local from=${1//\\/\\134} to=${2//\\/\\134}
  from=${from// /\\040} to=${to// /\\040}
  table+="${from//$'\t'/\\011} ${to//$'\t'/\\011} none rbind 0 0"$'\n'
}

# /run is private (no D-Bus, no libvirt and no xtables.lock of the machine), but what lies in it stays where it is: environments and
# sockets may be there. The working directory still leads into the machine's /run once the new one covers it.
private_run() {
  cd /run
  mount -n -t tmpfs -o mode=755 run /run
  local entry folders=(/run/libvirt /run/lock)
  for entry in *; do
    case $entry in libvirt | lock | dbus | systemd | udev | NetworkManager | netns | xtables.lock) continue ;; esac
    if [ ! -d "$entry" ] || [ -L "$entry" ]; then continue; fi
    folders+=("/run/$entry")
    bind "/proc/1/cwd/$entry" "/run/$entry"
  done
  mkdir "${folders[@]}"
}

# Makes a mount point that does not exist: an overlay over the nearest folder above it, on which that folder's own folders are mounted
# again, since what is written there (images) must not end up in the overlay.
mount_point() {
  if [ -d "$1" ]; then return 0; fi
  local parent=${1%/*} work=/run/lago-overlay${1//\//-} entry
  until [ -d "$parent" ]; do parent=${parent%/*}; done
  mkdir -p "$work/upper/${1#"$parent"/}" "$work/work" "$work/old"
  mount -n --rbind "$parent" "$work/old"
  mount -n -t overlay -o "lowerdir=$parent,upperdir=$work/upper,workdir=$work/work,userxattr" overlay "$parent"
  if [ "$parent" = /etc ]; then return 0; fi
  shopt -s dotglob
  for entry in "$work/old"/*/; do
    entry=${entry%/}
    if [ -d "$entry" ] && [ ! -L "$entry" ]; then bind "$entry" "$parent/${entry##*/}"; fi
  done
  shopt -u dotglob
}

prepare() {
  mount -n -t proc proc /proc
  mount -n -t sysfs sysfs /sys 2>/dev/null || echo 'No sysfs of its own.'
  private_run
  local folder
  for folder in /var/lib/libvirt /var/cache/libvirt /var/log/libvirt /etc/libvirt; do mount_point "$folder"; done
  # On another machine than the environment's own its files are at the same place nevertheless.
  if [ -n "${LAGO_FILES:-}" ]; then
    mount_point "$LAGO_PREFIX"
    bind "$LAGO_FILES" "$LAGO_PREFIX"
  fi
  bind "$LAGO_STATE/var" /var/lib/libvirt
  bind "$LAGO_STATE/etc" /etc/libvirt
  bind "$LAGO_STATE/log" /var/log/libvirt
  bind "$LAGO_CACHE" /var/cache/libvirt
  bind "$LAGO_RUNTIME/libvirt" /run/libvirt
  bind "$LAGO_STATE/etc/hosts" /etc/hosts
  bind "$LAGO_STATE/etc/passwd" /etc/passwd
  bind "$LAGO_STATE/etc/group" /etc/group
  # Often a link into the /run that was just hidden.
  local resolver
  resolver=$(readlink -m /etc/resolv.conf)
  if [ ! -e "$resolver" ]; then
    mkdir -p "${resolver%/*}"
    : >"$resolver"
  fi
  bind "$LAGO_STATE/etc/resolv.conf" "$resolver"
  printf '%s' "$table" >/run/lago-mounts
  mount -n -c -a -T /run/lago-mounts
  cd /
  ip link set lo up
  echo 1 >/proc/sys/net/ipv4/ip_forward
  # Only for people who look at it: without the program it keeps the machine's name, which resolves as well.
  hostname "$LAGO_HOSTNAME" 2>/dev/null || :
}

identity() {
  local stat pid
  read -r stat </proc/self/stat
  pid=${stat%% *}
  set -- ${stat##*) }
  IDENTITY="$pid ${20}"
}

start_virtlogd() {
  virtlogd --config /etc/libvirt/virtlogd.conf --pid-file /run/virtlogd.pid &
  VIRTLOGD=$!
}
start_libvirtd() {
  libvirtd --config /etc/libvirt/libvirtd.conf --pid-file /run/libvirtd.pid &
  LIBVIRTD=$!
}
# Its program may be gone for a while (see embedded.ts); that is no reason to end the VMs.
keep_relay() {
  while :; do
    ELECTRON_RUN_AS_NODE=1 "$LAGO_RUNTIME/node" "$LAGO_RUNTIME/relay.cjs" "$LAGO_RUNTIME/relay.sock" || :
    sleep 0.2
  done
}

# A daemon that does not come up at all is the end of the host; one that did is started again as often as needed.
ENDS=0
note_end() {
  echo "$1 ended, starting it again."
  ENDS=$((ENDS + 1))
  if [ "$ENDS" -lt 5 ]; then
    sleep 0.1
  elif [ -e "$LAGO_RUNTIME/ready" ]; then
    sleep 1
  else
    echo "$1 does not stay up."
    exit 1
  fi
}

main() {
  identity
  prepare
  start_libvirtd
  start_virtlogd
  keep_relay &
  echo "$IDENTITY" >"$LAGO_RUNTIME/host.new"
  mv "$LAGO_RUNTIME/host.new" "$LAGO_RUNTIME/host"
  # bash takes the orphans of libvirtd (dnsmasq, QEMU) by itself.
  while :; do
    wait -n "$LIBVIRTD" "$VIRTLOGD" || :
    if ! kill -0 "$LIBVIRTD" 2>/dev/null; then note_end libvirtd; start_libvirtd; fi
    if ! kill -0 "$VIRTLOGD" 2>/dev/null; then note_end virtlogd; start_virtlogd; fi
  done
}
main
