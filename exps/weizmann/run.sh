#!/usr/bin/env bash
# README "Results": TSN and TSM on Weizmann's actions and on the direction of motion, on the CPU.
# Usage: run.sh MATERIAL [PYTHON]; MATERIAL holds data/weizmann, data/weizmann_direction (videos/, train.txt, val.txt,
# classInd.txt) and weights/mobilenet_v2_imagenet.pth. Every line below is a command that you can run by itself; a
# second start goes on where the first one stopped.
set -euo pipefail
[ $# -ge 1 ] || { echo "error: got no folder, needs the one with data/weizmann and weights/: run.sh MATERIAL" >&2; exit 2; }
material=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."
PYTHON=${2:-.venv/bin/python}

[ -e pretrained/mobilenet_v2_imagenet.pth ] || cp "$material/weights/mobilenet_v2_imagenet.pth" pretrained/
for set in ${SETS:-weizmann weizmann_direction}; do
    "$PYTHON" -m datasets.prepare.dump_frames "$material/data/$set/videos" "data/$set/frames"
    "$PYTHON" -m datasets.prepare.build_lists folder --frames "data/$set/frames" --out "data/$set/lists" \
        --train-list "$material/data/$set/train.txt" --val-list "$material/data/$set/val.txt" \
        --labels "$material/data/$set/classInd.txt"
    for method in tsn tsm; do
        experiment=exps/$set/${method}_mobilenetv2
        "$PYTHON" main.py --config "$experiment/config.yaml"
        for protocol in center tsm-twice-3crop; do
            "$PYTHON" anal_tools/get_reference_results.py --config "$experiment/config.yaml" --protocol "$protocol" \
                --load-path "$experiment/ckpt.pth.tar" --out "$experiment/results/$protocol.npz"
        done
        "$PYTHON" anal_tools/analyze.py "$experiment/results/tsm-twice-3crop.npz" --out "$experiment/results/report"
    done
done
grep -H "evaluation at iteration 180" exps/weizmann*/*/log.txt
