// The drawing area: lays out what is open, draws it, and says what was touched.

import { h, s } from "./dom";
import { draw } from "./draw";
import type { Drawing } from "./draw";
import { Overview } from "./overview";
import { Placer } from "./layout";
import type { Direction, Layout } from "./layout";
import { canOpen } from "./model";
import type { Item, Model, WireNode } from "./model";
import type { Chosen } from "./panel";
import type { Progress } from "./steps";
import type { Visible } from "./visible";
import { Viewport } from "./viewport";
import { t } from "./words";

export interface Touches {
  chooseItem(item: Item): void;
  chooseWire(wire: WireNode): void;
  toggle(item: Item): void;
  chooseNothing(): void;
}

/** What a new layout does to the view: stay, show what was toggled, or go where a search led. */
export type After = "stay" | "show" | "jump";

// Text smaller than this share of its size is hard to read.
const READABLE = 0.7;

export class CircuitView {
  readonly element: HTMLElement;
  private svg = s("svg", { class: "circuit", role: "group" });
  private scene = s("g");
  private viewport: Viewport;
  private overview: Overview;
  private drawing: Drawing | null = null;
  private layout: Layout | null = null;
  private view: Visible | null = null;
  private placer: Placer;
  private asked = 0;
  private toggled = -Infinity; // when something was last opened or closed by hand

  constructor(private model: Model, engine: Promise<string>, private touches: Touches) {
    this.placer = new Placer(engine);
    this.svg.append(this.scene);
    this.overview = new Overview((x, y) => this.viewport.center(x, y));
    this.element = h("div", { class: "stage" }, this.svg, this.overview.element);
    this.viewport = new Viewport(this.svg, this.scene, (seen) => this.overview.mark(seen));
    new ResizeObserver(() => this.viewport.untouched && this.home()).observe(this.element);
    this.svg.addEventListener("click", (e) => this.click(e));
    this.svg.addEventListener("dblclick", (e) => this.doubleClick(e));
    this.element.addEventListener("focusin", (e) => this.follow(e));
  }

  /** Lay out and draw; what `keep` names stays where it is on the screen. */
  async show(
    view: Visible, direction: Direction, keep: Item | null, after: After,
  ): Promise<boolean> {
    const turn = ++this.asked;
    this.element.setAttribute("aria-busy", "true");
    let layout: Layout;
    try {
      layout = await this.placer.place(view, direction, measure);
    } catch (error) {
      return this.refused(error as Error);
    }
    if (turn !== this.asked) return false; // something newer was asked for meanwhile
    const before = keep && this.corner(keep);
    const focused = (document.activeElement as HTMLElement | null)?.dataset?.item;
    this.drawing = draw(this.model, view, layout, measure);
    this.scene.replaceChildren(this.drawing.scene);
    this.svg.setAttribute("aria-label", t("circuit"));
    this.layout = layout;
    this.view = view;
    this.overview.draw(view, layout);
    const now = keep && this.corner(keep);
    if (before && now) this.viewport.pan(before.x - now.x, before.y - now.y);
    else this.home();
    if (keep && after !== "stay") this.reveal(keep, after === "jump" ? READABLE : 0);
    if (focused !== undefined) this.focus(this.model.items.get(focused) ?? null);
    this.element.querySelector(".alarm")?.remove();
    this.element.removeAttribute("aria-busy");
    this.element.dataset.drawn = String(turn);
    return true;
  }

  private refused(error: Error): false {
    this.element.removeAttribute("aria-busy");
    const words = `${t("noLayout")} ${error.message}`;
    this.element.append(h("p", { class: "alarm", role: "alert" }, words));
    return false;
  }

  private corner(item: Item): { x: number; y: number } | null {
    const box = this.layout?.boxes.get(`i:${item.key}`);
    return box ? this.viewport.onScreen(box.x, box.y) : null;
  }

  home(): void {
    if (this.layout) this.viewport.fit({ x: 0, y: 0, ...this.layout.size }, READABLE);
  }

