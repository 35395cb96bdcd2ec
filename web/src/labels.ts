// What is written at a wire, in a gate and in a terminal, and how large that is.

import { canOpen, gatesOf } from "./model";
import type { Item, WireNode } from "./model";
import { count, short, shapeText } from "./numbers";
import type { Numbers } from "./snapshot";
import type { Box, Edge } from "./visible";
import { sentences, t } from "./words";

export type Measure = (text: string, size: number) => number;

export interface Face {
  role: "value" | "grad" | "part";
  numbers: Numbers;
  text: string;
  note: string; // name and shape, written small
  width: number;
  height: number;
}

/** The value above the wire and the gradient below it; the wire runs through the middle. */
export interface Label {
  width: number;
  height: number;
  above: Face | null;
  below: Face | null;
}

export const TEXT = 15;
export const SMALL = 12;
export const PICTURE = 32;
const SCALAR_ROW = 18;
const TENSOR_ROW = 38;
const NAME = 14;

export function isScalar(numbers: Numbers): boolean {
  return numbers.scalar !== undefined;
}

export function numberText(numbers: Numbers): string {
  if (numbers.scalar !== undefined) return short(numbers.scalar);
  return `‖·‖ ${short(numbers.norm ?? "nan")}`;
}

/** The last part of a dotted name, cut where it is long. */
export function shortName(name: string, most = NAME): string {
  const last = name.slice(name.lastIndexOf(".") + 1);
  return last.length > most ? `${last.slice(0, most - 1)}…` : last;
}

export function labelOf(edge: Edge, measure: Measure): Label | null {
  if (edge.shows === "nothing") return null;
  const { wire } = edge.wire;
  const named = edge.from.kind !== "terminal" && edge.shows === "wire" && edge.to.kind !== "end";
  const note = [named ? shortName(wire.name) : "", shapeText(wire.shape)].filter(Boolean).join(" ");
  const above = edge.shows === "part" || isNumber(edge.wire)
    ? null : face("value", wire.value, note, measure);
  const numbers = edge.shows === "part" ? edge.part!.downstream : wire.grad;
  const role = edge.shows === "part" ? "part" : "grad";
  const below = numbers ? face(role, numbers, "", measure) : null;
  if (!above && !below) return null;
  const half = Math.max(above?.height ?? 0, below?.height ?? 0);
  const width = Math.max(above?.width ?? 0, below?.width ?? 0) + 4;
  return { above, below, width, height: 2 * half + 4 };
}

function face(role: Face["role"], numbers: Numbers, note: string, measure: Measure): Face {
  const text = numberText(numbers);
  if (isScalar(numbers)) {
    const space = note ? measure(note, SMALL) + 5 : 0;
    return { role, numbers, text, note, width: space + measure(text, TEXT), height: SCALAR_ROW };
  }
  const drawn = numbers.image || numbers.histogram ? PICTURE + 6 : 0;
  const width = drawn + Math.max(measure(text, TEXT - 1), measure(note, SMALL));
  return { role, numbers, text, note, width, height: drawn || note ? TENSOR_ROW : SCALAR_ROW };
}

/** A number written in the program: its terminal shows it, so its wire need not. */
export function isNumber(node: WireNode): boolean {
  return node.wire.kind === "constant" && isScalar(node.wire.value);
}

export function terminalText(node: WireNode): string {
  return isNumber(node) ? short(node.wire.value.scalar!) : shortName(node.wire.name, 20);
}

export function titleOf(item: Item): string {
  if (item.group) return item.group.title;
  if (item.kind === "run") return sentences.runTitle(item.first + 1, item.last + 1);
  return item.gate!.op;
}

export function subtitleOf(item: Item): string {
  const gates = sentences.gates(count(gatesOf(item).length));
  const held = item.group?.parameters ?? 0;
  return held ? `${gates} · ${count(held)} ${t("parameters")}` : gates;
}

export interface Size {
  width: number;
  height: number;
}

export const CIRCLE = 38;

export function isCircle(item: Item, measure: Measure): boolean {
  return item.kind === "gate" && measure(item.gate!.symbol, 17) <= 26;
}

export function boxSize(box: Box, measure: Measure): Size {
  if (box.kind === "fork") return { width: 8, height: 8 };
  if (box.kind === "terminal" || box.kind === "end") {
    return { width: Math.max(28, measure(terminalText(box.wire!), TEXT) + 18), height: 28 };
  }
  const item = box.item!;
  if (item.kind === "gate") {
    if (isCircle(item, measure)) return { width: CIRCLE, height: CIRCLE };
    return { width: measure(item.gate!.symbol, 15) + 24, height: 38 };
  }
  const width = Math.max(measure(titleOf(item), 15) + 22, measure(subtitleOf(item), SMALL));
  return { width: width + 24, height: 54 };
}

export function headerWidth(item: Item, measure: Measure): number {
  return canOpen(item) ? measure(titleOf(item), 14) + 60 : 0;
}
