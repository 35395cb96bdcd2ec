// The panel's other tabs: the derivation, the source, and the keys.

import { h } from "./dom";
import { formula } from "./formula";
import { exact, short } from "./numbers";
import type { Line } from "./snapshot";
import { spoken, t } from "./words";

export function derivationPage(lines: Line[]): HTMLElement {
  const list = h("div", { class: "derivation" });
  for (const line of lines) {
    if (line.kind === "heading") list.append(h("h2", {}, line.text));
    else if (line.kind === "words") list.append(h("p", {}, line.text));
    else list.append(equation(line));
  }
  return list;
}

function equation(line: Line): HTMLElement {
  const made = h("div", { class: `equation ${line.kind}`, title: line.text });
  made.append(formula(line.tex, true));
  if (line.error !== null) {
    made.append(h("p", { class: line.ok ? "check good" : "check wrong" },
      line.ok ? "✓ " : "✗ ", `${t("checked")} `,
      h("span", { class: "number", title: exact(line.error), "data-value": exact(line.error),
        "data-role": "error" }, short(line.error))));
  }
  return made;
}

export function sourcePage(source: string): HTMLElement {
  const list = h("ol", { class: "source" });
  for (const line of source.replace(/\n$/, "").split("\n")) {
    const cut = line.search(/(^|\s)#/);
    const code = cut < 0 ? line : line.slice(0, cut);
    list.append(h("li", {}, cut === 0 ? null : h("code", {}, code || " "),
      cut < 0 ? null : h("code", { class: "remark" }, line.slice(cut))));
  }
  return list;
}

const KEYS: [string, string, string][] = [
  ["→  ←", "one gate on, one gate back", "前进一个门、后退一个门"],
  ["Space", "play, pause", "播放、暂停"],
  ["Home  End", "to the start, to the end", "到开始、到结尾"],
  ["Enter  +  −", "open or close what is chosen", "展开或收起所选"],
  ["Tab", "through the gates as they are computed", "按计算顺序逐个聚焦"],
  ["/", "search", "搜索"],
  ["f", "fit the circuit to the window", "使计算图适应窗口"],
  ["z  Shift+z", "zoom in, zoom out", "放大、缩小"],
  ["Shift+arrows", "move the circuit", "移动计算图"],
  ["Esc", "leave the walk, choose nothing", "结束逐步查看，取消选择"],
];

export function keysPage(): HTMLElement {
  const list = h("dl", { class: "keys" });
  for (const [keys, en, zh] of KEYS) {
    const caps = keys.split(/ {2}/).map((key) => h("kbd", {}, key));
    list.append(h("dt", {}, ...caps), h("dd", {}, spoken() === "en" ? en : zh));
  }
  return list;
}
