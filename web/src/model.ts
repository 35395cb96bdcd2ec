// The snapshot as a tree of items (groups, gates, gates inside gates) and the wires between them.
// Knows what belongs to what; not what is open (visible.ts) and not how anything is drawn.

import type { Backward, Circuit, Gate, Group, Snapshot, Wire } from "./snapshot";

/** A gate, a group of gates, or a run of neighbours made here where a level holds too many. */
export interface Item {
  key: string;
  kind: "root" | "group" | "run" | "gate";
  parent: Item | null;
  depth: number;
  children: Item[];
  gate: Gate | null;
  group: Group | null;
  first: number; // places in computing order
  last: number;
}

export interface Reader {
  item: Item;
  input: number;
}

export interface WireNode {
  key: string;
  wire: Wire;
  makers: Item[]; // outer gate first, then the gates inside that make the same value
  readers: Reader[];
  circuit: Item; // whose circuit declares it
  home: Item; // where its terminal is drawn when no gate makes it
}

export interface Model {
  root: Item;
  items: Map<string, Item>;
  wires: Map<string, WireNode>;
  loss: WireNode | null;
  gates: Item[]; // in computing order
  outputs: Map<Item, WireNode[]>;
  inputs: Map<Item, (WireNode | null)[]>;
}

// More children than CROWD on one level are bundled into at most RUNS runs of neighbours.
const CROWD = 120;
const RUNS = 24;
const RUN = 40;

export function build(snapshot: Snapshot): Model {
  const root = newItem("", "root", null);
  const model: Model = {
    root, items: new Map(), wires: new Map(), loss: null, gates: [],
    outputs: new Map(), inputs: new Map(),
  };
  addCircuit(model, snapshot.circuit, root, new Map(), "");
  model.loss = model.wires.get(snapshot.loss) ?? null;
  measure(root);
  bundle(model, root);
  for (const node of model.wires.values()) node.home = homeOf(node);
  return model;
}

function newItem(key: string, kind: Item["kind"], parent: Item | null): Item {
  return {
    key, kind, parent, depth: parent ? parent.depth + 1 : 0, children: [],
    gate: null, group: null, first: Infinity, last: -1,
  };
}

function unique(taken: { has(key: string): boolean }, key: string, prefix: string): string {
  return taken.has(key) ? `${prefix}/${key}` : key;
}

function addCircuit(
  model: Model, circuit: Circuit, owner: Item, outer: Map<string, WireNode>, prefix: string,
): void {
  const scope = new Map(outer);
  for (const wire of circuit.wires) {
    if (outer.has(wire.id)) continue; // crosses the border: the outer wire is the same wire
    const key = unique(model.wires, wire.id, prefix);
    const node: WireNode = { key, wire, makers: [], readers: [], circuit: owner, home: owner };
    model.wires.set(key, node);
    scope.set(wire.id, node);
  }
  const groups = new Map<string, Item>();
  for (const group of circuit.groups) {
    const parent = (group.parent !== null && groups.get(group.parent)) || owner;
    const item = newItem(unique(model.items, group.id, prefix), "group", parent);
    item.group = group;
    parent.children.push(item);
    groups.set(group.id, item);
    model.items.set(item.key, item);
  }
  for (const gate of circuit.gates) {
    addGate(model, gate, (gate.group !== null && groups.get(gate.group)) || owner, scope, prefix);
  }
}

function addGate(
  model: Model, gate: Gate, parent: Item, scope: Map<string, WireNode>, prefix: string,
): void {
  const item = newItem(unique(model.items, gate.id, prefix), "gate", parent);
  item.gate = gate;
  item.first = item.last = model.gates.length;
  parent.children.push(item);
  model.items.set(item.key, item);
  model.gates.push(item);
  const inputs = gate.inputs.map((id) => (id !== null && scope.get(id)) || null);
  inputs.forEach((node, input) => node?.readers.push({ item, input }));
  const outputs = gate.outputs.flatMap((id) => (id !== null && scope.get(id)) || []);
  for (const node of outputs) node.makers.push(item);
  model.inputs.set(item, inputs);
  model.outputs.set(item, outputs);
  if (gate.inside) addCircuit(model, gate.inside, item, scope, item.key);
}

