// Snapshots made by hand: small circuits whose numbers everybody can check.

import { FORMAT, VERSION } from "../src/snapshot";
import type { Backward, Circuit, Gate, Group, Numbers, Snapshot, Wire } from "../src/snapshot";

const scalar = (n: number): Numbers => ({ scalar: n });

export function wire(
  id: string, value: number, grad: number | null, more: Partial<Wire> = {},
): Wire {
  return {
    id, name: id, tex: id, kind: "value", shape: [], dtype: "float64", maker: null, output: 0,
    value: scalar(value), grad: grad === null ? null : scalar(grad), ...more,
  };
}

/** `parts` are (input, upstream, local): downstream is their product. */
export function gate(
  id: string, symbol: string, inputs: string[], output: string,
  parts: [number, number, number][], more: Partial<Gate> = {},
): Gate {
  const backward = parts.map(([input, upstream, local]): Backward => ({
    input, upstream: scalar(upstream), local: scalar(local), local_tex: "1", factored: true,
    downstream: scalar(upstream * local),
  }));
  return {
    id, op: symbol === "+" ? "add" : "mul", symbol, tex: "", inputs, outputs: [output], params: {},
    group: null, module: "", scope: "", line: "", code: "", backward, pattern: null,
    upstream: [scalar(parts[0]?.[1] ?? 0)], inside: null,
    forward_text: { en: `${id} forward`, zh: `${id} 前向` },
    backward_text: { en: `${id} backward`, zh: `${id} 反向` }, ...more,
  };
}

export function group(id: string, gates: string[], more: Partial<Group> = {}): Group {
  return {
    id, title: id, kind: "module", path: id, parent: null, gates, tex: "", parameters: 1,
    open: false, ...more,
  };
}

export function snapshot(circuit: Circuit, loss: string): Snapshot {
  return { format: FORMAT, version: VERSION, title: "by hand", circuit, loss };
}

const INPUT = { kind: "input" } as const;

/** f = (x + y) z at (-2, 5, -4). */
export function sumTimes(): Snapshot {
  return snapshot({
    wires: [
      wire("x", -2, -4, INPUT), wire("y", 5, -4, INPUT), wire("z", -4, 3, INPUT),
      wire("q", 3, -4, { maker: "add" }), wire("f", -12, 1, { maker: "mul" }),
    ],
    gates: [
      gate("add", "+", ["x", "y"], "q", [[0, -4, 1], [1, -4, 1]]),
      gate("mul", "×", ["q", "z"], "f", [[0, 1, -4], [1, 1, 3]]),
    ],
    groups: [],
  }, "f");
}

/** f = x x + x at 3: copies of x add up to 7. */
export function copies(): Snapshot {
  return snapshot({
    wires: [wire("x", 3, 7, INPUT), wire("q", 9, 1, { maker: "mul" }),
      wire("f", 12, 1, { maker: "add" })],
    gates: [
      gate("mul", "×", ["x", "x"], "q", [[0, 1, 3], [1, 1, 3]]),
      gate("add", "+", ["q", "x"], "f", [[0, 1, 1], [1, 1, 1]]),
    ],
    groups: [],
  }, "f");
}

/** Two modules, the second inside the first; the weight belongs to the inner one. */
export function modules(open = false): Snapshot {
  const state = { open };
  return snapshot({
    wires: [
      wire("x", 2, 12, INPUT), wire("inner.weight", 3, 8, { kind: "parameter" }),
      wire("a", 6, 4, { maker: "g1" }), wire("two", 2, null, { kind: "constant" }),
      wire("b", 8, 4, { maker: "g2" }), wire("four", 4, null, { kind: "constant" }),
      wire("f", 32, 1, { maker: "g3" }),
    ],
    gates: [
      gate("g1", "×", ["x", "inner.weight"], "a", [[0, 4, 3], [1, 4, 2]], { group: "inner" }),
      gate("g2", "+", ["a", "two"], "b", [[0, 4, 1]], { group: "outer" }),
      gate("g3", "×", ["b", "four"], "f", [[0, 1, 4]]),
    ],
    groups: [group("outer", ["g2"], state), group("inner", ["g1"], { ...state, parent: "outer" })],
  }, "f");
}

/** One gate that opens into two: y = x x x, through x x. */
export function cube(): Snapshot {
  const inside: Circuit = {
    wires: [wire("x", 2, 12, INPUT), wire("y", 8, 1, { maker: "cube" }),
      wire("s", 4, 2, { maker: "first" })],
    gates: [
      gate("first", "×", ["x", "x"], "s", [[0, 2, 2], [1, 2, 2]]),
      gate("second", "×", ["s", "x"], "y", [[0, 1, 2], [1, 1, 4]]),
    ],
    groups: [],
  };
  return snapshot({
    wires: [wire("x", 2, 12, INPUT), wire("y", 8, 1, { maker: "cube" })],
    gates: [gate("cube", "x³", ["x"], "y", [[0, 1, 12]], { inside })],
    groups: [],
  }, "y");
}

/** A chain of n additions. */
export function chain(n: number): Snapshot {
  const one = wire("one", 1, null, { kind: "constant" });
  const wires = [wire("x0", 0, 1, INPUT), one];
  const gates = [];
  for (let i = 0; i < n; i++) {
    wires.push(wire(`x${i + 1}`, i + 1, 1, { maker: `g${i}` }));
    gates.push(gate(`g${i}`, "+", [`x${i}`, "one"], `x${i + 1}`, [[0, 1, 1]],
      { line: `chain.py:${i}` }));
  }
  return snapshot({ wires, gates, groups: [] }, `x${n}`);
}
