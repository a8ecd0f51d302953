#!/usr/bin/env bash
# README "Results": TSN and TSM on Weizmann's 10 actions, each of the 9 persons held out once (18 trainings, the CPU).
# Usage: run.sh MATERIAL [PYTHON]; MATERIAL holds data/weizmann (videos/, classInd.txt, folds/loo_PERSON_{train,val}.txt)
# and weights/mobilenet_v2_imagenet.pth. Killed and started again it goes on: finished folds are skipped, the one that
# was at work resumes in its folder. Writes exps/weizmann_folds/results/: table.md, and a report per method.
# METHODS=tsn, PERSONS="ido ira" train these alone: several starts can share the work; one without them ends it.
set -euo pipefail
[ -n "${1:-}" ] || { echo "error: got no folder, needs the one with data/weizmann and weights/: run.sh MATERIAL (make: MATERIAL=DIR)" >&2; exit 2; }
folds=$1/data/weizmann/folds
[ -d "$folds" ] || { echo "error: got $1, needs a folder with data/weizmann/folds" >&2; exit 2; }
material=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."
PYTHON=${2:-.venv/bin/python}
protocol=tsm-twice-3crop
here=exps/weizmann_folds
data=data/weizmann
persons=${PERSONS:-$(cd "$material/$data/folds" && ls loo_*_val.txt | sed 's/^loo_//; s/_val\.txt$//')}
methods=${METHODS:-tsn tsm}
total=$(($(wc -w <<< "$methods") * $(wc -w <<< "$persons")))
number=0 trained=0

clock() { printf '%d:%02d:%02d' $(($1 / 3600)) $(($1 / 60 % 60)) $(($1 % 60)); }

[ -e pretrained/mobilenet_v2_imagenet.pth ] || cp "$material/weights/mobilenet_v2_imagenet.pth" pretrained/
"$PYTHON" -m datasets.prepare.dump_frames "$material/$data/videos" "$data/frames"
started=$SECONDS
for person in $persons; do
    for method in $methods; do
        number=$((number + 1))
        experiment=$here/${method}_$person
        scores=$experiment/results/$protocol.npz
        if [ -e "$scores" ]; then
            echo "== $number of $total: $method, $person held out: finished before"
            continue
        fi
        passed=$((SECONDS - started)) left=""
        [ "$trained" = 0 ] || left=", left about $(clock $((passed * (total - number + 1) / trained)))"
        echo "== $number of $total: $method, $person held out; $(clock $passed) passed$left"
        [ -e "$data/folds/$person/README" ] || "$PYTHON" -m datasets.prepare.build_lists folder --frames "$data/frames" \
            --out "$data/folds/$person" --labels "$material/$data/classInd.txt" \
            --train-list "$material/$data/folds/loo_${person}_train.txt" \
            --val-list "$material/$data/folds/loo_${person}_val.txt"
        mkdir -p "$experiment"
        sed "s/PERSON/$person/g" "$here/$method.yaml" > "$experiment/config.yaml"
        cp exps/weizmann/tsn_mobilenetv2/{train,eval}.sh "$experiment/"
        "$PYTHON" main.py --config "$experiment/config.yaml"
        "$PYTHON" anal_tools/get_reference_results.py --config "$experiment/config.yaml" --protocol "$protocol" \
            --load-path "$experiment/ckpt.pth.tar" --out "$scores"
        trained=$((trained + 1))
    done
done

[ -z "${METHODS:-}${PERSONS:-}" ] || { echo "== done: $methods, held out $persons"; exit 0; }
for method in tsn tsm; do
    "$PYTHON" anal_tools/get_reference_results.py --join $here/${method}_*/results/$protocol.npz \
        --out "$here/results/$method.npz"
done
"$PYTHON" anal_tools/analyze.py "$here/results/tsn.npz" --out "$here/results/tsn" --html
"$PYTHON" anal_tools/analyze.py "$here/results/tsm.npz" --out "$here/results/tsm" --html --against "$here/results/tsn.npz"
"$PYTHON" exps/weizmann_folds/table.py
