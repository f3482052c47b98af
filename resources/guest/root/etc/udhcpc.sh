#!/bin/sh
# One NIC's lease becomes its address. With several NICs the first one's route and name servers come first, whoever answers first.
n=${interface#eth}
case $1 in
bound | renew)
  ip addr replace "$ip/${mask:-24}" broadcast "${broadcast:-+}" dev "$interface"
  arping -q -U -c 1 -w 1 -I "$interface" "$ip" >/dev/null 2>&1 &
  [ -n "$router" ] && ip route replace default via "${router%% *}" dev "$interface" metric $((100 + n))
  # Without a seed the name is the one that the network gives.
  [ -n "$hostname" ] && [ ! -s /etc/hostname ] && hostname "$hostname"
  {
    [ -n "$domain" ] && echo "search $domain"
    for d in $dns; do echo "nameserver $d"; done
  } >/run/resolv.$interface
  # Cards whose answers come together write at once: whoever writes last looks whether all of it is there.
  until cat /run/resolv.eth* | cmp -s - /run/resolv.conf; do
    cat /run/resolv.eth* >/run/resolv.$$ && mv /run/resolv.$$ /run/resolv.conf
  done
  ;;
deconfig) ip link set "$interface" up ;;
esac
