// Every word of the page itself, in both languages. Texts about the graph come with the snapshot.

import type { Text } from "./snapshot";

export type Language = "en" | "zh";

const WORDS = {
  circuit: ["Circuit", "计算图"],
  details: ["Details", "详情"],
  gate: ["Gate", "门"],
  derivation: ["Derivation", "推导"],
  source: ["Source", "源码"],
  keys: ["Keys", "按键"],
  search: ["Search gates, modules, lines", "搜索门、模块、代码行"],
  noResults: ["Nothing found", "没有找到"],
  results: ["results", "个结果"],
  theme: ["Light or dark", "明暗切换"],
  language: ["中文", "English"],
  fit: ["Fit", "适应窗口"],
  zoomIn: ["Zoom in", "放大"],
  zoomOut: ["Zoom out", "缩小"],
  turn: ["Turn the circuit", "旋转计算图"],
  open: ["Open", "展开"],
  close: ["Close", "收起"],
  first: ["To the start", "回到开始"],
  back: ["One step back", "后退一步"],
  next: ["One step on", "前进一步"],
  last: ["To the end", "到结尾"],
  play: ["Play", "播放"],
  pause: ["Pause", "暂停"],
  step: ["Step", "步"],
  steps: ["Steps", "步骤"],
  forward: ["forward", "前向"],
  backward: ["backward", "反向"],
  value: ["value", "值"],
  gradient: ["gradient", "梯度"],
  upstream: ["upstream", "上游"],
  local: ["local", "局部"],
  downstream: ["downstream", "下游"],
  norm: ["norm", "范数"],
  min: ["min", "最小"],
  max: ["max", "最大"],
  mean: ["mean", "均值"],
  zeros: ["zeros", "零的比例"],
  bad: ["NaN or infinite", "NaN 或无穷"],
  shape: ["shape", "形状"],
  dtype: ["dtype", "类型"],
  chosen: ["chosen elements", "选定的元素"],
  inputs: ["Inputs", "输入"],
  outputs: ["Outputs", "输出"],
  params: ["Settings", "参数设置"],
  madeBy: ["Made by", "产生者"],
  readBy: ["Read by", "读取者"],
  contributions: ["Copies add up", "各份相加"],
  noGradient: ["no gradient flows here", "此处没有梯度"],
  parameters: ["parameters", "个参数"],
  gates: ["Gates", "门"],
  run: ["Gates", "门"],
  line: ["Your line", "你的代码行"],
  module: ["Module", "模块"],
  pattern: ["Pattern", "模式"],
  checked: ["checked, error", "已核对，误差"],
  wire: ["wire", "连线"],
  histogram: ["histogram", "直方图"],
  picture: ["picture", "图像"],
  from: ["from", "从"],
  to: ["to", "到"],
  pick: [
    "Choose a gate or a wire, or press → to walk through the computation.",
    "选择一个门或一条连线，或按 → 逐步走过整个计算。",
  ],
  before: ["Nothing is computed yet: only the inputs are known.", "尚未计算：只知道输入。"],
  whole: [
    "Values above each wire, gradients below. Press → to walk through.",
    "每条连线上方是值，下方是梯度。按 → 逐步查看。",
  ],
  kindInput: ["input", "输入"],
  kindParameter: ["parameter", "参数"],
  kindConstant: ["constant", "常量"],
  kindValue: ["value", "中间值"],
  noLayout: ["This could not be laid out:", "无法排布："],
  toPanel: ["Skip to the details", "跳到详情"],
  localJacobian: ["whole Jacobian", "整个雅可比矩阵"],
  symbolsLine: ["with symbols", "符号"],
  numbersLine: ["with numbers", "数值"],
  patternDistributes: ["distributes", "分发"],
  patternSwaps: ["swaps", "互换"],
  patternRoutes: ["routes", "路由"],
  patternScales: ["scales", "缩放"],
  patternBlocks: ["blocks", "阻断"],
  patternMoves: ["moves", "搬移"],
  "patternAdds up": ["adds up", "相加"],
} as const satisfies Record<string, readonly [string, string]>;

export type Word = keyof typeof WORDS;

let language: Language = "en";

export function speak(chosen: Language): void {
  language = chosen;
}

export function spoken(): Language {
  return language;
}

export function t(word: Word): string {
  return WORDS[word][language === "en" ? 0 : 1];
}

/** A word where the table has it, the text itself where not. */
export function maybe(prefix: string, text: string): string {
  const word = prefix + text.charAt(0).toUpperCase() + text.slice(1);
  return word in WORDS ? t(word as Word) : text;
}

export function say(text: Text): string {
  return text[language] || text.en;
}

const spokenIn = (en: string, zh: string) => (language === "en" ? en : zh);

export const sentences = {
  start: (name: string) => spokenIn(
    `The walk back starts at ${name}: its gradient by itself is 1.`,
    `反向传播从 ${name} 开始：它对自身的梯度为 1。`),
  groupForward: (name: string, gates: number) => spokenIn(
    `${name} runs its ${gates} gates forward.`, `${name} 前向运行其 ${gates} 个门。`),
  groupBackward: (name: string) => spokenIn(
    `${name} hands gradients back to what it read.`, `${name} 把梯度传回它读取的各个值。`),
  stepOf: (at: number, all: number) => spokenIn(
    `step ${at} of ${all}`, `第 ${at} 步，共 ${all} 步`),
  runTitle: (first: number, last: number) => spokenIn(
    `Gates ${first} to ${last}`, `第 ${first} 至 ${last} 个门`),
  gates: (n: string) => spokenIn(`${n} ${n === "1" ? "gate" : "gates"}`, `${n} 个门`),
  found: (n: number) => spokenIn(
    `${n} ${n === 1 ? "gate" : "gates"} found`, `找到 ${n} 个`),
};
