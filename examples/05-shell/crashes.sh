#!/bin/sh
# Prints every unexpected exit as it happens, a line each. All arguments go to
# `supernats tail`:
#
#     ./crashes.sh --host 'web*' --group api
#     ./crashes.sh --since 2h
set -eu
supernats tail --event PROCESS_STATE_EXITED -o jsonl "$@" | jq --raw-output --unbuffered '
  select(.data.expected == false)
  | "\(.time) \(.data.host) \(.data.group):\(.data.process) "
    + (.data.exit.signal // if .data.exit.code then "exit code \(.data.exit.code)" else "unknown" end)
    + (if .data.exit.oom then ", out of memory" else "" end)
    + (if .data.ran then " after \(.data.ran) s" else "" end)'
