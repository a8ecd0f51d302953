"""memcached in front of frames: what it has is right, the rest comes from disk, whatever becomes of the servers."""

import logging
import multiprocessing
import pickle
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from pymemcache.client.base import Client

from datasets.frame_sources import Memcached
from datasets.frame_sources.memcached import LOGGER, _key
from tests.memcached_servers import Server, free_port, needs_memcached, running

pytestmark = needs_memcached
SIZE = 15_000


class Disk:
    """Values that say whose they are, and a count of reads."""

    def __init__(self, size: int = SIZE) -> None:
        self.size = size
        self.reads = 0

    def value(self, name: str) -> bytes:
        return (name.encode() + b"|") * (self.size // (len(name) + 1))

    def through(self, cache: Memcached, group: str, names: list[str]) -> list[bytes]:
        def fetch(missing: list[int]) -> list[bytes]:
            self.reads += len(missing)
            return [self.value(names[place]) for place in missing]

        return cache.through(group, names, fetch)

    def all_right(self, cache: Memcached, group: str, names: list[str]) -> bool:
        return self.through(cache, group, names) == [self.value(name) for name in names]


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as servers:
        yield servers[0]


@pytest.fixture(autouse=True)
def log_lines_reach_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LOGGER, "propagate", True)
    monkeypatch.setattr(LOGGER, "level", logging.INFO)


def names_of(video: int, frames: int = 8) -> list[str]:
    return [f"root/video {video}/ü {frame:05d}.jpg" for frame in range(frames)]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_second_reader_needs_no_disk(server: Server) -> None:
    disk = Disk()
    first, second = Memcached(servers=[server.name]), Memcached(servers=[server.name])
    assert disk.all_right(first, "v", names_of(0))
    assert disk.reads == 8
    assert disk.all_right(second, "v", names_of(0)[::-1])
    assert disk.reads == 8
    assert disk.all_right(second, "v", [*names_of(0, 10), "x" * 4000])
    assert disk.reads == 11
    assert second.counts() == {"hits": 16, "misses": 3, "wrong": 0, "faults": 0, "refused": 0}


def test_videos_are_spread_over_the_servers_and_found_again_by_others() -> None:
    with running(3) as servers:
        disk, addresses = Disk(size=200), [server.name for server in servers]
        cache = Memcached(servers=addresses)
        assert all(disk.all_right(cache, f"{video}", names_of(video)) for video in range(300))
        loads = [int(Client(("127.0.0.1", server.port)).stats()[b"curr_items"]) for server in servers]
        assert sum(loads) == 2400
        assert min(loads) > 0.2 * sum(loads)
        reads = disk.reads
        backwards = Memcached(servers=addresses[::-1])  # the order of the config's list does not matter
        assert all(disk.all_right(backwards, f"{video}", names_of(video)) for video in range(300))
        assert disk.reads == reads


def test_a_server_less_moves_only_its_own_videos() -> None:
    names = [f"node{number}:11211" for number in range(4)]
    four, three = Memcached(servers=names), Memcached(servers=names[:3])
    before = [four._ring.get_node(f"video {number}") for number in range(1000)]
    after = [three._ring.get_node(f"video {number}") for number in range(1000)]
    moved = [old for old, new in zip(before, after) if old != new]
    assert Counter(moved) == {"node3:11211": before.count("node3:11211")}
    assert 200 < len(moved) < 300


