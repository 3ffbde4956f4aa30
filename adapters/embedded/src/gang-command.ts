/** Seconds that the other members have after SIGTERM once one has failed; the runner then ends whatever is left of the group. */
export interface GangOptions {
  nodes: number;
  /** What each member runs through `/bin/sh -c`. */
  command: string;
  /** The attempt's folder: `gang`, a FIFO, and `ranks/<rank>/` with log, outputs and events of members other than the first lie there. */
  folder: string;
  /** Free on 127.0.0.1 a moment ago. */
  port: number;
  graceSeconds: number;
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/**
 * A POSIX shell script that runs a gang on this machine: a process a member, all in one process group. The first that fails gives the exit
 * code, and the others are stopped. A member tells its end through a FIFO, since `wait` can not wait for whoever ends first. One that was killed tells nothing: a
 * tick each second lets the script look for it, and its death goes through the FIFO too, behind whatever it told before. Traps have a body: an ignored
 * signal would stay ignored in the members; a subshell forgets it, and would end without a word.
 */
export function gangCommand({ nodes, command, folder, port, graceSeconds }: GangOptions): string {
  const seconds = Math.max(1, Math.ceil(graceSeconds));
  return `trap ':' TERM INT HUP
rm -f ${quote(`${folder}/gang`)}
mkfifo ${quote(`${folder}/gang`)} && exec 3<>${quote(`${folder}/gang`)} || exit 125
export ESPALIER_NODES=${nodes} MASTER_ADDR=127.0.0.1 MASTER_PORT=${port}
rank=0
while [ "$rank" -lt ${nodes} ]; do
  (
    trap ':' TERM INT HUP
    export ESPALIER_NODE_RANK="$rank"
    if [ "$rank" -gt 0 ]; then
      mine=${quote(`${folder}/ranks/`)}"$rank"
      mkdir -p "$mine/outputs"
      export ESPALIER_OUTPUTS="$mine/outputs" ESPALIER_EVENTS="$mine/events.jsonl"
      exec >"$mine/log" 2>&1
    fi
    /bin/sh -c ${quote(command)} </dev/null 3>&-
    echo "$rank $?" >&3
  ) &
  eval "member_$rank=$!"
  rank=$((rank + 1))
done
(while sleep 1; do echo tick >&3; done) &
is_dead() {
  if [ -r "/proc/$1/stat" ]; then
    read -r stat <"/proc/$1/stat"
    case "\${stat##*) }" in [ZX]*) return 0 ;; esac
    return 1
  fi
  case "$(ps -o stat= -p "$1" 2>/dev/null)" in "" | Z*) return 0 ;; esac
  return 1
}
ended=0
told=' '
code=0
while [ "$ended" -lt ${nodes} ]; do
  read -r rank end <&3 || continue
  [ "$rank" = over ] && break
  if [ "$rank" = tick ]; then
    rank=0
    while [ "$rank" -lt ${nodes} ]; do
      case "$told" in
        *" $rank "*) ;;
        *) eval "is_dead \\$member_$rank" && echo "$rank 137" >&3 ;;
      esac
      rank=$((rank + 1))
    done
    continue
  fi
  case "$told" in *" $rank "*) continue ;; esac
  told="$told$rank "
  ended=$((ended + 1))
  if [ "$end" -ne 0 ] && [ "$code" -eq 0 ]; then
    code=$end
    if [ "$ended" -lt ${nodes} ]; then
      echo "espalier: member $rank of ${nodes} ended with exit code $end; the others are stopped" >&2
      kill -TERM 0
      (sleep ${seconds}; echo over >&3) &
    fi
  fi
done
exit "$code"
`;
}
