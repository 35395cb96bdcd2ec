import assert from "node:assert/strict";
import { test } from "node:test";
import { build } from "../src/model";
import { Index } from "../src/search";
import { chain, cube, modules } from "./hand";

const keys = (found: { key: string }[]) => found.map((item) => item.key);

test("5,000 gates are found by line, operator and name", () => {
  const index = new Index(build(chain(5000)));
  assert.deepEqual(keys(index.find("chain.py:4321")), ["g4321"]);
  assert.deepEqual(keys(index.find("x1234 add")), ["g1233"]);
  assert.equal(index.find("add").length, 5000);
  assert.deepEqual(index.find("  "), []);
  assert.deepEqual(index.find("conv"), []);
});

test("groups are found, and what is inside a gate comes after what the program did", () => {
  assert.deepEqual(keys(new Index(build(modules())).find("inner")), ["inner"]);
  assert.deepEqual(keys(new Index(build(cube())).find("mul")), ["cube", "first", "second"]);
});