  fit(): void {
    if (this.layout) this.viewport.fit({ x: 0, y: 0, ...this.layout.size });
  }

  zoom(factor: number): void {
    this.viewport.zoom(factor);
  }

  pan(dx: number, dy: number): void {
    this.viewport.pan(dx, dy);
  }

  reveal(item: Item, least = READABLE): void {
    const box = this.layout?.boxes.get(`i:${item.key}`);
    if (box) this.viewport.reveal(box, least);
  }

  focus(item: Item | null): void {
    const element = item && this.drawing?.items.get(item);
    element?.focus({ preventScroll: true });
  }

  shows(item: Item): boolean {
    return this.view?.boxes.has(`i:${item.key}`) ?? false;
  }

  /** Show what is chosen, and at a step of the walk what is known and what is being computed. */
  mark(chosen: Chosen, progress: Progress, now: Item | null): void {
    if (!this.drawing) return;
    for (const [item, element] of this.drawing.items) {
      const on = chosen !== null && "item" in chosen && chosen.item === item;
      element.classList.toggle("chosen", on);
      element.classList.toggle("now", item === now);
      if (on) element.setAttribute("aria-current", "true");
      else element.removeAttribute("aria-current");
    }
    for (const { placed, line, label } of this.drawing.wires) {
      const { edge } = placed;
      const value = progress.hasValue(edge.wire);
      const part = edge.readers.length > 0 && edge.readers.every((r) => progress.hasPart(r));
      const grad = edge.shows === "part" ? part : progress.hasGrad(edge.wire, this.model.loss);
      const on = chosen !== null && "wire" in chosen && chosen.wire === edge.wire;
      line.classList.toggle("chosen", on);
      line.classList.toggle("waiting", !value);
      line.classList.toggle("beside", touches(edge.wire, now));
      label?.querySelector(".forward")?.classList.toggle("unknown", !value);
      label?.querySelector(".backward")?.classList.toggle("unknown", !grad);
    }
  }

  private touched(e: Event): { item: Item | null; wire: WireNode | null } {
    const target = e.target as Element;
    const item = target.closest<SVGElement>("[data-item]")?.dataset.item;
    const wire = target.closest<SVGElement>("[data-wire]")?.dataset.wire;
    return {
      item: item === undefined ? null : this.model.items.get(item) ?? null,
      wire: wire === undefined ? null : this.model.wires.get(wire) ?? null,
    };
  }

  /** Two clicks on a sign are one wish, and so are a double click and its clicks. */
  private toggle(item: Item, at: number): void {
    if (at - this.toggled > 500) this.touches.toggle(item);
    this.toggled = at;
  }

  private click(e: MouseEvent): void {
    if (this.viewport.moved > 4) return;
    const { item, wire } = this.touched(e);
    const badge = (e.target as Element).closest(".badge");
    if (item && badge) this.toggle(item, e.timeStamp);
    else if (item) this.touches.chooseItem(item);
    else if (wire) this.touches.chooseWire(wire);
    else this.touches.chooseNothing();
  }

  /** The keyboard's focus never leaves the view. */
  private follow(e: FocusEvent): void {
    const { item } = this.touched(e);
    if (item && (e.target as Element).matches(":focus-visible")) this.reveal(item, 0);
  }

  private doubleClick(e: MouseEvent): void {
    const { item } = this.touched(e);
    if (item && canOpen(item)) this.toggle(item, e.timeStamp);
  }
}

function touches(node: WireNode, item: Item | null): boolean {
  if (!item) return false;
  return node.makers.includes(item) || node.readers.some((r) => r.item === item);
}

const widths = new Map<string, number>();
let pen: CanvasRenderingContext2D | null = null;

function measure(text: string, size: number): number {
  const key = `${size}:${text}`;
  let width = widths.get(key);
  if (width === undefined) {
    pen ??= document.createElement("canvas").getContext("2d")!;
    pen.font = `${size}px ${getComputedStyle(document.body).fontFamily}`;
    width = pen.measureText(text).width;
    widths.set(key, width);
  }
  return width;
}
