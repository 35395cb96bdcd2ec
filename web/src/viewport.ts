// Pan and zoom: wheel, pinch, drag and keys move one transform.

export interface Area {
  x: number;
  y: number;
  width: number;
  height: number;
}

const LEAST = 0.02;
const MOST = 4;

export class Viewport {
  private x = 0;
  private y = 0;
  scale = 1;
  private inFrame = window.self !== window.top; // a notebook's page scrolls with the wheel
  private pointers = new Map<number, { x: number; y: number }>();
  untouched = true; // nothing was moved since the last fit
  moved = 0; // how far the pointer went since it was pressed: a drag is no click

  constructor(
    private svg: SVGSVGElement, private scene: SVGGElement, private changed: (seen: Area) => void,
  ) {
    svg.addEventListener("wheel", (e) => this.wheel(e), { passive: false });
    svg.addEventListener("pointerdown", (e) => this.press(e));
    svg.addEventListener("pointermove", (e) => this.move(e));
    for (const end of ["pointerup", "pointercancel", "pointerleave"] as const) {
      svg.addEventListener(end, (e) => this.pointers.delete(e.pointerId));
    }
  }

  private get size(): { width: number; height: number } {
    return { width: this.svg.clientWidth || 800, height: this.svg.clientHeight || 600 };
  }

  private apply(fitted = false): void {
    this.untouched = fitted;
    this.scene.setAttribute("transform", `translate(${this.x} ${this.y}) scale(${this.scale})`);
    const { width, height } = this.size;
    const [x, y] = [-this.x / this.scale, -this.y / this.scale];
    this.changed({ x, y, width: width / this.scale, height: height / this.scale });
  }

  /** Show all of an area; where that is too small to read, its beginning, larger. */
  fit(area: Area, readable = 0): void {
    const { width, height } = this.size;
    const margin = Math.min(28, width / 24);
    const across = (width - 2 * margin) / area.width;
    const down = (height - 2 * margin) / area.height;
    const all = Math.min(across, down);
    const some = Math.min(1, Math.max(readable, across, down));
    this.scale = Math.max(LEAST, all < readable ? some : Math.min(1.6, all));
    const place = (room: number, size: number, along: boolean) =>
      along && size * this.scale > room ? margin : (room - size * this.scale) / 2;
    const wide = area.width > area.height;
    this.x = place(width, area.width, wide) - area.x * this.scale;
    this.y = place(height, area.height, !wide) - area.y * this.scale;
    this.apply(true);
  }

  zoom(factor: number, at?: { x: number; y: number }): void {
    const { width, height } = this.size;
    const point = at ?? { x: width / 2, y: height / 2 };
    const scale = Math.min(MOST, Math.max(LEAST, this.scale * factor));
    this.x = point.x - ((point.x - this.x) * scale) / this.scale;
    this.y = point.y - ((point.y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.apply();
  }

  pan(dx: number, dy: number): void {
    this.x += dx;
    this.y += dy;
    this.apply();
  }

  /** Where a point of the scene is on the screen. */
  onScreen(x: number, y: number): { x: number; y: number } {
    return { x: x * this.scale + this.x, y: y * this.scale + this.y };
  }

  center(x: number, y: number): void {
    const { width, height } = this.size;
    this.pan(width / 2 - x * this.scale - this.x, height / 2 - y * this.scale - this.y);
  }

  /** Bring an area into view with as little movement as it takes, and as large as asked. */
  reveal(area: Area, least = 0): void {
    const { width, height } = this.size;
    const margin = 40;
    this.scale = Math.max(this.scale, least);
    const a = this.onScreen(area.x, area.y);
    const b = this.onScreen(area.x + area.width, area.y + area.height);
    this.x += push(a.x, b.x, margin, width - margin);
    this.y += push(a.y, b.y, margin, height - margin);
    this.apply();
  }

  private wheel(e: WheelEvent): void {
    if (this.inFrame && !e.ctrlKey && !e.metaKey) return;
    e.preventDefault();
    if (e.shiftKey) return this.pan(-(e.deltaX || e.deltaY), 0);
    const unit = e.deltaMode === 1 ? 20 : 1;
    const speed = e.ctrlKey ? 0.01 : 0.0018;
    this.zoom(Math.exp(-e.deltaY * unit * speed), this.local(e));
  }

  private local(e: MouseEvent): { x: number; y: number } {
    const box = this.svg.getBoundingClientRect();
    return { x: e.clientX - box.left, y: e.clientY - box.top };
  }

  private press(e: PointerEvent): void {
    this.moved = 0;
    this.pointers.set(e.pointerId, this.local(e));
  }

  private move(e: PointerEvent): void {
    const before = this.pointers.get(e.pointerId);
    if (!before) return;
    const now = this.local(e);
    const other = [...this.pointers].find(([id]) => id !== e.pointerId)?.[1];
    this.pointers.set(e.pointerId, now);
    if (other) {
      const apart = (p: { x: number; y: number }) => Math.hypot(p.x - other.x, p.y - other.y);
      const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
      this.zoom(apart(now) / Math.max(1, apart(before)), middle);
      this.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    } else {
      this.pan(now.x - before.x, now.y - before.y);
    }
    this.moved += Math.hypot(now.x - before.x, now.y - before.y);
    if (this.moved > 4) this.svg.setPointerCapture?.(e.pointerId);
  }
}

function push(low: number, high: number, least: number, most: number): number {
  if (high - low > most - least) return least - low; // its beginning, where all is too large
  if (low < least) return least - low;
  return high > most ? most - high : 0;
}
