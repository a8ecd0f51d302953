#!/usr/bin/env bash
# Start an experiment; every train.sh and eval.sh calls this:
#     launch.sh train|eval EXPERIMENT_FOLDER PARTITION NUM_GPUS [options of main.py]
#
# PARTITION local: torchrun on this machine (CPU processes where it has no GPU). Any other: that Slurm partition, one task
# per GPU: a training by sbatch (it comes back after a requeue; its output is followed here and kept in slurm-JOB.txt),
# an evaluation and --check by srun. SLURM_ACCOUNT, SLURM_QOS and SLURM_TIMELIMIT are honoured; the job is warned
# WARNING_SECONDS (120) before its time limit, saves and goes back into the queue.
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
    local request=(--partition="$partition" --job-name="$(basename "$experiment")" --nodes="$nodes" --ntasks="$num_gpus"
        --ntasks-per-node="$per_node_used" --gres="gpu:$per_node_used" --cpus-per-task=$((${workers:-4} + 1)))
    if [ "$mode" = train ] && [[ ! " ${arguments[*]} " =~ \ --(check|replay)[\ =] ]]; then
        submit
    else
        # A job's USR1 would end whoever doesn't listen yet; srun keeps this shell's trap, tasks set their own.
        trap '' USR1
        exec srun "${request[@]}" --kill-on-bad-exit=1 bash -c "trap '' USR1; exec \"\$@\"" bash "$PYTHON" "${arguments[@]}"
    fi
}

# A training is a batch job: only those come back after a requeue, a preemption or the death of a node.
submit() {
    local job output follower status
    [ -w "$experiment" ] || refuse "$experiment: cannot be written to; copy the experiment's folder to where you may write"
    # sbatch has its own names for srun's
    export SBATCH_ACCOUNT=${SBATCH_ACCOUNT:-${SLURM_ACCOUNT:-}} SBATCH_QOS=${SBATCH_QOS:-${SLURM_QOS:-}}
    export SBATCH_TIMELIMIT=${SBATCH_TIMELIMIT:-${SLURM_TIMELIMIT:-}}
    local name
    for name in SBATCH_ACCOUNT SBATCH_QOS SBATCH_TIMELIMIT; do
        [ -n "${!name}" ] || unset "$name"
    done
    job=$(sbatch --parsable "${request[@]}" --requeue --signal="USR1@${WARNING_SECONDS:-120}" --open-mode=append \
        --output="$experiment/slurm-%j.txt" exps/slurm_job.sh "$PYTHON" "${arguments[@]}") || exit 2
    job=${job%%;*} output=$experiment/slurm-$job.txt
    echo "job $job; its output: $output" >&2
    tail -n +1 -F "$output" 2>/dev/null &
    follower=$!
    trap 'kill $follower; echo "job $job goes on without this terminal; scancel $job ends it" >&2; exit 130' INT TERM HUP
    wait_for_job "$job"
    status=$?
    sleep 1 # the last lines may still be on their way
    kill $follower
    exit $status
}

# Returns the job's exit status, however often it is requeued until then.
wait_for_job() {
    local shown state code pause=1
    while true; do
        sleep $pause
        [ $pause -ge 10 ] || pause=$((pause + 1))
        if ! shown=$(scontrol --oneliner show job "$1" 2>&1); then
            [[ $shown == *"Invalid job id"* ]] || continue # the controller is away for a while
            echo "error: Slurm does not know job $1 any more; how it ended is in log.txt" >&2
            return 1
        fi
        [[ $shown =~ JobState=([A-Z_]+) ]] && state=${BASH_REMATCH[1]}
        [[ $shown =~ ExitCode=([0-9]+):([0-9]+) ]] && code=${BASH_REMATCH[1]}
        case $state in
        COMPLETED) return "$code" ;;
        FAILED | TIMEOUT | CANCELLED | NODE_FAIL | OUT_OF_MEMORY | BOOT_FAIL | DEADLINE | PREEMPTED)
            echo "job $1: $state" >&2
            return $((code > 0 ? code : 1))
            ;;
        esac
    done
}

if [ "$partition" = local ]; then
    launch_here
else
    launch_on_slurm
fi
