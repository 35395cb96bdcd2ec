// The shape of a snapshot (docs/design/snapshot.md), and the only place that reads its text.

export type Num = number | "nan" | "inf" | "-inf";
export type Text = { en: string; zh: string };

export interface Snapshot {
  format: string;
  version: number;
  title: string;
  circuit: Circuit;
  loss: string;
  derivation?: { en: Line[]; zh: Line[] };
  source?: string;
}

export interface Circuit {
  wires: Wire[];
  gates: Gate[];
  groups: Group[];
}

export interface Wire {
  id: string;
  name: string;
  tex: string;
  kind: "input" | "parameter" | "constant" | "value";
  shape: number[];
  dtype: string;
  maker: string | null;
  output: number;
  value: Numbers;
  grad: Numbers | null;
}

export interface Numbers {
  scalar?: Num;
  norm?: Num;
  min?: Num;
  max?: Num;
  mean?: Num;
  zeros?: number;
  bad?: number;
  histogram?: { low: number; high: number; counts: number[] };
  image?: { src: string; width: number; height: number; what: string };
  elements?: { index: number[]; value: Num }[];
}

export interface Gate {
  id: string;
  op: string;
  symbol: string;
  tex: string;
  inputs: (string | null)[];
  outputs: (string | null)[];
  params: Record<string, string>;
  group: string | null;
  module: string;
  scope: string;
  line: string;
  code: string;
  backward: Backward[];
  upstream: (Numbers | null)[];
  pattern: string | null;
  forward_text: Text;
  backward_text: Text;
  inside: Circuit | null;
}

export interface Backward {
  input: number;
  upstream: Numbers;
  downstream: Numbers;
  local: Numbers | null;
  local_tex: string;
  factored: boolean;
}

export interface Group {
  id: string;
  title: string;
  kind: "module" | "operator";
  path: string;
  parent: string | null;
  gates: string[];
  tex: string;
  parameters: number;
  open: boolean;
}

export interface Line {
  tex: string;
  text: string;
  kind: "heading" | "words" | "symbols" | "numbers";
  error: Num | null; // of the equation, where the line is one
  ok: boolean;
}

export const FORMAT = "backlit.snapshot";
export const VERSION = 1;

/** Parse a snapshot; another format or a newer version is refused. */
export function read(text: string): Snapshot {
  const found = JSON.parse(text) as Snapshot;
  if (found.format !== FORMAT) throw new Error(`not a Backlit snapshot: ${String(found.format)}`);
  if (!(found.version <= VERSION)) {
    throw new Error(`snapshot version ${found.version}: this page reads up to ${VERSION}`);
  }
  return found;
}
