// Formulas, set by KaTeX; what it can't set stays readable as text.

import katex from "katex";
import { h } from "./dom";

export function formula(tex: string, display = false): HTMLElement {
  const made = h(display ? "div" : "span", { class: display ? "formula" : "formula inline" });
  try {
    katex.render(tex, made, { displayMode: display, trust: false, strict: "ignore" });
  } catch {
    made.replaceChildren(h("code", {}, tex));
  }
  return made;
}
