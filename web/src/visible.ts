// What of the model is to be drawn when some items are open: boxes, and edges between them.

import { backwardOf, canOpen, common, contains, outerReaders } from "./model";
import type { Item, Model, Reader, WireNode } from "./model";
import type { Backward } from "./snapshot";

export interface Box {
  id: string;
  kind: "item" | "container" | "terminal" | "end" | "fork";
  parent: Box | null;
  item: Item | null;
  wire: WireNode | null;
  children: Box[];
  order: number;
}

/** A piece of a wire. `part` is what one reader hands back, where the wire has several. */
export interface Edge {
  id: string;
  wire: WireNode;
  from: Box;
  to: Box;
  shows: "wire" | "part" | "nothing";
  part: Backward | null;
  readers: Reader[];
}

export interface Visible {
  root: Box;
  boxes: Map<string, Box>;
  edges: Edge[];
}

export function visible(model: Model, open: ReadonlySet<string>): Visible {
  const view = new View(model, open);
  for (const node of model.wires.values()) view.addWire(node);
  view.sort(view.root);
  return { root: view.root, boxes: view.boxes, edges: view.edges };
}

class View {
  boxes = new Map<string, Box>();
  edges: Edge[] = [];
  root: Box;
  private byItem = new Map<Item, Box>();

  constructor(private model: Model, private open: ReadonlySet<string>) {
    this.root = this.box("root", "container", null, model.root, null, -1);
    this.addItems(model.root, this.root);
  }

  private box(
    id: string, kind: Box["kind"], parent: Box | null, item: Item | null, wire: WireNode | null,
    order: number,
  ): Box {
    const made: Box = { id, kind, parent, item, wire, children: [], order };
    parent?.children.push(made);
    this.boxes.set(id, made);
    if (item) this.byItem.set(item, made);
    return made;
  }

  private addItems(item: Item, into: Box): void {
    for (const child of item.children) {
      const opened = canOpen(child) && this.open.has(child.key);
      const kind = opened ? "container" : "item";
      const made = this.box(`i:${child.key}`, kind, into, child, null, child.first);
      if (opened) this.addItems(child, made);
    }
  }

  /** The box that stands for an item: itself, or the outermost closed item around it. */
  private stand(item: Item): Box {
    let found = item;
    while (!this.byItem.has(found)) found = found.parent!;
    return this.byItem.get(found)!;
  }

  private container(item: Item): Box | null {
    const box = this.byItem.get(item);
    return box?.kind === "container" ? box : null;
  }

  addWire(node: WireNode): void {
    const targets = this.targets(node);
    const isLoss = node === this.model.loss;
    if (isLoss || (!targets.length && this.dangles(node))) {
      const where = this.container(node.circuit);
      if (where) {
        const end = this.box(`e:${node.key}`, "end", where, null, node, this.orderOf(node) + 0.5);
        targets.push({ box: end, readers: [] });
      }
    }
    if (!targets.length) return;
    const source = this.source(node);
    if (!source) return;
    const away = targets.filter((t) => t.box !== source);
    if (away.length === 1) this.edge(node, source, away[0]!, "wire", targets.length > 1);
    else if (away.length > 1) this.fork(node, source, away);
  }

  private orderOf(node: WireNode): number {
    const maker = node.makers[0];
    return maker ? maker.last : (node.readers[0]?.item.first ?? 0);
  }

  private dangles(node: WireNode): boolean {
    const maker = node.makers[0];
    if (!maker || node.readers.length) return false;
    const outputs = this.model.outputs.get(maker)!;
    return outputs.every((o) => !o.readers.length && o !== this.model.loss) && outputs[0] === node;
  }

  private source(node: WireNode): Box | null {
    const maker = node.makers[node.makers.length - 1];
    if (maker) return this.stand(maker);
    const where = this.container(node.home);
    if (!where) return null;
    return this.box(`t:${node.key}`, "terminal", where, null, node, this.orderOf(node) - 0.5);
  }

  private targets(node: WireNode): Target[] {
    const found: Target[] = [];
    for (const reader of node.readers) {
      const box = this.stand(reader.item);
      // Of a closed gate the outer reader counts, not those inside.
      if (box.item!.kind === "gate" && box.item !== reader.item) continue;
      if (box.kind === "container") {
        const within = node.readers.some(
          (r) => r.item !== reader.item && contains(reader.item, r.item));
        if (within) continue;
      }
      const same = box.item!.kind === "gate" ? undefined : found.find((t) => t.box === box);
      if (same) same.readers.push(reader);
      else found.push({ box, readers: [reader] });
    }
    return found;
  }

  private fork(node: WireNode, source: Box, targets: Target[]): void {
    const parents = [source, ...targets.map((t) => t.box)].map((b) => b.parent!.item!);
    const where = this.container(parents.reduce(common))!;
    const fork = this.box(`f:${node.key}`, "fork", where, null, node, this.orderOf(node) + 0.25);
    this.edge(node, source, { box: fork, readers: outerReaders(node) }, "wire", false);
    for (const target of targets) this.edge(node, fork, target, "part", true);
  }

  private edge(
    node: WireNode, from: Box, to: Target, shows: Edge["shows"], several: boolean,
  ): void {
    const part = to.readers.length === 1 ? backwardOf(to.readers[0]!) : null;
    const shown = shows === "part" && !part ? "nothing" : shows;
    const id = `${from.id}>${to.box.id}#${to.readers[0]?.input ?? ""}:${node.key}`;
    this.edges.push({
      id, wire: node, from, to: to.box, shows: shown,
      part: several || shows === "part" ? part : null, readers: to.readers,
    });
  }

  sort(box: Box): void {
    box.children.sort((a, b) => a.order - b.order);
    for (const child of box.children) this.sort(child);
  }
}

interface Target {
  box: Box;
  readers: Reader[];
}
