"""What workers note of what they read: seen in the main process, cheap, and nothing outside of workers."""

import os
import time

from datasets.worker_notes import Note, WorkerNotes, note_file, note_video
from tests.datasets.test_shared_memory import in_a_fork


def test_the_main_process_sees_the_last_note_of_each_worker() -> None:
    notes = WorkerNotes(workers=3)

    def work(worker: int) -> None:
        notes.begin(worker)
        note_video(7)
        note_file("/a/much longer/name.jpg")
        note_file(f"/frames/v é/{worker}.jpg")
        if worker == 2:
            note_video(None)

    assert notes.notes() == []
    before = notes.content()
    assert [in_a_fork(lambda worker=worker: work(worker)) for worker in (0, 2)] == [0, 0]
    first, last = notes.notes()
    assert first == Note(first.pid, 7, "/frames/v é/0.jpg")
    assert last == Note(last.pid, None, "")
    assert os.getpid() not in (first.pid, last.pid)
    assert notes.content() != before


def test_a_file_name_longer_than_a_slot_is_cut() -> None:
    notes = WorkerNotes(workers=2)

    def work(worker: int) -> None:
        notes.begin(worker)
        note_file("x" * 9000)

    assert in_a_fork(lambda: work(0)) == in_a_fork(lambda: work(1)) == 0
    assert [len(note.file) for note in notes.notes()] == [4096 - 16 - 1] * 2


def test_a_note_costs_a_microsecond_or_so() -> None:
    """Some 10 of them are made for a clip, whose frames take milliseconds to decode."""
    notes = WorkerNotes(workers=1)

    def work() -> None:
        notes.begin(0)
        best = min(clip_of_notes() for _ in range(2000))
        assert best < 40e-6, best

    def clip_of_notes() -> float:
        started = time.perf_counter()
        note_video(3)
        for _ in range(8):
            note_file("/data/kinetics400/frames/abseiling/0347ZoDXyP0_000095_000105/img_00012.jpg")
        return time.perf_counter() - started

    assert in_a_fork(work) == 0
    note_file("/nothing/happens/here.jpg")
