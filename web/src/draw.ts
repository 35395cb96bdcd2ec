// The laid out graph as SVG. Wires first, then their numbers, then gates in computing order.

import { s } from "./dom";
import {
  PICTURE, SMALL, TEXT, isCircle, isNumber, subtitleOf, terminalText, titleOf,
} from "./labels";
import type { Face, Measure } from "./labels";
import type { Layout, PlacedEdge, Point, Rect } from "./layout";
import { canOpen } from "./model";
import type { Item, Model, WireNode } from "./model";
import { exact, short } from "./numbers";
import type { Gate, Numbers } from "./snapshot";
import type { Box, Visible } from "./visible";
import { t } from "./words";

export interface Drawing {
  scene: SVGGElement;
  items: Map<Item, SVGGElement>;
  wires: { placed: PlacedEdge; line: SVGGElement; label: SVGGElement | null }[];
  ends: { box: Box; element: SVGGElement }[];
}

export function draw(model: Model, view: Visible, layout: Layout, measure: Measure): Drawing {
  const made: Drawing = { scene: s("g"), items: new Map(), wires: [], ends: [] };
  const frames = s("g", { "aria-hidden": "true" });
  const lines = s("g", { "aria-hidden": "true" });
  const labels = s("g", { "aria-hidden": "true" });
  const boxes = s("g");
  for (const placed of layout.edges) {
    const line = drawLine(placed, layout, measure);
    const label = placed.label ? drawLabel(placed) : null;
    lines.append(line);
    if (label) labels.append(label);
    made.wires.push({ placed, line, label });
  }
  const walk = (box: Box): void => {
    const at = layout.boxes.get(box.id)!;
    if (box.kind === "container" && box.item?.kind !== "root") {
      frames.append(drawFrame(box.item!, at));
      const header = drawHeader(box.item!, at, model);
      made.items.set(box.item!, header);
      boxes.append(header);
    } else if (box.kind === "item") {
      const gate = drawItem(box.item!, at, model, measure);
      made.items.set(box.item!, gate);
      boxes.append(gate);
    } else if (box.kind === "fork") {
      const dot = s("circle", { class: "fork", cx: at.x + 4, cy: at.y + 4, r: 4 });
      lines.append(dot);
    } else if (box.wire) {
      const element = drawTerminal(box, at);
      made.ends.push({ box, element });
      boxes.append(element);
    }
    for (const child of box.children) walk(child);
  };
  walk(view.root);
  made.scene.append(frames, lines, labels, boxes);
  return made;
}

// ----- wires -----

function drawLine(placed: PlacedEdge, layout: Layout, measure: Measure): SVGGElement {
  const points = placed.points.map((p) => ({ ...p }));
  const { from, to } = placed.edge;
  if (from.item && isCircle(from.item, measure) && from.kind === "item") {
    reach(points, 0, 1, layout.boxes.get(from.id)!);
  }
  const end = points.length - 1;
  const round = to.item && to.kind === "item" && isCircle(to.item, measure);
  if (round) reach(points, end, end - 1, layout.boxes.get(to.id)!);
  const group = s("g", { class: "wire", "data-wire": placed.edge.wire.key });
  const d = path(points, 7);
  group.append(s("path", { class: "hit", d }), s("path", { class: "line", d }));
  if (to.kind !== "fork" && points.length > 1) {
    group.append(s("path", { class: "head", d: head(points[end - 1]!, points[end]!) }));
  }
  return group;
}

// ELK ends a wire at the square around a circle: carry it on to the circle itself.
function reach(points: Point[], end: number, before: number, box: Rect): void {
  const p = points[end];
  const q = points[before];
  if (!p || !q) return;
  const [cx, cy, r] = [box.x + box.width / 2, box.y + box.height / 2, box.width / 2];
  if (Math.abs(p.y - q.y) < 0.5) {
    const gap = r - Math.sqrt(Math.max(0, r * r - (p.y - cy) ** 2));
    p.x += p.x < cx ? gap : -gap;
  } else {
    const gap = r - Math.sqrt(Math.max(0, r * r - (p.x - cx) ** 2));
    p.y += p.y < cy ? gap : -gap;
  }
}

function path(points: Point[], radius: number): string {
  if (!points.length) return "";
  let d = `M${points[0]!.x} ${points[0]!.y}`;
  for (let i = 1; i < points.length - 1; i++) {
    const [a, b, c] = [points[i - 1]!, points[i]!, points[i + 1]!];
    const p = towards(b, a, radius);
    const q = towards(b, c, radius);
    d += `L${p.x} ${p.y}Q${b.x} ${b.y} ${q.x} ${q.y}`;
  }
  const last = points[points.length - 1]!;
  return `${d}L${last.x} ${last.y}`;
}

