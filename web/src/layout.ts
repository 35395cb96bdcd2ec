// Places boxes and routes wires: the visible graph to ELK's layered layout and back.

import ElkApi from "elkjs/lib/elk-api.js";
import type { ELK, ElkExtendedEdge, ElkNode } from "elkjs/lib/elk-api.js";
import { boxSize, headerWidth, labelOf } from "./labels";
import type { Label, Measure } from "./labels";
import type { Box, Edge, Visible } from "./visible";

export type Direction = "RIGHT" | "DOWN";
export type Point = { x: number; y: number };
export type Rect = Point & { width: number; height: number };

export interface PlacedEdge {
  edge: Edge;
  points: Point[];
  label: (Label & { x: number; y: number }) | null;
}

export interface Layout {
  size: { width: number; height: number };
  boxes: Map<string, Rect>;
  edges: PlacedEdge[];
}

const OPTIONS = {
  "elk.algorithm": "layered",
  "elk.hierarchyHandling": "INCLUDE_CHILDREN",
  "elk.edgeRouting": "ORTHOGONAL",
  "elk.spacing.nodeNode": "18",
  "elk.spacing.edgeNode": "16",
  "elk.spacing.edgeEdge": "12",
  "elk.spacing.edgeLabel": "4",
  "elk.spacing.labelNode": "6",
  "elk.layered.spacing.nodeNodeBetweenLayers": "12",
  "elk.layered.spacing.edgeNodeBetweenLayers": "9",
  "elk.layered.spacing.edgeEdgeBetweenLayers": "10",
  "elk.json.shapeCoords": "ROOT",
  "elk.json.edgeCoords": "ROOT",
};

// Keeps operands in the order in which they are read; ELK can't do it across open groups.
const ORDERED = { "elk.layered.considerModelOrder.strategy": "NODES_AND_EDGES" };
// The straighter placement takes seconds where many wires are long; the other takes none.
const STRAIGHT = { "elk.layered.nodePlacement.strategy": "NETWORK_SIMPLEX" };
const QUICK = {
  "elk.layered.nodePlacement.strategy": "BRANDES_KOEPF", "elk.layered.thoroughness": "3",
};
const MANY = 60;
const INLINE = { "elk.edgeLabels.inline": "true", "elk.edgeLabels.placement": "CENTER" };

/** The question to ELK; `labels` keeps what is written at each edge. */
export function question(
  view: Visible, direction: Direction, measure: Measure, labels: Map<string, Label>,
): ElkNode {
  const flat = view.root.children.every((box) => box.kind !== "container");
  const common = {
    ...OPTIONS, ...(flat ? ORDERED : {}), ...(view.edges.length > MANY ? QUICK : STRAIGHT),
    "elk.direction": direction,
  };
  const node = (box: Box): ElkNode => {
    if (box.kind !== "container") return { id: box.id, ...boxSize(box, measure) };
    const layoutOptions: Record<string, string> = { ...common };
    if (box.item?.kind !== "root") {
      layoutOptions["elk.padding"] = "[top=44,left=18,bottom=18,right=18]";
      layoutOptions["elk.nodeSize.constraints"] = "MINIMUM_SIZE";
      layoutOptions["elk.nodeSize.minimum"] = `(${headerWidth(box.item!, measure)},60)`;
    }
    return { id: box.id, layoutOptions, children: box.children.map(node) };
  };
  const edges: ElkExtendedEdge[] = view.edges.map((edge) => {
    const label = labelOf(edge, measure);
    if (label) labels.set(edge.id, label);
    const { width, height } = label ?? { width: 0, height: 0 };
    return {
      id: edge.id, sources: [edge.from.id], targets: [edge.to.id],
      labels: label ? [{ text: " ", width, height, layoutOptions: INLINE }] : [],
    };
  });
  return { ...node(view.root), edges };
}

export function answer(placed: ElkNode, view: Visible, labels: Map<string, Label>): Layout {
  const boxes = new Map<string, Rect>();
  const walk = (node: ElkNode): void => {
    const { x = 0, y = 0, width = 0, height = 0 } = node;
    boxes.set(node.id, { x, y, width, height });
    for (const child of node.children ?? []) walk(child);
  };
  walk(placed);
  const routed = new Map((placed.edges ?? []).map((edge) => [edge.id, edge]));
  const edges = view.edges.map((edge): PlacedEdge => {
    const route = routed.get(edge.id);
    const points = (route?.sections ?? []).flatMap(
      (part) => [part.startPoint, ...(part.bendPoints ?? []), part.endPoint]);
    const at = route?.labels?.[0];
    const label = labels.get(edge.id);
    return {
      edge, points,
      label: label && at ? { ...label, x: at.x ?? 0, y: at.y ?? 0 } : null,
    };
  });
  const { width = 0, height = 0 } = placed;
  return { size: { width, height }, boxes, edges };
}

/** Asks the layout engine, in a worker where the page may have one. */
export class Placer {
  private elk: Promise<ELK> | null = null;

  constructor(private engine: Promise<string>) {}

  async place(view: Visible, direction: Direction, measure: Measure): Promise<Layout> {
    this.elk ??= this.start();
    const labels = new Map<string, Label>();
    const asked = question(view, direction, measure, labels);
    return answer(await (await this.elk).layout(asked), view, labels);
  }

  private async start(): Promise<ELK> {
    const engine = await this.engine;
    try {
      return await withWorker(engine);
    } catch {
      return inThisThread(engine);
    }
  }
}

const ALGORITHMS = { algorithms: ["layered"] };

async function withWorker(engine: string): Promise<ELK> {
  const url = URL.createObjectURL(new Blob([engine], { type: "text/javascript" }));
  const worker = new Worker(url);
  await new Promise<void>((resolve, reject) => {
    worker.addEventListener("error", () => reject(new Error("no worker")), { once: true });
    worker.addEventListener("message", () => resolve(), { once: true });
    worker.postMessage({ id: -1, cmd: "algorithms" });
  });
  return new ElkApi({ ...ALGORITHMS, workerFactory: () => worker });
}

// A script with the engine's own text: the page's policy names its hash.
function inThisThread(engine: string): ELK {
  const script = document.createElement("script");
  script.textContent = engine;
  const host = window as unknown as Record<string, any>;
  host.exports = {};
  host.module = { exports: host.exports };
  document.head.append(script);
  const Fake = host.module.exports.default as (new () => Worker) | undefined;
  delete host.module;
  delete host.exports;
  if (!Fake) throw new Error("the layout engine did not start");
  return new ElkApi({ ...ALGORITHMS, workerFactory: () => new Fake() });
}
