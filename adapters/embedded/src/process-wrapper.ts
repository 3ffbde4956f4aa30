/**
 * Runs one attempt: `sh -c <this> espalier-step <attempt folder> <working folder> <command>`. It outlives the control plane.
 *
 * `identity` is made with O_EXCL and thus is the lock that lets a second submit start nothing. The trap has a body, since an ignored
 * signal would stay ignored in the step. `wait` returns early when the trap runs, hence the loop: only the wait after which the child
 * is gone gave its exit code. The rename makes `exit.json` appear whole.
 */
export const processWrapper = `
if [ -r "/proc/$$/stat" ]; then
  read -r stat <"/proc/$$/stat"
  read -r boot </proc/sys/kernel/random/boot_id
else
  stat="$$ $(ps -o lstart= -p $$)"
  boot=none
fi
set -C
printf '%s\\n%s\\n' "$stat" "$boot" 2>/dev/null >"$1/identity" || exit 0
set +C
trap ':' TERM INT HUP
exit_code=125
if cd "$2" 2>>"$1/log"; then
  /bin/sh -c "$3" </dev/null >>"$1/log" 2>&1 &
  child=$!
  while :; do
    wait "$child"
    exit_code=$?
    kill -0 "$child" 2>/dev/null || break
  done
fi
printf '{"exitCode":%d}\\n' "$exit_code" >"$1/exit.json.new" && mv "$1/exit.json.new" "$1/exit.json"
`;
