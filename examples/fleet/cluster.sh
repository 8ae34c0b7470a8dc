#!/usr/bin/env bash
# Runs reconciler with a scheduler and workers of dask on this machine, and ends them after it:
#   cluster.sh apply specs
# Needs reconciler[dask], in the same version here and wherever there are workers.
set -euo pipefail
: "${HOST:=127.0.0.1}" "${PORT:=8786}" "${WORKERS:=4}" "${THREADS:=4}"
address="tcp://$HOST:$PORT"

parts=()
trap 'kill "${parts[@]}" 2> /dev/null || :; wait' EXIT
trap : INT TERM # reconciler ends what it has begun, and this script after it
set -m          # in groups of their own, so that Ctrl-C does not end them
dask scheduler --host "$HOST" --port "$PORT" --no-dashboard > scheduler.log 2>&1 &
parts+=($!)
if [ "$WORKERS" -gt 0 ]; then
  dask worker "$address" --nworkers "$WORKERS" --nthreads "$THREADS" --no-dashboard > workers.log 2>&1 &
  parts+=($!)
fi
set +m
echo "The scheduler is $address; a worker elsewhere: dask worker $address" >&2

status=0
reconciler "$@" --engine dask --scheduler "$address" \
  --target-parallelism "${TARGETS:-$((WORKERS * THREADS > 8 ? WORKERS * THREADS : 8))}" || status=$?
exit "$status"
