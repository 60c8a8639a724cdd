// Reads the map files of the echarts package: GeoJSON whose coordinates are packed into strings.
import { readFileSync } from "node:fs";

/** ZigZag deltas, offset by 64 in the character code, in 1/UTF8Scale degree (1024 where the file says nothing). */
function unpackRing(packed, [x, y], scale) {
  const ring = [];
  for (let i = 0; i < packed.length; i += 2) {
    const dx = packed.charCodeAt(i) - 64;
    const dy = packed.charCodeAt(i + 1) - 64;
    x += (dx >> 1) ^ -(dx & 1);
    y += (dy >> 1) ^ -(dy & 1);
    ring.push([x / scale, y / scale]);
  }
  return ring;
}

/** @returns the file's features, with plain coordinates */
export function readEchartsMap(path) {
  const map = JSON.parse(readFileSync(path, "utf8"));
  if (!map.UTF8Encoding) return map.features;
  const scale = map.UTF8Scale ?? 1024;
  for (const { geometry } of map.features) {
    const { coordinates, encodeOffsets } = geometry;
    geometry.coordinates = coordinates.map((part, i) =>
      geometry.type === "Polygon"
        ? unpackRing(part, encodeOffsets[i], scale)
        : part.map((ring, k) => unpackRing(ring, encodeOffsets[i][k], scale)),
    );
    delete geometry.encodeOffsets;
  }
  return map.features;
}