def test_a_dead_server_costs_one_warning_and_no_time(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    disk, cache = Disk(), Memcached(servers=[server.name], retry_seconds=0.3)
    assert disk.all_right(cache, "v", names_of(0))
    server.kill()
    started = time.monotonic()
    assert all(disk.all_right(cache, "v", names_of(0)) for _ in range(50))
    assert time.monotonic() - started < 1.0
    assert [line.split(" (")[0] for line in warnings(caplog)] == [f"memcached {server.name} does not answer"]
    assert cache.counts()["faults"] == 1
    time.sleep(0.3)
    assert disk.all_right(cache, "v", names_of(0))  # tried again, in vain, and without a second warning
    assert cache.counts()["faults"] == 2
    server.start()
    time.sleep(0.6)
    assert disk.all_right(cache, "v", names_of(0))
    reads = disk.reads
    assert disk.all_right(cache, "v", names_of(0))
    assert disk.reads == reads  # it serves again
    assert len(warnings(caplog)) == 1


def test_a_restarted_server_is_used_at_once(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    disk, cache = Disk(), Memcached(servers=[server.name])
    assert disk.all_right(cache, "v", names_of(0))
    server.kill()
    server.start()
    assert disk.all_right(cache, "v", names_of(0))
    assert disk.all_right(cache, "v", names_of(0))
    assert (disk.reads, warnings(caplog)) == (16, [])


def test_a_hung_server_costs_a_second_at_most(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    disk, cache = Disk(), Memcached(servers=[server.name])
    assert disk.all_right(cache, "v", names_of(0))
    server.hang()
    try:
        started = time.monotonic()
        assert all(disk.all_right(cache, "v", names_of(0)) for _ in range(100))
        used = time.monotonic() - started
        started = time.monotonic()
        fresh = Memcached(servers=[server.name])
        assert all(disk.all_right(fresh, "v", names_of(0)) for _ in range(100))
        assert max(used, time.monotonic() - started) < 1.0
    finally:
        server.go_on()
    assert len(warnings(caplog)) == 2  # one each


def test_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk()
    cache = Memcached(servers=[f"127.0.0.1:{free_port()}", "no-such-host.invalid:11211"])
    started = time.monotonic()
    assert all(disk.all_right(cache, f"{video}", names_of(video)) for video in range(30))
    assert disk.reads == 240
    assert len(warnings(caplog)) == 2
    assert time.monotonic() - started < 3.0


def test_wrong_bytes_are_never_accepted(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    disk, cache = Disk(size=300), Memcached(servers=[server.name])
    names = names_of(0, 6)
    assert disk.all_right(cache, "v", names)
    client = Client(("127.0.0.1", server.port))
    keys = [_key(name)[0] for name in names]
    stored = client.get_many(keys)
    flipped = bytearray(stored[keys[1]])
    flipped[40] ^= 1
    damage = [stored[keys[1]], bytes(flipped), stored[keys[2]][:-1], b"", b"x" * 316]  # keys[0]: another's value
    for key, value in zip(keys, damage):
        client.set(key, value, noreply=False)
    assert disk.all_right(cache, "v", names)
    assert (disk.reads, cache.counts()["wrong"]) == (11, 5)
    assert disk.all_right(cache, "v", names)
    assert disk.reads == 11  # the right ones were put in their place
    assert warnings(caplog) == [
        "memcached: a value with a wrong checksum (1 so far); such frames are read from where they lie"
    ]  # and no second one within a minute


def test_a_server_that_speaks_another_language(caplog: pytest.LogCaptureFixture) -> None:
    def talk(listener: socket.socket) -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=talk, args=(listener,), daemon=True).start()
        disk, cache = Disk(), Memcached(servers=[f"127.0.0.1:{listener.getsockname()[1]}"])
        assert all(disk.all_right(cache, "v", names_of(0)) for _ in range(5))
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize("options", [(), ("-I", "512k")])
def test_what_is_too_large_goes_around(options: tuple[str, ...], caplog: pytest.LogCaptureFixture) -> None:
    with running(1, options) as servers:
        cache = Memcached(servers=[servers[0].name])
        small, large = Disk(), Disk(size=1_100_000 if not options else 700_000)
        assert large.all_right(cache, "v", names_of(0, 2))
        assert large.all_right(cache, "v", names_of(0, 2))
        assert small.all_right(cache, "v", names_of(1))
        assert small.all_right(cache, "v", names_of(1))
        assert (large.reads, small.reads) == (4, 8)
        assert cache.counts()["refused"] == 2
    assert warnings(caplog) == []


def test_an_evicting_server_never_gives_wrong_frames() -> None:
    with running(1, ["-m", "64"]) as servers:
        cache, disk = Memcached(servers=[servers[0].name]), Disk(size=60_000)
        for _ in range(2):
            assert all(disk.all_right(cache, f"{video}", names_of(video)) for video in range(250))  # 120 MB
        assert 2000 < disk.reads <= 4000
        assert int(Client(("127.0.0.1", servers[0].port)).stats()[b"evictions"]) > 0
        assert cache.counts()["wrong"] == cache.counts()["faults"] == 0


def _read_in_worker(cache: Memcached, worker: int, results: "multiprocessing.Queue[tuple[int, int]]") -> None:
    disk, wrong = Disk(), 0
    for turn in range(250):  # of 8 frames: 2,000 gets
        video = (worker * 37 + turn * 11) % 50
        wrong += not disk.all_right(cache, f"{video}", names_of(video))
    results.put((wrong, disk.reads))


def test_a_client_that_was_used_before_a_fork_gives_no_wrong_frames(server: Server) -> None:
    cache, disk = Memcached(servers=[server.name], timeout=5.0), Disk()
    assert all(disk.all_right(cache, f"{video}", names_of(video)) for video in range(50))
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[tuple[int, int]] = context.Queue()
    workers = [context.Process(target=_read_in_worker, args=(cache, number, results)) for number in range(4)]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert found == [(0, 0)] * 4  # nothing wrong, nothing read from disk
    counts = {"hits": 8000, "misses": 400, "wrong": 0, "faults": 0, "refused": 0}
    assert cache.counts() == counts  # of all four and this one, none lost


def test_workers_learn_of_an_outage_from_each_other(server: Server) -> None:
    cache = Memcached(servers=[server.name])
    server.kill()
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[tuple[int, int]] = context.Queue()
    for number in range(3):
        worker = context.Process(target=_read_in_worker, args=(cache, number, results))
        worker.start()
        worker.join()
    assert [results.get(timeout=10) for _ in range(3)] == [(0, 2000)] * 3
    assert cache.counts()["faults"] == 1


def test_a_copy_for_a_spawned_process_is_a_client_of_the_same_servers(server: Server) -> None:
    disk, cache = Disk(), Memcached(servers=[server.name])
    assert disk.all_right(cache, "v", names_of(0))
    copy = pickle.loads(pickle.dumps(cache))
    assert disk.all_right(copy, "v", names_of(0))
    assert disk.reads == 8
