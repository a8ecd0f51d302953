"""The train loop, the evaluation loop, and what only they need: ranks, sync-BN, checkpoints, schedules, the log."""
