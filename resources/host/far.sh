#!/bin/bash
# Runs on another machine, by ssh, for environments whose VMs are there. It keeps everything below DATA: `images/KEY/`, the images that
# disks are based on, and `ID/`, an environment: `prefix/`, the files that its VMs use, complete as soon as it is there, and `host/`, the
# state of its host. Exit status 3 means no (not there, not running); anything else but 0 is a failure, explained on stderr.
# The whole script is parsed before it runs: its file may vanish while it does.
set -eu
export LC_ALL=C.UTF-8 PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
umask 022
HELPER=${BASH_SOURCE[0]%/*}
DATA=${XDG_DATA_HOME:-$HOME/.local/share}/lago/remote
NO=3

fail() {
  echo "$1" >&2
  exit 1
}

# Sets the folders of the environment: E all of it, S the state of its host, R its sockets. These are not in the session's own runtime
# folder, which ends with the connection.
environment() {
  [[ $1 =~ ^[0-9a-f]{32}$ ]] || fail "Not an environment: $1"
  local root=/run/lago-remote
  if [ "$(id -u)" != 0 ]; then root=/tmp/lago-remote-$(id -u); fi
  E=$DATA/$1 S=$DATA/$1/host R=$root/${1:0:12}
}

# Whether the process of the environment's cell lives; sets PID. A pid alone would be reused.
alive() {
  local start boot stat
  [ -e "$S/cell" ] || return 1
  read -r PID start boot _ <"$S/cell" || return 1
  [ "$boot" = "$(</proc/sys/kernel/random/boot_id)" ] || return 1
  { read -r stat <"/proc/$PID/stat"; } 2>/dev/null || return 1
  set -- ${stat##*) }
  [ $# -ge 20 ] && [ "$1" != Z ] && [ "${20}" = "$start" ]
}

# bash also finds a file that may not be executed.
has() {
  local path
  path=$(type -P "$1") && [ -x "$path" ]
}

# Prints what this machine lacks, where data is kept, and how VMs can reach the outside.
check() {
  local program missing='' uplink=none
  for program in node libvirtd virtlogd qemu-system-x86_64 qemu-img dnsmasq ip unshare nsenter setsid flock setpriv timeout tar; do
    has "$program" || missing+=" $program"
  done
  has iptables || has nft || missing+=' iptables'
  if [ "$(id -u)" != 0 ]; then unshare --user --map-root-user true 2>/dev/null || missing+=' user-namespaces'; fi
  (: <>/dev/net/tun) 2>/dev/null || missing+=' /dev/net/tun'
  for program in slirp4netns pasta; do
    if has "$program"; then uplink=$program; fi
  done
  echo "missing$missing"
  echo "uplink $uplink"
  echo "data $DATA"
}

# Runs QEMU on the boot sector of stdin.
boots() {
  local folder status=0
  folder=$(mktemp -d)
  cd "$folder"
  cat >boot-sector.img
  "$@" || status=$?
  rm -rf "$folder"
  exit "$status"
}

find_host() {
  alive || exit "$NO"
  [ -e "$R/facts.json" ] || fail "its sockets in $R are gone"
  printf '%s\n%s\n' "$R" "$PID"
  cat "$R/facts.json"
}

# Arguments: the environment, its folder on the machine that it was made on, its host's name, facts, uplink and name server, then the
# arguments of the uplink.
start_host() {
  local folder=$2 hostname=$3 facts=$4 kind=$5 server=$6 above child status user=()
  shift 6
  if ! alive; then
    above=$folder
    until [ -d "$above" ]; do above=${above%/*}; done
    [ -n "$above" ] || fail "its folder is $folder, but there is no folder /$(cut -d/ -f2 <<<"$folder") on this machine"
    [ -d "$E/prefix" ] || fail "its files are not on this machine"
    mkdir -p "$S/log" "$E/prefix/logs"
    (umask 077 && mkdir -p "${R%/*}")
    [ -O "${R%/*}" ] && [ ! -L "${R%/*}" ] || fail "${R%/*} belongs to another user"
    if [ "$(id -u)" != 0 ]; then user=(--user --map-root-user); fi
    LAGO_STATE=$S LAGO_RUNTIME=$R LAGO_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/lago/libvirt LAGO_FACTS=$facts LAGO_HOSTNAME=$hostname \
      LAGO_RELAY=$HELPER/relay.cjs LAGO_HOST_SCRIPT=$HELPER/host.sh LAGO_NODE=$(command -v node) LAGO_UPLINK=$kind LAGO_DNS=$server \
      LAGO_FILES=$E/prefix LAGO_PREFIX=$folder setsid unshare "${user[@]}" --pid --mount --fork --kill-child bash "$HELPER/cell.sh" "$@" \
      </dev/null >"$S/log/start.log" 2>&1 &
    child=$!
    for _ in {1..1500}; do
      if alive && [ -S "$R/libvirt/libvirt-sock" ] && [ -S "$R/relay.sock" ]; then break; fi
      if [ -n "$child" ] && ! kill -0 "$child" 2>/dev/null; then
        status=0
        wait "$child" || status=$?
        # 75: another start of the same environment was first.
        [ "$status" = 75 ] || fail "$(grep -v '^The embedded host ended' "$S/log/start.log" | tail -n 1)"
        child=
      fi
      sleep 0.02
    done
  fi
  find_host
}

stop_host() {
  if alive; then
    kill -KILL "$PID"
    for _ in {1..1000}; do
      alive || break
      sleep 0.02
    done
    if alive; then fail "The environment's host (pid $PID) does not end."; fi
  fi
  rm -rf "$R" "$S/cell"
}

# Enters the environment's host and runs a program there.
run_inside() {
  local pid user=()
  alive || fail "The environment's host does not run."
  read -r pid _ <"$R/host"
  if [ "$(readlink "/proc/$pid/ns/user")" != "$(readlink /proc/self/ns/user)" ]; then user=(--user --preserve-credentials); fi
  exec nsenter --target "$pid" "${user[@]}" --net --mount --pid --ipc --uts -- "$@"
}

# Prints inode and size of a file of the environment, then at most its last bytes, and before them those of the file before its rotation.
log_tail() {
  local file=$E/prefix/$1 bytes=$2 inode size
  [ -e "$file" ] || exit "$NO"
  read -r inode size <<<"$(stat -c '%i %s' "$file")"
  echo "$inode $size"
  {
    if [ "$size" -lt "$bytes" ] && [ -e "$file.0" ]; then cat "$file.0"; fi
    head -c "$size" "$file"
  } | tail -c "$bytes"
}

# Prints what is added to a file after a place in it, until stdin ends: nothing else would end it together with its connection.
log_follow() {
  local file=$E/prefix/$1 inode=$2 from=$3
  if [ -e "$file" ] && [ "$(stat -c %i "$file")" != "$inode" ]; then from=0; fi
  tail -c "+$((from + 1))" -F "$file" 2>/dev/null &
  cat >/dev/null
  kill "$!"
}

# Unpacks the archive on stdin to a folder, which appears when it is complete; one that is there already is kept. Arguments: the folder, the
# archive's last name, without which it was cut off, then for each image with another one below it: its file, the other's format and path.
receive() {
  local folder=$1 last=$2
  shift 2
  mkdir -p "$DATA/images"
  exec 8>>"$DATA/images/.lock"
  flock 8
  if [ -e "$folder" ]; then
    cat >/dev/null
    return
  fi
  rm -rf "$folder.part"
  mkdir -p "$folder.part"
  tar -x -S -f - -C "$folder.part"
  [ -e "$folder.part/$last" ] || fail 'the files arrived incompletely'
  while [ $# -gt 0 ]; do
    qemu-img rebase -u -f qcow2 -F "$2" -b "$3" "$folder.part/$1"
    shift 3
  done
  mv -T "$folder.part" "$folder"
}

image() {
  [[ $1 =~ ^[0-9a-f]{32}$ ]] || fail "Not an image: $1"
  IMAGE=$DATA/images/$1
}

main() {
  local verb=$1
  shift
  case $verb in
    check) check ;;
    boots) boots "$@" ;;
    has-image)
      image "$1"
      [ -e "$IMAGE" ] || exit "$NO"
      ;;
    receive-image)
      image "$1"
      shift
      receive "$IMAGE" "$@"
      ;;
    *)
      environment "$1"
      case $verb in
        has-files) [ -e "$E/prefix" ] || exit "$NO" ;;
        receive-files)
          shift
          mkdir -p "$E"
          receive "$E/prefix" "$@"
          ;;
        find) find_host ;;
        start) start_host "$@" ;;
        stop) stop_host ;;
        remove)
          stop_host
          rm -rf "$E"
          ;;
        run)
          shift
          run_inside "$@"
          ;;
        log-tail) log_tail "$2" "$3" ;;
        log-follow) log_follow "$2" "$3" "$4" ;;
        *) fail "Not known: $verb" ;;
      esac
      ;;
  esac
}
main "$@"
