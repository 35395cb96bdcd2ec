// The page: holds what is open, chosen and reached, and tells the parts when that changes.

import { Bar } from "./bar";
import { CircuitView } from "./circuit";
import type { After } from "./circuit";
import { button, clear, h } from "./dom";
import { icon } from "./icons";
import type { Icon } from "./icons";
import type { Direction } from "./layout";
import { build, canOpen } from "./model";
import type { Item, Model, WireNode } from "./model";
import { derivationPage, keysPage, sourcePage } from "./pages";
import { panelOf } from "./panel";
import type { Chosen } from "./panel";
import { Search } from "./search";
import { read } from "./snapshot";
import type { Snapshot } from "./snapshot";
import { Progress, sentence, stepsOf } from "./steps";
import type { Step } from "./steps";
import { Tabs } from "./tabs";
import type { Tab } from "./tabs";
import { toggleTheme } from "./theme";
import { visible } from "./visible";
import type { Visible } from "./visible";
import { speak, spoken, t } from "./words";
import type { Language, Word } from "./words";

// Beyond this many boxes a graph starts with its groups closed.
const MANY = 160;
const PACE = 1400;
const PHONE = 720;

class Page {
  private open: Set<string>;
  private chosen: Chosen = null;
  private view: Visible;
  private steps: Step[];
  private position = 0;
  private walking = false; // else the whole computation is shown
  private timer = 0;
  private direction: Direction = innerWidth < PHONE ? "DOWN" : "RIGHT";
  private circuit: CircuitView;
  private tabs: Tabs;
  private bar: Bar;
  private search: Search;
  private head = h("header", { class: "head" });

  constructor(private snapshot: Snapshot, private model: Model, engine: Promise<string>) {
    this.open = startsOpen(model);
    this.view = visible(model, this.open);
    this.steps = stepsOf(this.view, model);
    const actions = {
      chooseItem: (item: Item) => this.jump(item),
      chooseWire: (wire: WireNode) => this.choose({ wire }),
      toggle: (item: Item) => this.toggle(item),
      isOpen: (item: Item) => this.open.has(item.key),
      chooseNothing: () => this.choose(null),
    };
    this.circuit = new CircuitView(model, engine, {
      ...actions, chooseItem: (item) => this.choose({ item }),
    });
    this.tabs = new Tabs(this.tabList(actions));
    this.bar = new Bar({
      first: () => this.go(0), back: () => this.go(this.position - 1), play: () => this.play(),
      next: () => this.next(), last: () => this.go(this.steps.length),
    });
    this.search = new Search(model, (item) => this.jump(item));
    document.addEventListener("keydown", (e) => this.key(e));
  }

  private tabList(actions: Parameters<typeof panelOf>[2]): Tab[] {
    const { derivation, source } = this.snapshot;
    const tabs: Tab[] = [
      { word: "details", make: () => panelOf(this.chosen, this.model, actions) }];
    if (derivation) {
      tabs.push({ word: "derivation", make: () => derivationPage(derivation[spoken()]) });
    }
    if (source) tabs.push({ word: "source", make: () => sourcePage(source) });
    tabs.push({ word: "keys", make: keysPage });
    return tabs;
  }

  async start(into: HTMLElement): Promise<void> {
    this.fillHead();
    const main = h("main", {}, this.circuit.element, this.bar.element);
    clear(into, this.head, main, this.tabs.element);
    this.position = this.steps.length;
    this.update();
    await this.relayout(null);
  }

  private fillHead(): void {
    const tool = (word: Icon & Word, act: () => void) =>
      button(icon(word), { title: t(word), "aria-label": t(word) }, act);
    clear(this.head,
      h("a", { class: "skip", href: "#panel" }, t("toPanel")),
      h("h1", {}, this.snapshot.title),
      this.search.element,
      h("div", { class: "tools" },
        h("span", { class: "zoom" },
          tool("zoomOut", () => this.circuit.zoom(1 / 1.3)),
          tool("zoomIn", () => this.circuit.zoom(1.3))),
        tool("fit", () => this.circuit.fit()),
        tool("turn", () => this.turn()),
        tool("theme", toggleTheme),
        button(t("language"), { class: "language", lang: spoken() === "en" ? "zh" : "en" },
          () => this.translate())));
  }

