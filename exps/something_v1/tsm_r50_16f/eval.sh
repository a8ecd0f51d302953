#!/usr/bin/env bash
# Evaluate ckpt_best.pth.tar, or what --load-path names: eval.sh PARTITION NUM_GPUS [options of main.py]; the partition `local` is this machine.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec bash "$here/../../launch.sh" eval "$here" "$@"
