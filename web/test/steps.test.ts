import assert from "node:assert/strict";
import { test } from "node:test";
import { build } from "../src/model";
import { Progress, sentence, stepsOf } from "../src/steps";
import { visible } from "../src/visible";
import { speak } from "../src/words";
import { copies, cube, modules, sumTimes } from "./hand";
import type { Snapshot } from "../src/snapshot";

function walk(snapshot: Snapshot, open: string[] = []) {
  const model = build(snapshot);
  const steps = stepsOf(visible(model, new Set(open)), model);
  const at = (position: number) => {
    const progress = new Progress(steps, position, false);
    const known = (has: (key: string) => boolean) => [...model.wires.keys()].filter(has).join(" ");
    return {
      values: known((key) => progress.hasValue(model.wires.get(key)!)),
      grads: known((key) => progress.hasGrad(model.wires.get(key)!, model.loss)),
    };
  };
  return { model, steps, at, names: steps.map((s) => `${s.kind} ${s.item?.key ?? ""}`.trim()) };
}

test("forward in computing order, the start, and back again", () => {
  assert.deepEqual(walk(sumTimes()).names,
    ["forward add", "forward mul", "start", "backward mul", "backward add"]);
});

test("values and gradients appear as they are computed", () => {
  const { at } = walk(sumTimes());
  assert.deepEqual(at(0), { values: "x y z", grads: "" });
  assert.deepEqual(at(1), { values: "x y z q", grads: "" });
  assert.deepEqual(at(2), { values: "x y z q f", grads: "" });
  assert.deepEqual(at(3), { values: "x y z q f", grads: "f" });
  assert.deepEqual(at(4), { values: "x y z q f", grads: "z q f" });
  assert.deepEqual(at(5), { values: "x y z q f", grads: "x y z q f" });
});

test("the total of a copied wire waits for all its readers", () => {
  const { at } = walk(copies());
  assert.equal(at(4).grads, "q f");
  assert.equal(at(5).grads, "x q f");
});

test("a closed module is one step, an opened one a step per gate", () => {
  assert.deepEqual(walk(modules()).names,
    ["forward outer", "forward g3", "start", "backward g3", "backward outer"]);
  const open = walk(modules(), ["outer", "inner"]);
  assert.equal(open.steps.length, 7);
  assert.equal(open.at(1).values, "x inner.weight a two four");
});

test("inside an opened gate the outer wires get theirs when all inside is done", () => {
  const { at, names } = walk(cube(), ["cube"]);
  assert.deepEqual(names,
    ["forward first", "forward second", "start", "backward second", "backward first"]);
  assert.equal(at(4).grads, "y s");
  assert.equal(at(5).grads, "x y s");
});

test("each step has its sentence, in both languages", () => {
  const { steps, model } = walk(sumTimes());
  assert.equal(sentence(steps[0]!, model), "add forward");
  assert.match(sentence(steps[2]!, model), /starts at f/);
  speak("zh");
  assert.equal(sentence(steps[3]!, model), "mul 反向");
  assert.match(sentence(steps[2]!, model), /从 f 开始/);
  speak("en");
});
