import assert from "node:assert/strict";
import { test } from "node:test";
import ELK from "elkjs";
import type { Label } from "../src/labels";
import { answer, question } from "../src/layout";
import type { Direction, Layout, Rect } from "../src/layout";
import { build } from "../src/model";
import { visible } from "../src/visible";
import type { Snapshot } from "../src/snapshot";
import { chain, copies, cube, modules, sumTimes } from "./hand";

const measure = (text: string, size: number) => text.length * size * 0.6;
const Engine = ELK as unknown as new () => { layout: (graph: object) => Promise<object> };

async function lay(snapshot: Snapshot, direction: Direction, open: string[]): Promise<Layout> {
  const view = visible(build(snapshot), new Set(open));
  const labels = new Map<string, Label>();
  const placed = await new Engine().layout(question(view, direction, measure, labels));
  return answer(placed as never, view, labels);
}

function overlap(a: Rect, b: Rect): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

const CASES: [string, Snapshot, string[]][] = [
  ["sum times", sumTimes(), []], ["copies", copies(), []], ["closed modules", modules(), []],
  ["open modules", modules(), ["outer", "inner"]], ["inside a gate", cube(), ["cube"]],
  ["a run of a long chain", chain(300), [":run0"]],
];

for (const [name, snapshot, open] of CASES) {
  for (const direction of ["RIGHT", "DOWN"] as const) {
    test(`nothing overlaps: ${name}, ${direction}`, async () => {
      const { boxes, edges } = await lay(snapshot, direction, open);
      const opened = (id: string) => id === "root" || open.some((key) => id === `i:${key}`);
      const solid = [
        ...[...boxes].filter(([id]) => !opened(id)).map(([, box]) => box),
        ...edges.flatMap(({ label }) => label ?? [])];
      solid.forEach((a, i) => {
        for (const b of solid.slice(i + 1)) {
          assert.ok(!overlap(a, b), `${JSON.stringify(a)} ${JSON.stringify(b)}`);
        }
      });
      for (const { points } of edges) assert.ok(points.length >= 2);
    });
  }
}
