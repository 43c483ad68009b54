#!/bin/sh
# Which processes crashed most often? Arguments go to `supernats replay`:
#
#     ./worst.sh --since 7d
set -eu
supernats replay --event PROCESS_STATE_EXITED -o jsonl "$@" | jq --raw-output --slurp '
  map(select(.data.expected == false))
  | group_by([.data.host, .data.group, .data.process])
  | map({n: length, who: "\(.[0].data.host) \(.[0].data.group):\(.[0].data.process)"})
  | sort_by(-.n)[:10][]
  | "\(.n) \(.who)"'
