#!/usr/bin/env bash
# The whole road once, on videos made here: 8 classes that differ in motion alone. Usage: run_demo.sh [PYTHON]
# Every line below is a command that you can run by itself; a second start goes on where the first one stopped.
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHON=${1:-python3}
DATA=data/motion_demo
started=$SECONDS

say() { printf '\n== %s (%d s)\n' "$1" $((SECONDS - started)); }

say "make the videos: a random texture that pans, zooms or turns"
"$PYTHON" -m datasets.prepare.make_motion_videos "$DATA/videos"

say "dump their frames"
"$PYTHON" -m datasets.prepare.dump_frames "$DATA/videos" "$DATA/frames"

say "write the lists"
"$PYTHON" -m datasets.prepare.build_lists folder --frames "$DATA/frames" --out "$DATA/lists" \
    --train-list "$DATA/videos/train_split.txt" --val-list "$DATA/videos/val_split.txt" \
    --labels "$DATA/videos/classInd.txt"

for method in tsn tsm; do
    experiment=exps/demo/$method
    say "train $method"
    "$PYTHON" main.py --config "$experiment/config.yaml"
    for protocol in center dense; do
        say "scores of $method, $protocol"
        "$PYTHON" anal_tools/get_reference_results.py --config "$experiment/config.yaml" \
            --load-path "$experiment/ckpt_best.pth.tar" --protocol "$protocol" \
            --out "$experiment/results/$protocol.npz"
    done
    say "analysis of $method"
    "$PYTHON" anal_tools/analyze.py "$experiment/results/center.npz" --out "$experiment/results/center"
done

say "what came of it"
"$PYTHON" exps/demo/compare.py