function towards(from: Point, to: Point, most: number): Point {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const step = Math.min(most, length / 2) / length;
  return { x: from.x + (to.x - from.x) * step, y: from.y + (to.y - from.y) * step };
}

function head(before: Point, end: Point): string {
  const length = Math.hypot(end.x - before.x, end.y - before.y) || 1;
  const [ux, uy] = [(end.x - before.x) / length, (end.y - before.y) / length];
  const at = (along: number, aside: number) =>
    `${end.x - ux * along - uy * aside} ${end.y - uy * along + ux * aside}`;
  return `M${end.x} ${end.y}L${at(7, 3.5)}L${at(7, -3.5)}Z`;
}

function drawLabel(placed: PlacedEdge): SVGGElement {
  const { label, edge } = placed;
  const { x, y, width, height, above, below } = label!;
  const group = s("g", { class: "label", "data-wire": edge.wire.key });
  const vertical = placed.points.length > 1 && isVertical(placed);
  if (vertical) group.append(s("rect", { class: "paper", x, y, width, height, rx: 5 }));
  const middle = y + height / 2;
  const at = x + width / 2;
  const faces: [Face | null, number][] = [
    [above, middle - 2 - (above?.height ?? 0)], [below, middle + 2],
  ];
  for (const [face, top] of faces) {
    if (face) group.append(drawFace(face, at, top, edge.wire, edge.readers[0]?.item.key));
  }
  return group;
}

/** Whether the wire runs up or down where its numbers stand. */
function isVertical(placed: PlacedEdge): boolean {
  const { x, y, width, height } = placed.label!;
  const [cx, cy] = [x + width / 2, y + height / 2];
  return placed.points.some((p, i) => {
    const q = placed.points[i + 1];
    return q && Math.abs(p.x - q.x) < 0.5 && Math.abs(p.x - cx) < width / 2 + 1
      && Math.min(p.y, q.y) < cy && Math.max(p.y, q.y) > cy;
  });
}

function drawFace(
  face: Face, middle: number, top: number, wire: WireNode, reader: string | undefined,
): SVGGElement {
  const group = s("g", { class: face.role === "value" ? "forward" : "backward" });
  const { numbers } = face;
  let left = middle - face.width / 2;
  const tall = face.height > 20;
  if (tall && (numbers.image || numbers.histogram)) {
    group.append(drawPicture(numbers, left, top + 3, PICTURE));
    left += PICTURE + 6;
  }
  const base = tall ? top + (face.note ? 31 : 24) : top + 14;
  if (face.note) {
    const y = tall ? top + 15 : base;
    group.append(s("text", { class: "note", x: left, y, "font-size": SMALL }, face.note));
    if (!tall) left = middle + face.width / 2;
  }
  const anchor = face.note && !tall ? "end" : "start";
  const n = numbers.scalar ?? numbers.norm ?? "nan";
  const text = s("text", {
    class: "number", x: left, y: base, "font-size": tall ? TEXT - 1 : TEXT, "text-anchor": anchor,
    "data-wire": wire.key, "data-role": face.role, "data-value": exact(n),
    "data-kind": numbers.scalar !== undefined ? "scalar" : "norm",
    "data-reader": face.role === "part" ? reader : null,
  }, face.text);
  text.append(s("title", {}, `${wire.wire.name} ${t(face.role === "value" ? "value" : "gradient")}`
    + ` ${numbers.scalar === undefined ? `${t("norm")} ` : ""}${exact(n)}`));
  group.append(text);
  if (numbers.bad) group.append(s("circle", { class: "bad", cx: left - 5, cy: base - 4, r: 3 }));
  return group;
}

/** The thumbnail of an array, or the bars of its histogram. */
export function drawPicture(numbers: Numbers, x: number, y: number, size: number): SVGGElement {
  const group = s("g", { class: "picture" });
  const { image, histogram } = numbers;
  if (image) {
    group.append(s("image", {
      href: safeImage(image.src), x, y, width: size, height: size, class: "pixels",
      preserveAspectRatio: "xMidYMid meet",
    }));
  } else if (histogram) {
    const most = Math.max(1, ...histogram.counts);
    const step = size / histogram.counts.length;
    histogram.counts.forEach((n, i) => {
      const tall = n ? Math.max(1, ((size - 2) * n) / most) : 0;
      group.append(s("rect", {
        class: "bar", x: x + i * step, y: y + size - tall, height: tall,
        width: Math.max(0.6, step - 0.5),
      }));
    });
    group.append(s("path", { class: "axis", d: `M${x} ${y + size}h${size}` }));
  }
  return group;
}

/** Only pictures that the page carries itself. */
export function safeImage(source: string): string {
  return source.startsWith("data:image/") ? source : "";
}