function measure(item: Item): void {
  for (const child of item.children) {
    measure(child);
    item.first = Math.min(item.first, child.first);
    item.last = Math.max(item.last, child.last);
  }
  item.children = item.children.flatMap(settled);
  item.children.sort((a, b) => a.first - b.first);
}

// A module of one gate without weights is that gate; a group of nothing is nothing.
function settled(item: Item): Item[] {
  if (item.kind !== "group") return [item];
  const [only, second] = item.children;
  if (!only || second || only.kind !== "gate" || item.group!.parameters) {
    return only ? [item] : [];
  }
  only.parent = item.parent;
  only.depth = item.depth;
  return [only];
}

function bundle(model: Model, item: Item): void {
  for (const child of item.children) bundle(model, child);
  if (item.children.length <= CROWD) return;
  const size = Math.max(RUN, Math.ceil(item.children.length / RUNS));
  const runs: Item[] = [];
  for (let i = 0; i < item.children.length; i += size) {
    const members = item.children.slice(i, i + size);
    const run = newItem(`${item.key}:run${i}`, "run", item);
    run.children = members;
    run.first = Math.min(...members.map((m) => m.first));
    run.last = Math.max(...members.map((m) => m.last));
    for (const member of members) member.parent = run;
    model.items.set(run.key, run);
    runs.push(run);
  }
  item.children = runs;
  settleDepth(item);
  for (const run of runs) bundle(model, run);
}

function settleDepth(item: Item): void {
  for (const child of item.children) {
    child.depth = item.depth + 1;
    settleDepth(child);
  }
}

// Data stay outside the modules that read them; weights and numbers live beside their readers.
function homeOf(node: WireNode): Item {
  const { wire } = node;
  const data = wire.kind === "constant" && wire.shape.length > 0 && !wire.name.includes(".");
  if (wire.kind === "input" || data || !node.readers.length) return node.circuit;
  return node.readers.map((r) => r.item.parent!).reduce(common);
}

/** The innermost item that holds both. */
export function common(a: Item, b: Item): Item {
  while (a !== b) {
    if (a.depth >= b.depth) a = a.parent!;
    else b = b.parent!;
  }
  return a;
}

export function contains(outer: Item, inner: Item): boolean {
  for (let item: Item | null = inner; item; item = item.parent) if (item === outer) return true;
  return false;
}

/** The wires that cross the border of a group. */
export function border(group: Item, model: Model): { into: WireNode[]; out: WireNode[] } {
  const into: WireNode[] = [];
  const out: WireNode[] = [];
  for (const node of model.wires.values()) {
    const made = node.makers.some((m) => contains(group, m));
    const outside = node.readers.filter((r) => !contains(group, r.item)).length;
    if (made && (outside || node === model.loss)) out.push(node);
    const its = made || (!node.makers.length && contains(group, node.home));
    if (!its && outside < node.readers.length) into.push(node);
  }
  return { into, out };
}

export function canOpen(item: Item): boolean {
  return item.kind !== "root" && item.children.length > 0;
}

/** Every gate of an item that is not inside another gate of it. */
export function gatesOf(item: Item): Item[] {
  if (item.kind === "gate") return [item];
  return item.children.flatMap(gatesOf);
}

export function backwardOf(reader: Reader): Backward | null {
  return reader.item.gate!.backward.find((b) => b.input === reader.input) ?? null;
}

/** Readers that are not inside another reader: what the gates inside a gate read is the same. */
export function outerReaders(node: WireNode): Reader[] {
  const items = new Set(node.readers.map((r) => r.item));
  return node.readers.filter(({ item }) => {
    for (let outer = item.parent; outer; outer = outer.parent) if (items.has(outer)) return false;
    return true;
  });
}
