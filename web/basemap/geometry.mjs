// Plane geometry in degrees: enough for cutting a base map, not for measuring anything.
import clipping from "polygon-clipping";

/** Every geometry as a list of polygons, each a list of closed rings. */
export const polygonsOf = (geometry) =>
  geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;

export function ringArea(ring) {
  let twice = 0;
  for (let i = 1; i < ring.length; i++) {
    twice += ring[i - 1][0] * ring[i][1] - ring[i][0] * ring[i - 1][1];
  }
  return Math.abs(twice) / 2;
}

export function boundsOf(polygons) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of polygons.flat(2)) {
    box[0] = Math.min(box[0], x);
    box[1] = Math.min(box[1], y);
    box[2] = Math.max(box[2], x);
    box[3] = Math.max(box[3], y);
  }
  return box;
}

const overlap = (a, b) => a[0] <= b[2] && b[0] <= a[2] && a[1] <= b[3] && b[1] <= a[3];

/** Polygons minus other polygons; those whose boxes do not meet are left as they are. */
export function subtract(polygons, others) {
  const box = boundsOf(polygons);
  const near = others.filter((polygon) => overlap(box, boundsOf([polygon])));
  return near.length ? clipping.difference(polygons, ...near.map((p) => [p])) : polygons;
}

export const union = (polygons, others) => clipping.union(polygons, others);

/** Drop rings (islands and holes) below an area in square degrees: slivers where two outlines do not quite meet. */
export function withoutSpecks(polygons, leastIsland, leastHole = leastIsland) {
  return polygons
    .filter(([outer]) => ringArea(outer) >= leastIsland)
    .map(([outer, ...holes]) => [outer, ...holes.filter((hole) => ringArea(hole) >= leastHole)]);
}

/**
 * A function that gives points closer than the radius to an earlier one that earlier point. The two sides of a border
 * come with rounding errors of their own; snapped, they share it.
 */
export function snapper(radius) {
  const cells = new Map();
  const key = (i, k) => i * 1e7 + k;
  return ([x, y]) => {
    const i = Math.floor(x / radius);
    const k = Math.floor(y / radius);
    let nearest = null;
    let least = radius * radius;
    for (let a = i - 1; a <= i + 1; a++) {
      for (let b = k - 1; b <= k + 1; b++) {
        for (const point of cells.get(key(a, b)) ?? []) {
          const distance = (point[0] - x) ** 2 + (point[1] - y) ** 2;
          if (distance <= least) [nearest, least] = [point, distance];
        }
      }
    }
    if (nearest) return nearest;
    const point = [x, y];
    const home = key(i, k);
    if (cells.has(home)) cells.get(home).push(point);
    else cells.set(home, [point]);
    return point;
  };
}

export function snapPolygons(polygons, snap) {
  const snapRing = (ring) => {
    const out = [];
    for (const point of ring) {
      const snapped = snap(point);
      if (out.at(-1) !== snapped) out.push(snapped);
    }
    if (out[0] !== out.at(-1)) out.push(out[0]);
    return out;
  };
  return polygons
    .map((polygon) => polygon.map(snapRing).filter((ring) => ring.length > 3))
    .filter((polygon) => polygon.length);
}

/** Does the point lie in one of the polygons (even-odd rule)? */
export function contains(polygons, [x, y]) {
  let inside = false;
  for (const ring of polygons.flat()) {
    for (let i = 0, k = ring.length - 1; i < ring.length; k = i++) {
      const [xi, yi] = ring[i];
      const [xk, yk] = ring[k];
      if (yi > y !== yk > y && x < ((xk - xi) * (y - yi)) / (yk - yi) + xi) inside = !inside;
    }
  }
  return inside;
}

const round = (value) => Math.round(value * 1e4) / 1e4;

/** A GeoJSON geometry with four decimals (about ten metres), repeated points dropped. */
export function asGeometry(polygons) {
  const coordinates = polygons
    .map((polygon) =>
      polygon
        .map((ring) => {
          const rounded = ring.map(([x, y]) => [round(x), round(y)]);
          return rounded.filter((p, i) => i === 0 || p[0] !== rounded[i - 1][0] || p[1] !== rounded[i - 1][1]);
        })
        .filter((ring) => ring.length > 3),
    )
    .filter((polygon) => polygon.length);
  return coordinates.length === 1
    ? { type: "Polygon", coordinates: coordinates[0] }
    : { type: "MultiPolygon", coordinates };
}
