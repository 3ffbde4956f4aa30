import type { BuiltinDeclaration, PipelineIr, RecordStep } from "@espalier/core";
import { z } from "zod";

/** Shell steps over generated rows: files, trees, values, a map, a retry, a checkpoint, a `when:`, a record step. Every output is exact. */
export function faultPipeline(rows: number): PipelineIr {
  const exact = (type: "file" | "tree" | "value") => ({ type, determinism: "exact" as const });
  return {
    ir: 1,
    name: "faults",
    params: { rows },
    steps: {
      rows: {
        run: "awk -v n=${{ params.rows }} 'BEGIN { x = 7; for (i = 0; i < n; i++) { x = (x * 1103515245 + 12345) % 2147483648; print i \",\" x % 1000 } }' >${{ outputs.rows }}",
        outputs: { rows: exact("file") },
      },
      split: {
        run: "sh split.sh ${{ inputs.rows }} ${{ outputs.parts }} >${{ outputs.names }}",
        source: "./src",
        inputs: { rows: "rows.rows" },
        outputs: { parts: exact("tree"), names: exact("value") },
      },
      sums: {
        run: "awk -F, '{ s += $2 } END { print s }' ${{ inputs.parts }}/${{ params.part }} >${{ outputs.sum }}",
        inputs: { parts: "split.parts" },
        map: { over: "split.names", as: "part", concurrency: 2 },
        outputs: { sum: exact("file") },
      },
      total: {
        run: "cat ${{ inputs.sums }}/* | awk '{ s += $1 } END { print s }' >${{ outputs.total }}",
        inputs: { sums: "sums.sum" },
        outputs: { total: exact("value") },
      },
      // Fails until its checkpoint has three lines, whatever attempts were killed in between.
      train: {
        run: 'echo x >>${{ checkpoint.dir }}/epochs; [ "$(wc -l <${{ checkpoint.dir }}/epochs)" -ge 3 ] || exit 3; sort ${{ inputs.rows }} | tail -n 5 >${{ outputs.model }}; echo \'{"type":"metric","key":"loss","value":1}\' >>"$ESPALIER_EVENTS"',
        inputs: { rows: "rows.rows" },
        checkpoint: true,
        retry: { attempts: 20, delaySeconds: 0.01, backoff: 1 },
        outputs: { model: exact("file") },
      },
      never: { run: "false", when: "total.total < 0" },
      note: { uses: "note", inputs: { total: "total.total" } },
      last: {
        run: "cat ${{ inputs.model }} >${{ outputs.out }}",
        inputs: { model: "train.model" },
        needs: ["note"],
        outputs: { out: exact("file") },
      },
    },
  };
}

export const faultFiles = {
  "src/split.sh": `mkdir "$2"
awk -F, -v to="$2" '{ print > (to "/part" $1 % 4) }' "$1"
echo '["part0","part1","part2","part3"]'
`,
};

const noteDeclaration: BuiltinDeclaration = {
  name: "note",
  version: 1,
  summary: "Stands for register and its like: writes into the world, once for equal inputs",
  kind: "record",
  with: z.strictObject({}),
  inputs: { total: { types: ["value"], required: true } },
  outputs: {},
  cacheable: false,
};

export function noteStep(write: (key: string) => void): {
  builtins: BuiltinDeclaration[];
  recordSteps: Record<string, RecordStep>;
} {
  return {
    builtins: [noteDeclaration],
    recordSteps: {
      note: async ({ inputs }) => {
        write(inputs.total?.ref.digest ?? "none");
        return { outputs: {}, values: {} };
      },
    },
  };
}
