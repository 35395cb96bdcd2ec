// A small map of the whole circuit with the part in view, where not all of it is.

import { s } from "./dom";
import type { Layout } from "./layout";
import type { Visible } from "./visible";
import type { Area } from "./viewport";

const WIDTH = 190;
const HEIGHT = 110;

export class Overview {
  readonly element = s("svg", { class: "overview", "aria-hidden": "true" });
  private frame = s("rect", { class: "seen" });
  private whole: Area = { x: 0, y: 0, width: 1, height: 1 };
  private dragging = false;

  constructor(private center: (x: number, y: number) => void) {
    this.element.addEventListener("pointerdown", (e) => {
      this.dragging = true;
      this.element.setPointerCapture(e.pointerId);
      this.go(e);
    });
    this.element.addEventListener("pointermove", (e) => this.dragging && this.go(e));
    this.element.addEventListener("pointerup", () => (this.dragging = false));
  }

  private go(e: PointerEvent): void {
    const box = this.element.getBoundingClientRect();
    const { x, y, width, height } = this.whole;
    this.center(x + ((e.clientX - box.left) / box.width) * width,
      y + ((e.clientY - box.top) / box.height) * height);
  }

  draw(view: Visible, layout: Layout): void {
    this.whole = { x: 0, y: 0, ...layout.size };
    const { width, height } = layout.size;
    const scale = Math.min(WIDTH / width, HEIGHT / height);
    const tall = Math.max(24, height * scale);
    this.element.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.element.setAttribute("preserveAspectRatio", "none");
    this.element.setAttribute("width", String(Math.max(24, width * scale)));
    this.element.setAttribute("height", String(tall));
    const shapes = [...view.boxes.values()].filter((box) => box.item && box.item.kind !== "root");
    this.element.replaceChildren(...shapes.map((box) => {
      const at = layout.boxes.get(box.id)!;
      return s("rect", { class: box.kind === "container" ? "room" : "thing", ...at });
    }), this.frame);
  }

  /** Mark the part in view; where all is in view there is nothing to show. */
  mark(seen: Area): void {
    const { x, y, width, height } = this.whole;
    const all = seen.x <= x + 1 && seen.y <= y + 1
      && seen.x + seen.width >= x + width - 1 && seen.y + seen.height >= y + height - 1;
    this.element.toggleAttribute("hidden", all);
    const left = Math.max(x, seen.x);
    const top = Math.max(y, seen.y);
    const attributes = {
      x: left, y: top,
      width: Math.max(0, Math.min(x + width, seen.x + seen.width) - left),
      height: Math.max(0, Math.min(y + height, seen.y + seen.height) - top),
    };
    for (const [name, n] of Object.entries(attributes)) this.frame.setAttribute(name, String(n));
  }
}
