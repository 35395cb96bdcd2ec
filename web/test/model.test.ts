import assert from "node:assert/strict";
import { test } from "node:test";
import { border, build, gatesOf, outerReaders } from "../src/model";
import { FORMAT, read } from "../src/snapshot";
import { visible } from "../src/visible";
import type { Edge } from "../src/visible";
import { chain, copies, cube, modules, sumTimes } from "./hand";

const show = (edges: Edge[]) => edges.map((e) => `${e.from.id} ${e.to.id} ${e.shows}`).sort();

test("a newer version and another format are refused", () => {
  assert.throws(() => read(JSON.stringify({ format: FORMAT, version: 2 })), /version 2/);
  assert.throws(() => read(JSON.stringify({ format: "x", version: 1 })), /not a Backlit/);
});

test("a circuit is its gates, its terminals and its wires", () => {
  const view = visible(build(sumTimes()), new Set());
  assert.deepEqual(show(view.edges), [
    "i:add i:mul wire", "i:mul e:f wire", "t:x i:add wire", "t:y i:add wire", "t:z i:mul wire"]);
});

test("a wire with several readers forks, and each branch shows its part", () => {
  const view = visible(build(copies()), new Set());
  assert.deepEqual(show(view.edges), [
    "f:x i:add part", "f:x i:mul part", "f:x i:mul part", "i:add e:f wire", "i:mul i:add wire",
    "t:x f:x wire"]);
  const parts = view.edges.filter((e) => e.shows === "part").map((e) => e.part!.downstream.scalar);
  assert.deepEqual(parts, [3, 3, 1]);
});

test("a closed module is one box that hides its weights", () => {
  const model = build(modules());
  const closed = visible(model, new Set());
  assert.deepEqual(show(closed.edges), [
    "i:g3 e:f wire", "i:outer i:g3 wire", "t:four i:g3 wire", "t:x i:outer wire"]);
  const half = visible(model, new Set(["outer"]));
  assert.deepEqual(show(half.edges), [
    "i:g2 i:g3 wire", "i:g3 e:f wire", "i:inner i:g2 wire", "t:four i:g3 wire", "t:two i:g2 wire",
    "t:x i:inner wire"]);
  assert.equal(half.boxes.get("i:inner")!.parent!.id, "i:outer");
  const open = visible(model, new Set(["outer", "inner"]));
  assert.equal(open.boxes.get("t:inner.weight")!.parent!.id, "i:inner");
  assert.equal(gatesOf(model.items.get("outer")!).length, 2);
});

test("what crosses the border of a group are its inputs and outputs", () => {
  const model = build(modules());
  const names = (key: string) => {
    const { into, out } = border(model.items.get(key)!, model);
    return [into.map((n) => n.key), out.map((n) => n.key)];
  };
  assert.deepEqual(names("outer"), [["x"], ["b"]]);
  assert.deepEqual(names("inner"), [["x"], ["a"]]);
});

test("a module of one gate without weights is drawn as that gate", () => {
  const made = modules(true);
  made.circuit.groups[1]!.parameters = 0;
  const model = build(made);
  assert.equal(model.items.get("g1")!.parent, model.items.get("outer"));
});

test("an opened gate is replaced by the gates inside, on the same wires", () => {
  const model = build(cube());
  const closed = visible(model, new Set());
  assert.deepEqual(show(closed.edges), ["i:cube e:y wire", "t:x i:cube wire"]);
  const open = visible(model, new Set(["cube"]));
  assert.deepEqual(show(open.edges), [
    "f:x i:first part", "f:x i:first part", "f:x i:second part", "i:first i:second wire",
    "i:second e:y wire", "t:x f:x wire"]);
  const x = model.wires.get("x")!;
  assert.deepEqual(outerReaders(x).map((r) => r.item.key), ["cube"]);
});

test("a crowd is bundled into runs of neighbours, each small enough to draw", () => {
  const model = build(chain(5000));
  const view = visible(model, new Set());
  assert.ok(view.boxes.size < 100, `${view.boxes.size} boxes`);
  for (const item of [model.root, ...model.items.values()]) assert.ok(item.children.length <= 120);
  assert.equal(gatesOf(model.root).length, 5000);
  const names = gatesOf(model.root).map((g) => g.key);
  assert.deepEqual(names, model.gates.map((g) => g.key));
});
