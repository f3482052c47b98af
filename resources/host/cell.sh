#!/bin/bash
# First process (pid 1) of a cell: the outer namespaces of one environment, in the machine's own network. The embedded host and its
# uplink run below it, so that killing this one process ends everything of the environment.
#   LAGO_STATE    folder in the prefix: lock, configuration, libvirt's state and logs
#   LAGO_RUNTIME  folder for sockets and process ids
#   LAGO_CACHE    libvirt's cache of emulator capabilities, one per user
#   LAGO_FACTS    text for LAGO_RUNTIME/facts.json
#   LAGO_HOSTNAME, LAGO_RELAY (relay.cjs), LAGO_HOST_SCRIPT (host.sh)
#   LAGO_UPLINK   none, pasta or slirp4netns; its arguments are this script's arguments, the word NETNS in them stands for the place
#                 of the host's network namespace, the word INTERFACE for the interface that leads out
# Ends with 75 when the environment's host runs already. The whole script is parsed before it runs: its file may vanish while it does.
set -eu

write_configuration() {
  local s=$LAGO_STATE
  mkdir -p "$s/etc" "$s/var" "$s/log" "$LAGO_CACHE"
  cat >"$s/etc/libvirtd.conf" <<'C'
listen_tls = 0
listen_tcp = 0
unix_sock_group = "root"
unix_sock_rw_perms = "0700"
unix_sock_ro_perms = "0700"
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
min_workers = 2
max_workers = 20
prio_workers = 2
C
  # +4294967295 is -1, "leave it": QEMU keeps the user and the groups that it is started with, and with them /dev/kvm.
  # With the capability that is filtered out, libvirt asks every QEMU that it starts for some 150 CPU features one by one, which costs a
  # quarter of a second: QEMU reads its monitor byte by byte. Without it, it asks once.
  cat >"$s/etc/qemu.conf" <<'C'
user = "+4294967295"
group = "+4294967295"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "logd"
vnc_listen = "127.0.0.1"
max_core = 0
capability_filters = ["cpu-unavailable-features"]
C
  : >"$s/etc/virtlogd.conf"
  # The own name must resolve, or libvirtd waits for DNS when it starts.
  printf '127.0.0.1 localhost %s %s\n::1 localhost\n' "$LAGO_HOSTNAME" "$(</proc/sys/kernel/hostname)" >"$s/etc/hosts"
  # libvirt looks its distribution's QEMU user up even where another one is set; Debian makes it with libvirt-daemon-system only.
  local users groups
  users=$(</etc/passwd)
  groups=$(</etc/group)
  [[ $'\n'$users == *$'\nlibvirt-qemu:'* ]] || users+=$'\nlibvirt-qemu:x:64055:64055:Libvirt QEMU:/var/lib/libvirt:/usr/sbin/nologin'
  [[ $'\n'$groups == *$'\nlibvirt-qemu:'* ]] || groups+=$'\nlibvirt-qemu:x:64055:'
  printf '%s\n' "$users" >"$s/etc/passwd"
  printf '%s\n' "$groups" >"$s/etc/group"
  if [ "$LAGO_UPLINK" = none ]; then echo '# no uplink'; else echo "nameserver $LAGO_DNS"; fi >"$s/etc/resolv.conf"
}

# pid and start time in the machine's terms (/proc is still the machine's here) and the boot they belong to: a name that no other
# process ever has.
identity() {
  local stat boot pid
  read -r stat </proc/self/stat
  read -r boot </proc/sys/kernel/random/boot_id
  pid=${stat%% *}
  set -- ${stat##*) }
  IDENTITY="$pid ${20} $boot"
}

# The interface of the default route, else the first one with an address.
way_out() {
  local line
  line=$(ip -4 -oneline route show default)
  if [[ $line =~ \ dev\ ([^\ ]+) ]]; then
    echo "${BASH_REMATCH[1]}"
    return
  fi
  line=$(ip -4 -oneline address show up scope global)
  if [[ $line =~ ^[0-9]+:\ ([^\ ]+) ]]; then echo "${BASH_REMATCH[1]}"; fi
}

keep_uplink() {
  local pid argument arguments
  until [ -e "$LAGO_RUNTIME/host" ]; do sleep 0.02; done
  read -r pid _ <"$LAGO_RUNTIME/host"
  # By path: pasta gives up the right to look into /proc/PID before it opens the namespace.
  : >"$LAGO_RUNTIME/netns"
  mount -n --bind "/proc/$pid/ns/net" "$LAGO_RUNTIME/netns"
  # Offline machines make it end at once: it is tried again until there is a way out.
  while :; do
    arguments=()
    for argument in "$@"; do
      case $argument in
        NETNS) argument=$LAGO_RUNTIME/netns ;;
        INTERFACE) argument=$(way_out) ;;
      esac
      arguments+=("$argument")
    done
    "$LAGO_UPLINK" "${arguments[@]}" || :
    sleep 2
  done
}

main() {
  exec 9>>"$LAGO_STATE/lock"
  flock -n 9 || exit 75
  umask 077
  mkdir -p "$LAGO_RUNTIME"
  rm -rf "${LAGO_RUNTIME:?}"/*
  mkdir "$LAGO_RUNTIME/libvirt" "$LAGO_RUNTIME/vnc"
  printf '%s' "$LAGO_FACTS" >"$LAGO_RUNTIME/facts.json"
  cp "$LAGO_RELAY" "$LAGO_RUNTIME/relay.cjs"
  ln -s "$LAGO_NODE" "$LAGO_RUNTIME/node"
  umask 022
  write_configuration
  identity
  echo "$IDENTITY $LAGO_RUNTIME" >"$LAGO_STATE/cell.new"
  mv "$LAGO_STATE/cell.new" "$LAGO_STATE/cell"
  echo "$IDENTITY" >"$LAGO_RUNTIME/cell.new"
  mv "$LAGO_RUNTIME/cell.new" "$LAGO_RUNTIME/cell"
  unshare --net --mount --pid --ipc --uts --fork --kill-child bash "$LAGO_HOST_SCRIPT" 9>&- &
  local host=$! status=0
  if [ "$LAGO_UPLINK" != none ]; then keep_uplink "$@" >"$LAGO_STATE/log/uplink.log" 2>&1 9>&- & fi
  wait "$host" || status=$?
  echo "The embedded host ended ($status)."
  # Nothing of it runs any more, and the lock is still held. The record stays: it tells that nobody stopped it.
  umount -n -l "$LAGO_RUNTIME/netns" 2>/dev/null || :
  rm -rf "${LAGO_RUNTIME:?}"
  exit "$status"
}
main "$@"
