// Finds gates by name, operator, module and line; jumps to them.

import { clear, h } from "./dom";
import type { Item, Model } from "./model";
import { titleOf } from "./labels";
import { sentences, t } from "./words";

const SHOWN = 100;

/** Gates and groups that hold every word of the query, as they were computed. */
export class Index {
  private texts: { item: Item; text: string }[];

  constructor(model: Model) {
    this.texts = [...model.items.values()].filter((i) => i.kind !== "run").map((item) => {
      const { gate, group } = item;
      const names = (model.outputs.get(item) ?? []).map((node) => node.wire.name);
      const parts = gate
        ? [gate.op, gate.symbol, gate.module, gate.scope, gate.line, gate.code, ...names]
        : [group!.title, group!.path];
      return { item, text: parts.join("\n").toLowerCase() };
    }).sort((a, b) => nested(a.item) - nested(b.item) || a.item.first - b.item.first);
  }

  find(query: string): Item[] {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return [];
    return this.texts.filter(({ text }) => words.every((w) => text.includes(w))).map((e) => e.item);
  }
}

/** How many gates an item is inside of: what the program itself did comes first. */
function nested(item: Item): number {
  let depth = 0;
  for (let outer = item.parent; outer; outer = outer.parent) if (outer.kind === "gate") depth++;
  return depth;
}

/** The search box and its list: a combobox that keeps the focus in the box. */
export class Search {
  readonly element: HTMLElement;
  private input: HTMLInputElement;
  private list = h("ul", { id: "results", role: "listbox", hidden: true });
  private found: Item[] = [];
  private at = -1;
  private index: Index | null = null;
  private status = h("span", { class: "unseen", role: "status" });

  constructor(private model: Model, private jump: (item: Item) => void) {
    this.input = h("input", {
      type: "search", role: "combobox", "aria-expanded": "false", "aria-controls": "results",
      "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false",
    });
    const parts = [this.input, this.list, this.status];
    this.element = h("div", { class: "search", role: "search" }, ...parts);
    this.relabel();
    this.input.addEventListener("input", () => this.update());
    this.input.addEventListener("keydown", (e) => this.key(e));
    this.input.addEventListener("focus", () => this.update());
    this.input.addEventListener("blur", () => this.show(false));
  }

  relabel(): void {
    this.input.placeholder = t("search");
    this.input.setAttribute("aria-label", t("search"));
    this.list.setAttribute("aria-label", t("results"));
  }

  focus(): void {
    this.input.focus();
    this.input.select();
  }

  private update(): void {
    this.index ??= new Index(this.model);
    this.found = this.index.find(this.input.value);
    this.at = this.found.length ? 0 : -1;
    const asked = this.input.value.trim() !== "";
    this.status.textContent = asked ? sentences.found(this.found.length) : "";
    const options = this.found.slice(0, SHOWN).map((item, i) => this.option(item, i));
    const more = this.found.length > SHOWN || (asked && !this.found.length);
    clear(this.list, ...options, more && h("li", { class: "note", role: "presentation" },
      this.found.length ? sentences.found(this.found.length) : t("noResults")));
    this.show(asked);
    this.mark();
  }

  private option(item: Item, i: number): HTMLElement {
    const { gate, group } = item;
    const name = gate ? this.model.outputs.get(item)?.[0]?.wire.name ?? "" : "";
    const place = gate ? [gate.module, gate.line].filter(Boolean).join(" · ") : group!.path;
    const made = h("li", { role: "option", id: `result-${i}`, "data-item": item.key },
      h("b", {}, titleOf(item)), name ? ` → ${name}` : null, h("small", {}, place));
    made.addEventListener("pointerdown", (e) => {
      e.preventDefault(); // keeps the focus until the jump moves it
      this.go(i);
    });
    return made;
  }

  private show(open: boolean): void {
    this.list.hidden = !open;
    this.input.setAttribute("aria-expanded", String(open));
    if (!open) this.input.removeAttribute("aria-activedescendant");
  }

  private mark(): void {
    [...this.list.querySelectorAll("[role=option]")].forEach((option, i) => {
      option.setAttribute("aria-selected", String(i === this.at));
      if (i === this.at) option.scrollIntoView({ block: "nearest" });
    });
    if (this.at >= 0) this.input.setAttribute("aria-activedescendant", `result-${this.at}`);
  }

  private go(i: number): void {
    const item = this.found[i];
    if (!item) return;
    this.show(false);
    this.jump(item);
  }

  private key(e: KeyboardEvent): void {
    const most = Math.min(SHOWN, this.found.length) - 1;
    if (e.key === "ArrowDown") this.at = Math.min(most, this.at + 1);
    else if (e.key === "ArrowUp") this.at = Math.max(0, this.at - 1);
    else if (e.key === "Enter") return this.go(this.at);
    else if (e.key === "Escape") {
      this.input.value = "";
      this.show(false);
      this.input.blur();
      return;
    } else return;
    e.preventDefault();
    this.mark();
  }
}
