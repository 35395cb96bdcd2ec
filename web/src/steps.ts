// The walk through the computation: gates forward, the start at the loss, gates backward.

import { backwardOf, gatesOf, outerReaders } from "./model";
import type { Item, Model, Reader, WireNode } from "./model";
import { titleOf } from "./labels";
import type { Box, Visible } from "./visible";
import { say, sentences, t } from "./words";

export interface Step {
  kind: "forward" | "start" | "backward";
  item: Item | null;
}

/** One step per gate that is drawn; a closed group is one step. */
export function stepsOf(view: Visible, model: Model): Step[] {
  const items: Item[] = [];
  const walk = (box: Box): void => {
    if (box.kind === "item") items.push(box.item!);
    for (const child of box.children) walk(child);
  };
  walk(view.root);
  items.sort((a, b) => a.last - b.last);
  const back = items.filter((i) => gatesOf(i).some((g) => g.gate!.backward.length));
  const start: Step[] = model.loss?.wire.grad ? [{ kind: "start", item: null }] : [];
  return [
    ...items.map((item): Step => ({ kind: "forward", item })),
    ...start,
    ...back.reverse().map((item): Step => ({ kind: "backward", item })),
  ];
}

export function sentence(step: Step, model: Model): string {
  if (step.kind === "start") return sentences.start(model.loss!.wire.name);
  const item = step.item!;
  if (item.kind === "gate") {
    return say(step.kind === "forward" ? item.gate!.forward_text : item.gate!.backward_text);
  }
  return step.kind === "forward"
    ? sentences.groupForward(titleOf(item), gatesOf(item).length)
    : sentences.groupBackward(titleOf(item));
}

export function stepName(step: Step): string {
  return t(step.kind === "forward" ? "forward" : "backward");
}

/** What is known after the first `position` steps. */
export class Progress {
  private forward: number;
  private backward: number;
  private started: boolean;
  private bounds: { ahead: Set<Item>; done: Set<Item> };

  constructor(steps: Step[], position: number, private all: boolean) {
    const past = steps.slice(0, position);
    const gates = (kind: Step["kind"]) => new Set(
      past.filter((p) => p.kind === kind).flatMap((p) => within(p.item!)));
    this.bounds = { ahead: gates("forward"), done: gates("backward") };
    this.forward = this.bounds.ahead.size;
    this.backward = this.bounds.done.size;
    this.started = past.some((p) => p.kind === "start");
  }

  hasValue(node: WireNode): boolean {
    return this.all || !node.makers.length
      || (this.forward > 0 && node.makers.some((m) => this.bounds.ahead.has(m)));
  }

  /** A total is known when every reader that contributes has handed its part back. */
  hasGrad(node: WireNode, loss: WireNode | null): boolean {
    if (this.all) return true;
    const readers = outerReaders(node).filter(backwardOf);
    if (node === loss && !readers.length) return this.started;
    return readers.length > 0 && readers.every((r) => this.hasPart(r));
  }

  hasPart(reader: Reader): boolean {
    return this.all || (this.backward > 0 && this.reached(reader.item));
  }

  private reached(item: Item): boolean {
    if (this.bounds.done.has(item)) return true;
    // An opened gate has handed back once the gates inside it have.
    const inner = item.children.flatMap(within).filter((g) => g.gate?.backward.length);
    return inner.length > 0 && inner.every((g) => this.bounds.done.has(g));
  }
}

/** The item's gates, and the gates inside those. */
function within(item: Item): Item[] {
  return [...(item.kind === "gate" ? [item] : []), ...item.children.flatMap(within)];
}
