// Tabs of the panel, in the pattern that screen readers know.

import { clear, h } from "./dom";
import { t } from "./words";
import type { Word } from "./words";

export interface Tab {
  word: Word;
  make(): HTMLElement;
}

export class Tabs {
  readonly element: HTMLElement;
  private list = h("div", { role: "tablist" });
  private body = h("div", { role: "tabpanel", id: "panel", tabindex: 0 });
  private at = 0;

  constructor(private tabs: Tab[]) {
    this.element = h("aside", { class: "panel" }, this.list, this.body);
    this.list.addEventListener("keydown", (e) => this.key(e));
    this.update();
  }

  choose(i: number): void {
    this.at = i;
    this.update();
  }

  update(): void {
    const focused = document.activeElement;
    const kept = this.list.contains(focused);
    const within = this.body.contains(focused) && focused;
    clear(this.list, ...this.tabs.map(({ word }, i) => {
      const made = h("button", {
        type: "button", role: "tab", id: `tab-${word}`, "aria-selected": String(i === this.at),
        "aria-controls": "panel", tabindex: i === this.at ? 0 : -1,
      }, t(word));
      made.addEventListener("click", () => this.choose(i));
      return made;
    }));
    const tab = this.tabs[this.at]!;
    this.body.setAttribute("aria-labelledby", `tab-${tab.word}`);
    clear(this.body, tab.make());
    this.body.scrollTop = 0;
    if (within) this.refocus(within);
    if (kept) (this.list.children[this.at] as HTMLElement).focus();
  }

  /** What had the focus was made anew: its successor gets it, or the panel. */
  private refocus(before: Element): void {
    const after = before.matches(".open") && this.body.querySelector<HTMLElement>(".open");
    (after || this.body).focus();
  }

  private key(e: KeyboardEvent): void {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
    if (!step) return;
    e.preventDefault();
    e.stopPropagation();
    this.choose((this.at + step + this.tabs.length) % this.tabs.length);
  }
}