  private async relayout(keep: Item | null, after: After = "show"): Promise<void> {
    this.view = visible(this.model, this.open);
    const drawn = await this.circuit.show(this.view, this.direction, keep, after);
    if (!drawn) return;
    if (after === "jump") this.circuit.focus(keep);
    this.update();
  }

  /** Where the walk stands, in the bar and on the wires. */
  private update(): void {
    const step = this.walking ? this.steps[this.position - 1] : undefined;
    const progress = new Progress(this.steps, this.position, !this.walking);
    this.circuit.mark(this.chosen, progress, step?.item ?? null);
    const text = step ? sentence(step, this.model) : t(this.walking ? "before" : "whole");
    const kind = step ? (step.kind === "forward" ? "forward" : "backward") : "";
    this.bar.update(this.position, this.steps.length, text, kind, this.timer !== 0);
  }

  private choose(chosen: Chosen): void {
    this.chosen = chosen;
    this.tabs.choose(0);
    this.update();
    if (chosen && "item" in chosen) this.circuit.reveal(chosen.item, 0); // the panel may have grown
  }

  // ----- the walk -----

  private go(position: number): void {
    this.walking = true;
    this.position = Math.max(0, Math.min(this.steps.length, position));
    const step = this.steps[this.position - 1];
    const item = step ? step.item : null;
    this.choose(item ? { item } : step && this.model.loss ? { wire: this.model.loss } : null);
    if (item) {
      this.circuit.reveal(item);
      if (document.activeElement?.closest(".circuit")) this.circuit.focus(item);
    }
    if (this.position === this.steps.length) this.pause();
  }

  private next(): void {
    this.go(this.walking ? this.position + 1 : 1);
  }

  private play(): void {
    if (this.timer) {
      this.pause();
    } else {
      if (this.position === this.steps.length) this.walking = false;
      this.timer = window.setInterval(() => this.next(), PACE);
      this.next();
    }
    this.update();
  }

  private pause(): void {
    clearInterval(this.timer);
    this.timer = 0;
    this.update();
  }

  private leave(): void {
    this.pause();
    this.walking = false;
    this.position = this.steps.length;
    this.choose(null);
  }

  // ----- open and close -----

  private toggle(item: Item): void {
    if (!canOpen(item)) return;
    if (this.open.has(item.key)) this.open.delete(item.key);
    else this.open.add(item.key);
    this.chosen = { item };
    this.tabs.choose(0);
    this.reopened(item, "show");
  }

  /** The walk goes on from the same place, in steps of what is drawn now. */
  private reopened(keep: Item, after: After): void {
    const past = this.steps[this.position - 1];
    this.view = visible(this.model, this.open);
    this.steps = stepsOf(this.view, this.model);
    this.position = this.walking ? placeOf(past, this.steps) : this.steps.length;
    void this.relayout(keep, after);
  }

  /** Open what holds an item, choose it and bring it into view. */
  private jump(item: Item): void {
    let closed = false;
    for (let outer = item.parent; outer && outer.kind !== "root"; outer = outer.parent) {
      if (!this.open.has(outer.key)) closed = true;
      this.open.add(outer.key);
    }
    this.chosen = { item };
    this.tabs.choose(0);
    if (closed || !this.circuit.shows(item)) {
      this.reopened(item, "jump");
      return;
    }
    this.update();
    this.circuit.reveal(item);
    this.circuit.focus(item);
  }

  private closeAround(item: Item): void {
    const target = this.open.has(item.key) ? item : item.parent;
    if (target && target.kind !== "root") this.toggle(target);
  }

