/** Shell steps over generated rows: files, trees, values, a map, retries, a checkpoint, a `when:`, a record step. Every output is exact. */
const pipeline = {
  name: "faults",
  params: { rows: 30_000 },
  steps: {
    rows: {
      run: "awk -v n=${{ params.rows }} 'BEGIN { x = 7; for (i = 0; i < n; i++) { x = (x * 1103515245 + 12345) % 2147483648; print i \",\" x % 1000 } }' >${{ outputs.rows }}",
      outputs: { rows: "file" },
    },
    split: {
      run: "sh split.sh ${{ inputs.rows }} ${{ outputs.parts }} >${{ outputs.names }}",
      source: "./src",
      inputs: { rows: "rows.rows" },
      outputs: { parts: "tree", names: "value" },
    },
    sums: {
      run: "awk -F, '{ s += $2 } END { print s }' ${{ inputs.parts }}/${{ params.part }} >${{ outputs.sum }}",
      inputs: { parts: "split.parts" },
      map: { over: "split.names", as: "part", concurrency: 2 },
      outputs: { sum: "file" },
    },
    total: {
      run: "cat ${{ inputs.sums }}/* | awk '{ s += $1 } END { print s }' >${{ outputs.total }}",
      inputs: { sums: "sums.sum" },
      outputs: { total: "value" },
    },
    // Fails until its checkpoint has three lines, whatever attempts were killed in between.
    train: {
      run: 'echo x >>${{ checkpoint.dir }}/epochs; [ "$(wc -l <${{ checkpoint.dir }}/epochs)" -ge 3 ] || exit 3; sort ${{ inputs.rows }} | tail -n 5 >${{ outputs.model }}; echo \'{"type":"metric","key":"loss","value":1}\' >>"$ESPALIER_EVENTS"',
      inputs: { rows: "rows.rows" },
      checkpoint: true,
      retry: { attempts: 20, delay: "10ms", backoff: 1 },
      outputs: { model: "file" },
    },
    never: { run: "false", when: "total.total < 0" },
    log: { uses: "dataset", inputs: { file: "sums.sum" }, with: { name: "totals" } },
    last: {
      run: "cat ${{ inputs.model }} >${{ outputs.out }}",
      inputs: { model: "train.model" },
      needs: ["log"],
      outputs: { out: "file" },
    },
  },
};

/** The project that fault scenarios run. */
export const faultFiles = {
  "espalier.yaml": "project: faults\n",
  // JSON is YAML.
  "pipelines/faults.yaml": JSON.stringify(pipeline, null, 2),
  "src/split.sh": `mkdir "$2"
awk -F, -v to="$2" '{ print > (to "/part" $1 % 4) }' "$1"
echo '["part0","part1","part2","part3"]'
`,
};
