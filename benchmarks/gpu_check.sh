#!/usr/bin/env bash
# Everything that only a GPU can show, in one call of under ten minutes, the most important first.
#
#   OUT=results benchmarks/gpu_check.sh          # on the GPU
#   OUT=results benchmarks/gpu_check.sh --cpu    # the same in small on the CPU: does it run?
#
# Results are written into $OUT as they come, and called again with the same $OUT it goes on where it stopped;
# exit code 1 where something failed.
set -euo pipefail
cd "$(dirname "$0")/.."
exec python benchmarks/gpu_check.py --out "${OUT:?set OUT to the folder for the results}" "$@"
