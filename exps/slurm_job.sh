#!/usr/bin/env bash
# The batch script that launch.sh submits: its arguments, once per task. The status of the job is srun's.
# Slurm's USR1 (preemption or time limit near) may come before Python listens, and would end whoever doesn't: each task
# ignores it until then, and hands that on to Python.
trap '' USR1
export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}
exec srun --kill-on-bad-exit=1 bash -c "trap '' USR1; exec \"\$@\"" bash "$@"
