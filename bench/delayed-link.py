#!/usr/bin/env python3
"""Two network namespaces and a link between them on which every packet takes its time.

    bench/delayed-link.py MS [OCTETS]     prints two process ids, whose namespaces are the two ends, and the first end's address

MS is a round trip, OCTETS how long packets are at most: 1,500 unless told, as on Ethernet. Each end is a TUN device; packets are carried from one to the other, half of MS later, as they are. It ends
when it is killed, and the namespaces with it. Needs root and /dev/net/tun; touches nothing outside of its namespaces.
"""

import ctypes
import fcntl
import heapq
import os
import select
import signal
import struct
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
libc = ctypes.CDLL(None, use_errno=True)


def end(address, octets):
    """A child with a namespace of its own, and the device in it."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        # The kernel tells it when we have gone.
        libc.prctl(1, signal.SIGKILL)
        if libc.unshare(CLONE_NEWNET) != 0:
            os._exit(1)
        os.write(theirs, b"x")
        while True:
            signal.pause()
    if os.read(ours, 1) != b"x":
        sys.exit("no namespace")
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    enter(os.open(f"/proc/{child}/ns/net", os.O_RDONLY))
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"wire", IFF_TUN | IFF_NO_PI))
    for command in (
        "link set lo up",
        f"addr add {address}/24 dev wire",
        f"link set wire mtu {octets} up",
        "link set wire txqueuelen 10000",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    enter(home)
    return child, device


def enter(namespace):
    if libc.setns(namespace, CLONE_NEWNET) != 0:
        sys.exit(f"no namespace: {os.strerror(ctypes.get_errno())}")


def carry(devices, delay):
    waiting, count = [], 0
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, device, packet = heapq.heappop(waiting)
            try:
                os.write(device, packet)
            except BlockingIOError:
                pass
        wait = waiting[0][0] - time.monotonic() if waiting else None
        ready, _, _ = select.select(devices, [], [], None if wait is None else max(wait, 0))
        for device in ready:
            other = devices[1 - devices.index(device)]
            for _ in range(64):
                try:
                    packet = os.read(device, 65536)
                except BlockingIOError:
                    break
                count += 1
                heapq.heappush(waiting, (time.monotonic() + delay, count, other, packet))


def main():
    octets = int(sys.argv[2]) if len(sys.argv) > 2 else 1500
    (one, here), (other, there) = end("10.99.0.1", octets), end("10.99.0.2", octets)
    print(one, other, "10.99.0.1", flush=True)
    carry([here, there], float(sys.argv[1]) / 2000)


main()
