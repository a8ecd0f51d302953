"""What the log says of training between two evaluations: means over the last iterations, rates, time left."""

import time
from datetime import timedelta

from engine.distributed import sum_over_ranks
from engine.log import LOGGER, Events
from engine.run import Run


class Progress:
    """Adds up metrics and times; the sums of metrics live in the run, so that a resumed run prints the same lines."""

    def __init__(self, *, first_iteration: int, max_iter: int) -> None:
        self.first_iteration = first_iteration
        self._max_iter = max_iter
        self._started = time.monotonic()
        self._seconds = 0.0
        self._data_seconds = 0.0
        self._steps = 0

    def count(
        self, window: dict[str, float], metrics: dict[str, float], *, data_seconds: float, seconds: float
    ) -> None:
        """Add one iteration: its metrics to `window`, its time (of it waiting for data) to this start's."""
        for name, value in {**metrics, "iterations": 1.0}.items():
            window[name] = window.get(name, 0.0) + value
        self._seconds += seconds
        self._data_seconds += data_seconds
        self._steps += 1

    def report(self, run: Run, events: Events) -> None:
        """Print and record the means since the last report, over all ranks, and begin a new window."""
        sums = dict(zip(run.window, sum_over_ranks(list(run.window.values()), run.world)))
        count = sums.pop("iterations")
        means = {name: value / count for name, value in sums.items()}
        data, step = self._data_seconds / self._steps, self._seconds / self._steps
        clips = run.config.batch_size * run.config.accumulate * run.world.size
        rate = run.schedule.rate(run.iteration - 1)
        left = (
            (time.monotonic() - self._started)
            / (run.iteration - self.first_iteration)
            * (self._max_iter - run.iteration)
        )
        LOGGER.info(
            "iter %d/%d  loss %.4f  top1 %.2f  top5 %.2f  lr %.6g  data %.3f s  step %.3f s  %.1f clips/s  left %s",
            *(run.iteration, self._max_iter, means["loss"], means["top1"], means["top5"], rate),
            *(data, step, clips / step, timedelta(seconds=round(left))),
        )
        events.scalars({f"train/{name}": value for name, value in means.items()}, run.iteration)
        events.scalars(
            {
                "train/lr": rate,
                "time/data_seconds": data,
                "time/step_seconds": step,
                "time/clips_per_second": clips / step,
            },
            run.iteration,
        )
        run.window.clear()
        self._seconds = self._data_seconds = 0.0
        self._steps = 0
