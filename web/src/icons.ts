// Signs on buttons as drawings, so that no font has to know them.

import { s } from "./dom";

const PATHS = {
  first: "M4 3v10M13 3L6 8l7 5Z",
  back: "M10 3L5 8l5 5",
  next: "M6 3l5 5-5 5",
  last: "M12 3v10M3 3l7 5-7 5Z",
  play: "M4 2.5L13 8l-9 5.5Z",
  pause: "M5 3v10M11 3v10",
  zoomIn: "M8 3v10M3 8h10",
  zoomOut: "M3 8h10",
  fit: "M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4",
  turn: "M3 5h8a3 3 0 0 1 3 3v5M5.5 2.5L3 5l2.5 2.5M11.5 10.5L14 13l2-2.5",
  theme: "M8 2a6 6 0 1 0 0 12Z",
} as const;

const SOLID: ReadonlySet<string> = new Set(["first", "last", "play", "theme"]);

export type Icon = keyof typeof PATHS;

export function icon(name: Icon): SVGSVGElement {
  const solid = SOLID.has(name) ? "icon solid" : "icon";
  return s("svg", { viewBox: "0 0 16 16", class: solid, "aria-hidden": "true" },
    s("path", { d: PATHS[name] }),
    name === "theme" ? s("path", { class: "outline", d: "M8 2a6 6 0 0 1 0 12" }) : null);
}
