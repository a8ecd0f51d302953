#!/usr/bin/env bash
# Two "hosts" on one machine: network namespaces ${1}A (10.77.0.1) and ${1}B (10.77.0.2), joined by one pair of virtual
# interfaces; there is no route anywhere else.
#
#   two-hosts.sh up NAME | down NAME | cut NAME          (root; NAME of at most 8 characters)
set -euo pipefail

up() {
    local name=$1 host
    for host in A B; do ip netns add "$name$host"; done
    ip link add "${name}A" type veth peer name "${name}B"
    for host in A B; do ip link set "$name$host" netns "$name$host"; done
    ip -n "${name}A" addr add 10.77.0.1/24 dev "${name}A"
    ip -n "${name}B" addr add 10.77.0.2/24 dev "${name}B"
    for host in A B; do
        ip -n "$name$host" link set lo up
        ip -n "$name$host" link set "$name$host" up
    done
}

down() {
    local host
    for host in A B; do ip netns del "$1$host" 2>/dev/null || true; done
}

cut() { ip -n "${1}B" link set "${1}B" down; }

"$@"
