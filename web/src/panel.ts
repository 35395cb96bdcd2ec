// The panel: what is chosen, told in full. Gates, wires and groups.

import { button, h } from "./dom";
import { brief, full, number } from "./figures";
import type { Where } from "./figures";
import { formula } from "./formula";
import { subtitleOf, titleOf } from "./labels";
import { backwardOf, border, canOpen, outerReaders } from "./model";
import type { Item, Model, WireNode } from "./model";
import { shapeText } from "./numbers";
import type { Backward, Numbers } from "./snapshot";
import { maybe, say, t } from "./words";
import type { Word } from "./words";

export interface Actions {
  chooseItem(item: Item): void;
  chooseWire(wire: WireNode): void;
  toggle(item: Item): void;
  isOpen(item: Item): boolean;
}

export type Chosen = { item: Item } | { wire: WireNode } | null;

export function panelOf(chosen: Chosen, model: Model, act: Actions): HTMLElement {
  if (!chosen) return h("p", { class: "hint" }, t("pick"));
  if ("wire" in chosen) return wirePanel(chosen.wire, act);
  return chosen.item.kind === "gate"
    ? gatePanel(chosen.item, model, act) : groupPanel(chosen.item, model, act);
}

function section(title: string, ...children: (Node | null)[]): HTMLElement {
  return h("section", {}, h("h3", {}, title), ...children);
}

function toggleButton(item: Item, act: Actions): HTMLElement | null {
  if (!canOpen(item)) return null;
  return button(t(act.isOpen(item) ? "close" : "open"), { class: "open" }, () => act.toggle(item));
}

// ----- a gate -----

function gatePanel(item: Item, model: Model, act: Actions): HTMLElement {
  const gate = item.gate!;
  const heading = h("header", {},
    h("h2", {}, h("span", { class: "symbol" }, gate.symbol), ` ${gate.op}`),
    gate.pattern ? h("span", { class: "pattern", title: t("pattern") },
      maybe("pattern", gate.pattern)) : null,
    toggleButton(item, act));
  return h("article", { "data-panel": item.key },
    heading,
    gate.tex ? formula(gate.tex, true) : null,
    h("p", { class: "sentence forward" }, say(gate.forward_text)),
    h("p", { class: "sentence backward" }, say(gate.backward_text)),
    chainRule(item, model),
    section(t("inputs"), wireList(model.inputs.get(item)!, act)),
    section(t("outputs"), wireList(model.outputs.get(item)!, act)),
    settings(gate.params),
    programLine(item));
}

/** upstream × local = downstream, once per input that gets a gradient. */
function chainRule(item: Item, model: Model): HTMLElement | null {
  const gate = item.gate!;
  if (!gate.backward.length) return null;
  const rows = gate.backward.map((b) => {
    const wire = model.inputs.get(item)![b.input]!;
    return h("div", { class: "rule" }, ...symbols(item, wire, b, model), numbersOf(item, b));
  });
  return section(`${t("upstream")} × ${t("local")} = ${t("downstream")}`, ...rows);
}

function symbols(
  item: Item, wire: WireNode | null, b: Backward, model: Model,
): HTMLElement[] {
  const output = model.outputs.get(item)![0]?.wire.tex ?? "y";
  const loss = model.loss?.wire.tex ?? "L";
  const input = wire?.wire.tex || "x";
  const by = (of: string, over: string) => `\\frac{\\partial ${of}}{\\partial ${over}}`;
  if (!b.factored || !b.local) return [formula(`${by(loss, input)} = ${b.local_tex}`, true)];
  return [
    formula(`${by(loss, output)}\\cdot ${by(output, input)} = ${by(loss, input)}`, true),
    formula(`${by(output, input)} = ${b.local_tex}`, true),
  ];
}

function numbersOf(item: Item, b: Backward): HTMLElement {
  const where = (role: string): Where => ({ gate: item.key, input: b.input, role });
  const cell = (word: Word, numbers: Numbers, role: string) => h("div", { class: `cell ${role}` },
    h("span", { class: "caption" }, t(word)), brief(numbers, where(role)));
  const operator = (sign: string) => h("span", { class: "operator" }, sign);
  const row = h("div", { class: "product" }, cell("upstream", b.upstream, "upstream"));
  if (b.local) row.append(operator("×"), cell("local", b.local, "local"), operator("="));
  else row.append(operator("→"));
  row.append(cell("downstream", b.downstream, "downstream"));
  return h("div", {}, row, elementProducts(b, where));
}

