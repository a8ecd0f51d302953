#!/usr/bin/env bash
# Start an experiment; every train.sh and eval.sh calls this:
#     launch.sh train|eval EXPERIMENT_FOLDER PARTITION NUM_GPUS [options of main.py]
#
# PARTITION local: torchrun on this machine (CPU processes where it has no GPU). Any other: srun on that Slurm partition,
# one task per GPU; account, QOS and time limit come from srun's own SLURM_ACCOUNT, SLURM_QOS, SLURM_TIMELIMIT.
# PYTHON=/path/to/python overrides the interpreter (default: .venv/bin/python, else python3).
# A mistake ends with one line and status 2 before anything starts; else the status is the job's.
set -u

refuse() {
    echo "error: $1" >&2
    exit 2
}

[[ $# -ge 2 && $1 =~ ^(train|eval)$ ]] || refuse "launch.sh is called by an experiment's train.sh or eval.sh; call those"
mode=$1 experiment=$2
shift 2
usage="needs PARTITION NUM_GPUS [options of main.py], e.g. $mode.sh local 1"
[ $# -ge 2 ] || refuse "got $# arguments, $usage"
partition=$1 num_gpus=$2
shift 2
[ -n "$partition" ] || refuse "got an empty PARTITION, $usage"
[[ $num_gpus =~ ^[1-9][0-9]{0,4}$ ]] || refuse "got NUM_GPUS '$num_gpus', needs a whole number of at least 1"
[ -f "$experiment/config.yaml" ] || refuse "$experiment: no config.yaml in the experiment's folder"
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1 # relative paths start from the repository's root

if [ -z "${PYTHON:-}" ]; then
    PYTHON=python3
    [ -x .venv/bin/python ] && PYTHON=$PWD/.venv/bin/python
fi
command -v "$PYTHON" >/dev/null || refuse "PYTHON is '$PYTHON', which can't be run; run \`make env\`, or set PYTHON"

arguments=(main.py --config "$experiment/config.yaml")
if [ "$mode" = eval ]; then
    arguments+=(--evaluate)
    if [[ " $* " != *" --load-path"[=\ ]* ]]; then
        checkpoint=$experiment/ckpt_best.pth.tar
        [ -f "$checkpoint" ] || refuse "$checkpoint: no such checkpoint; train first, or add --load-path FILE"
        arguments+=(--load-path "$checkpoint")
    fi
fi
arguments+=("$@")

gpus_here() { # torch knows CUDA_VISIBLE_DEVICES and MIG; it is asked only where a driver is
    if command -v nvidia-smi >/dev/null || [ -e /dev/nvidiactl ] || [ -e /dev/kfd ]; then
        "$PYTHON" -c 'import torch; print(torch.cuda.device_count())'
    else
        echo 0
    fi
}

launch_here() {
    local gpus cores
    gpus=$(gpus_here) || refuse "$PYTHON can't count the GPUs of this machine (its own message is above); run \`make env\`"
    if [ "$gpus" -eq 0 ]; then
        echo "no GPU on this machine: $num_gpus CPU process(es)" >&2
    elif [ "$num_gpus" -gt "$gpus" ]; then
        refuse "got NUM_GPUS $num_gpus, this machine has $gpus; ask for at most $gpus"
    fi
    [ "$num_gpus" -gt 1 ] || exec "$PYTHON" "${arguments[@]}"
    cores=$(getconf _NPROCESSORS_ONLN)
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores > num_gpus ? cores / num_gpus : 1))}
    exec "$PYTHON" -m torch.distributed.run --standalone --nproc-per-node "$num_gpus" "${arguments[@]}"
}

# "GPUs-of-the-largest-node GPUs-of-all-nodes" of the partition; "0 0" where Slurm doesn't say.
gpus_of_partition() {
    sinfo --noheader --Node --partition="$partition" --format='%N %G' | sort -u | awk '{
        count = 0
        fields = split($2, resources, ",")
        for (i = 1; i <= fields; i++)
            if (resources[i] ~ /^gpu:/) {
                sub(/\(.*/, "", resources[i])
                parts = split(resources[i], words, ":")
                count += words[parts]
            }
        total += count
        if (count > largest) largest = count
    } END { print largest + 0, total + 0 }'
}

launch_on_slurm() {
    local partitions per_node total nodes per_node_used workers
    command -v srun >/dev/null && command -v sinfo >/dev/null ||
        refuse "got PARTITION '$partition', but there is no Slurm (srun, sinfo) here; needs \`local\` on this machine"
    partitions=$(sinfo --noheader --format=%R) || refuse "sinfo can't reach Slurm (its own message is above)"
    grep -Fqx -- "$partition" <<<"$partitions" ||
        refuse "got PARTITION '$partition', needs one of: $(sort -u <<<"$partitions" | paste -sd ' ' -) local"
    read -r per_node total < <(gpus_of_partition)
    if [ "$total" -gt 0 ] && [ "$num_gpus" -gt "$total" ]; then
        refuse "got NUM_GPUS $num_gpus, partition '$partition' has $total; ask for at most $total"
    fi
    [ "$per_node" -gt 0 ] || per_node=8
    nodes=$(((num_gpus + per_node - 1) / per_node))
    per_node_used=$(((num_gpus + nodes - 1) / nodes)) # spread evenly: 12 GPUs of nodes with 8 are 6 and 6
    workers=$(sed -n 's/^ *workers: *\([0-9][0-9]*\).*/\1/p' "$experiment/config.yaml" | head -n 1)
    # Slurm's USR1 (preemption or time limit near) may come before Python listens, and would end whoever doesn't: srun
    # keeps this shell's trap; the tasks don't, so each sets its own and hands it on to Python.
    trap '' USR1
    exec srun --partition="$partition" --job-name="$(basename "$experiment")" --kill-on-bad-exit=1 \
        --nodes="$nodes" --ntasks="$num_gpus" --ntasks-per-node="$per_node_used" --gres="gpu:$per_node_used" \
        --cpus-per-task=$((${workers:-4} + 1)) bash -c "trap '' USR1; exec \"\$@\"" bash "$PYTHON" "${arguments[@]}"
}

if [ "$partition" = local ]; then
    launch_here
else
    launch_on_slurm
fi