  // ----- the rest of the page -----

  private turn(): void {
    this.direction = this.direction === "RIGHT" ? "DOWN" : "RIGHT";
    void this.relayout(null);
  }

  private translate(): void {
    speak(spoken() === "en" ? "zh" : "en");
    document.documentElement.lang = spoken();
    this.fillHead();
    this.search.relabel();
    this.tabs.update();
    const anchor = this.view.root.children.find((box) => box.item)?.item ?? null;
    void this.relayout(anchor, "stay");
  }

  private key(e: KeyboardEvent): void {
    const target = e.target as HTMLElement;
    if (e.altKey || e.ctrlKey || e.metaKey || target.closest("input")) return;
    const focused = this.model.items.get(target.dataset?.item ?? "") ?? null;
    const item = focused ?? (this.chosen && "item" in this.chosen ? this.chosen.item : null);
    if ((e.key === " " || e.key === "Enter") && target.closest("button")) return;
    const act = e.shiftKey ? this.shifted(e.key) : this.plain(e.key, item);
    if (!act) return;
    e.preventDefault();
    act();
  }

  private plain(key: string, item: Item | null): (() => void) | undefined {
    const keys: Record<string, () => void> = {
      ArrowRight: () => this.next(),
      ArrowLeft: () => this.go(this.position - 1),
      Home: () => this.go(0),
      End: () => this.go(this.steps.length),
      " ": () => this.play(),
      Escape: () => this.leave(),
      f: () => this.circuit.fit(),
      z: () => this.circuit.zoom(1.3),
      "/": () => this.search.focus(),
    };
    if (item) {
      keys.Enter = () => (this.isChosen(item) && canOpen(item)
        ? this.toggle(item) : this.choose({ item }));
      keys["+"] = keys["="] = () => this.open.has(item.key) || this.toggle(item);
      keys["-"] = () => this.closeAround(item);
    }
    return keys[key];
  }

  private shifted(key: string): (() => void) | undefined {
    const far = 60;
    const keys: Record<string, () => void> = {
      ArrowLeft: () => this.circuit.pan(far, 0),
      ArrowRight: () => this.circuit.pan(-far, 0),
      ArrowUp: () => this.circuit.pan(0, far),
      ArrowDown: () => this.circuit.pan(0, -far),
      Z: () => this.circuit.zoom(1 / 1.3),
    };
    if (key === "+") return this.plain(key, this.chosen && "item" in this.chosen
      ? this.chosen.item : null);
    return keys[key];
  }

  private isChosen(item: Item): boolean {
    return this.chosen !== null && "item" in this.chosen && this.chosen.item === item;
  }
}

function startsOpen(model: Model): Set<string> {
  const open = new Set<string>();
  for (const item of model.items.values()) if (item.group?.open) open.add(item.key);
  if (visible(model, open).boxes.size > MANY) open.clear();
  return open;
}

/** The last step that is done when everything up to `past` is done. */
function placeOf(past: Step | undefined, steps: Step[]): number {
  if (!past) return 0;
  const done = steps.filter((step) => {
    if (past.kind === "start") return step.kind !== "backward";
    if (past.kind === "backward") {
      return step.kind !== "backward" || step.item!.first >= past.item!.first;
    }
    return step.kind === "forward" && step.item!.last <= past.item!.last;
  });
  return done.length;
}

/** A text that the file holds as base64 of gzip. */
async function unpacked(id: string): Promise<string> {
  const packed = document.getElementById(id)!.textContent!;
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

async function main(): Promise<void> {
  const body = document.getElementById("page")!;
  speak((document.documentElement.lang || "en") as Language);
  try {
    const snapshot = read(document.getElementById("snapshot")!.textContent!);
    const page = new Page(snapshot, build(snapshot), unpacked("layout-engine"));
    await page.start(body);
  } catch (error) {
    clear(body, h("p", { class: "alarm", role: "alert" }, (error as Error).message));
  }
}

void main();