// ----- gates, groups, terminals -----

function describe(item: Item, model: Model): string {
  const words = [item.gate ? `${t("gate")} ${signOf(item.gate)}` : titleOf(item)];
  if (item.kind !== "gate") words.push(subtitleOf(item));
  for (const node of model.outputs.get(item) ?? []) {
    const { name, value, grad } = node.wire;
    words.push(`${name} = ${spell(value)}`);
    if (grad) words.push(`${t("gradient")} ${spell(grad)}`);
  }
  return words.join(", ");
}

/** What stands in the gate, and the operator's name where that says more. */
function signOf(gate: Gate): string {
  return gate.symbol === gate.op ? gate.op : `${gate.symbol} ${gate.op}`;
}

function spell(numbers: Numbers): string {
  if (numbers.scalar !== undefined) return short(numbers.scalar);
  return `${t("norm")} ${short(numbers.norm ?? "nan")}`;
}

function drawItem(item: Item, at: Rect, model: Model, measure: Measure): SVGGElement {
  const opens = canOpen(item);
  const group = s("g", {
    class: item.kind === "gate" ? "gate" : "gate group", role: "button", tabindex: 0,
    "data-item": item.key, "aria-label": describe(item, model),
    "aria-expanded": opens ? "false" : null, transform: `translate(${at.x} ${at.y})`,
  });
  const [w, height] = [at.width, at.height];
  if (isCircle(item, measure)) {
    group.append(s("circle", { class: "body", cx: w / 2, cy: height / 2, r: w / 2 }));
  } else {
    if (item.kind !== "gate") {
      group.append(s("rect", { class: "stack", x: 4, y: -4, width: w, height, rx: 9 }));
    }
    group.append(s("rect", { class: "body", width: w, height, rx: 9 }));
  }
  if (item.kind === "gate") {
    const size = isCircle(item, measure) ? 17 : 15;
    group.append(s("text", {
      class: "symbol", x: w / 2, y: height / 2 + size * 0.35, "font-size": size,
      "text-anchor": "middle",
    }, item.gate!.symbol));
  } else {
    group.append(
      s("text", { class: "title", x: w / 2, y: 23, "font-size": 15, "text-anchor": "middle" },
        titleOf(item)),
      s("text", { class: "note", x: w / 2, y: 41, "font-size": SMALL, "text-anchor": "middle" },
        subtitleOf(item)),
    );
  }
  if (opens) group.append(drawBadge(w - 4, 4, "+"));
  return group;
}

function drawBadge(x: number, y: number, sign: "+" | "−"): SVGGElement {
  const d = sign === "+" ? "M-3 0H3M0 -3V3" : "M-3 0H3";
  return s("g", { class: "badge", transform: `translate(${x} ${y})`, "aria-hidden": "true" },
    s("circle", { class: "target", r: 14 }), s("circle", { class: "rim", r: 7 }), s("path", { d }));
}

function drawFrame(item: Item, at: Rect): SVGGElement {
  return s("g", { class: "frame", "data-frame": item.key },
    s("rect", { x: at.x, y: at.y, width: at.width, height: at.height, rx: 12 }));
}

function drawHeader(item: Item, at: Rect, model: Model): SVGGElement {
  const group = s("g", {
    class: "header", role: "button", tabindex: 0, "data-item": item.key, "aria-expanded": "true",
    "aria-label": describe(item, model), transform: `translate(${at.x} ${at.y})`,
  });
  group.append(
    s("rect", { class: "body", x: 1, y: 1, width: Math.max(40, at.width - 2), height: 26, rx: 11 }),
    drawBadge(17, 14, "−"),
    s("text", { class: "title", x: 32, y: 19, "font-size": 14 }, titleOf(item)),
  );
  return group;
}

function drawTerminal(box: Box, at: Rect): SVGGElement {
  const node = box.wire!;
  const group = s("g", {
    class: `terminal ${box.kind === "end" ? "end" : node.wire.kind}`, "data-wire": node.key,
    transform: `translate(${at.x} ${at.y})`, "aria-hidden": "true",
  });
  const text = s("text", {
    x: at.width / 2, y: 19, "font-size": TEXT, "text-anchor": "middle",
  }, terminalText(node));
  if (isNumber(node) && box.kind === "terminal") {
    text.setAttribute("class", "number");
    text.setAttribute("data-value", exact(node.wire.value.scalar!));
    text.setAttribute("data-role", "value");
    text.setAttribute("data-kind", "scalar");
    text.setAttribute("data-wire", node.key);
  }
  group.append(s("title", {}, node.wire.name));
  group.append(s("rect", { width: at.width, height: 28, rx: 14 }), text);
  return group;
}