/** The same equation at each chosen element, where all three name it. */
function elementProducts(b: Backward, where: (role: string) => Where): HTMLElement | null {
  const key = (index: number[]) => index.join(",");
  const table = (numbers: Numbers | null) => new Map(
    (numbers?.elements ?? []).map((e) => [key(e.index), e.value]));
  const [up, local] = [table(b.upstream), table(b.local)];
  const list = h("ul", { class: "products" });
  for (const { index, value } of b.downstream.elements ?? []) {
    const [u, l] = [up.get(key(index)), local.get(key(index))];
    const kind = `element:${key(index)}`;
    const line = h("li", {}, h("span", { class: "index" }, `[${index.join(", ")}]`));
    if (b.factored && u !== undefined && l !== undefined) {
      const [left, right] = [number(u, where("upstream"), kind), number(l, where("local"), kind)];
      line.append(left, " × ", right, " = ");
    }
    line.append(number(value, where("downstream"), kind));
    list.append(line);
  }
  return list.children.length ? list : null;
}

function wireList(wires: (WireNode | null)[], act: Actions): HTMLElement {
  const list = h("ul", { class: "wires" });
  for (const node of wires) {
    if (!node) continue;
    const { wire } = node;
    const pick = button(wire.name, { class: "link", title: wire.name }, () => act.chooseWire(node));
    const line = h("li", {}, pick, h("span", { class: "shape" }, shapeText(wire.shape)),
      h("span", { class: "forward" }, brief(wire.value, { wire: node.key, role: "value" })));
    if (wire.grad) {
      const grad = brief(wire.grad, { wire: node.key, role: "grad" });
      line.append(h("span", { class: "backward" }, grad));
    }
    list.append(line);
  }
  return list;
}

function settings(params: Record<string, string>): HTMLElement | null {
  const names = Object.keys(params);
  if (!names.length) return null;
  const list = h("dl", { class: "statistics" });
  for (const name of names) list.append(h("dt", {}, name), h("dd", {}, params[name]!));
  return section(t("params"), list);
}

function programLine(item: Item): HTMLElement | null {
  const gate = item.gate!;
  const place = [gate.line, gate.scope, gate.module].filter(Boolean).join(" · ");
  if (!gate.code && !place) return null;
  return section(t("line"),
    gate.code ? h("pre", { class: "code" }, h("code", {}, gate.code)) : null,
    h("p", { class: "place" }, place));
}

// ----- a wire -----

const KINDS: Record<string, Word> = {
  input: "kindInput", parameter: "kindParameter", constant: "kindConstant", value: "kindValue",
};

function wirePanel(node: WireNode, act: Actions): HTMLElement {
  const { wire } = node;
  const about = [t(KINDS[wire.kind] ?? "kindValue"), shapeText(wire.shape), wire.dtype];
  const maker = node.makers[0];
  return h("article", { "data-panel": node.key },
    h("header", {}, h("h2", {}, wire.name)),
    h("p", { class: "place" }, about.filter(Boolean).join(" · ")),
    section(t("value"), h("div", { class: "forward" },
      full(wire.value, { wire: node.key, role: "value" }))),
    section(t("gradient"), wire.grad
      ? h("div", { class: "backward" }, full(wire.grad, { wire: node.key, role: "grad" }))
      : h("p", { class: "place" }, t("noGradient"))),
    maker ? section(t("madeBy"), itemList([maker], act)) : null,
    readersOf(node, act));
}

function readersOf(node: WireNode, act: Actions): HTMLElement | null {
  const readers = outerReaders(node);
  if (!readers.length) return null;
  const list = h("ul", { class: "wires" });
  for (const reader of readers) {
    const line = h("li", {}, itemButton(reader.item, act));
    const part = backwardOf(reader);
    if (part) {
      const where = { gate: reader.item.key, input: reader.input, role: "downstream" };
      line.append(h("span", { class: "backward" }, brief(part.downstream, where)));
    }
    list.append(line);
  }
  const several = readers.filter(backwardOf).length > 1;
  return section(t(several ? "contributions" : "readBy"), list);
}

function itemButton(item: Item, act: Actions): HTMLElement {
  const place = item.gate?.module ? ` · ${item.gate.module}` : "";
  return button(`${titleOf(item)}${place}`, { class: "link" }, () => act.chooseItem(item));
}

function itemList(items: Item[], act: Actions): HTMLElement {
  return h("ul", { class: "wires" }, ...items.map((i) => h("li", {}, itemButton(i, act))));
}

// ----- a group -----

const SHOWN = 60;

function groupPanel(item: Item, model: Model, act: Actions): HTMLElement {
  const group = item.group;
  const { into, out } = border(item, model);
  const members = item.children.slice(0, SHOWN);
  return h("article", { "data-panel": item.key },
    h("header", {}, h("h2", {}, titleOf(item)), toggleButton(item, act)),
    group?.path ? h("p", { class: "place" }, group.path) : null,
    h("p", { class: "place" }, subtitleOf(item)),
    group?.tex.includes("=") ? formula(group.tex, true) : null,
    section(t("inputs"), wireList(into, act)),
    section(t("outputs"), wireList(out, act)),
    section(t("gates"), itemList(members, act),
      members.length < item.children.length ? h("p", { class: "place" }, "…") : null));
}
