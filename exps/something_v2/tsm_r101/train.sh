#!/usr/bin/env bash
# Train: train.sh PARTITION NUM_GPUS [options of main.py]; the partition `local` is this machine.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec bash "$here/../../launch.sh" train "$here" "$@"
