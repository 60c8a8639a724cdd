// Cuts the console's base map. README.md beside this file says from what, into what, and how to run it.
//   node build.mjs --geonames <folder with cities500.json and countries.json> [--python <interpreter>]
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { feature, merge } from "topojson-client";
import { topology } from "topojson-server";
import { presimplify, simplify } from "topojson-simplify";

import { readEchartsMap } from "./echarts-map.mjs";
import { asGeometry, polygonsOf, snapper, snapPolygons, subtract, union, withoutSpecks } from "./geometry.mjs";
import { places } from "./places.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const PROJECT = join(HERE, "../..");
const OUT = join(HERE, "../public/basemap");
const MAPS = join(HERE, "node_modules/echarts/map/json");

// Natural Earth's China, Taiwan, Hong Kong and Macao: drawn from the province outlines instead.
const CHINA_IDS = new Set(["156", "158", "344", "446"]);

const LIAONING_ENGLISH = {
  沈阳市: "Shenyang", 大连市: "Dalian", 鞍山市: "Anshan", 抚顺市: "Fushun", 本溪市: "Benxi", 丹东市: "Dandong",
  锦州市: "Jinzhou", 营口市: "Yingkou", 阜新市: "Fuxin", 辽阳市: "Liaoyang", 盘锦市: "Panjin", 铁岭市: "Tieling",
  朝阳市: "Chaoyang", 葫芦岛市: "Huludao",
}; // prettier-ignore

const PROVINCE_ENGLISH = {
  110000: "Beijing", 120000: "Tianjin", 130000: "Hebei", 140000: "Shanxi", 150000: "Inner Mongolia",
  210000: "Liaoning", 220000: "Jilin", 230000: "Heilongjiang", 310000: "Shanghai", 320000: "Jiangsu",
  330000: "Zhejiang", 340000: "Anhui", 350000: "Fujian", 360000: "Jiangxi", 370000: "Shandong", 410000: "Henan",
  420000: "Hubei", 430000: "Hunan", 440000: "Guangdong", 450000: "Guangxi", 460000: "Hainan", 500000: "Chongqing",
  510000: "Sichuan", 520000: "Guizhou", 530000: "Yunnan", 540000: "Tibet", 610000: "Shaanxi", 620000: "Gansu",
  630000: "Qinghai", 640000: "Ningxia", 650000: "Xinjiang", 710000: "Taiwan", 810000: "Hong Kong", 820000: "Macao",
}; // prettier-ignore

const asFeature = (polygons, properties) => ({ type: "Feature", properties, geometry: asGeometry(polygons) });

/** Liaoning's cities with shared borders, lightly simplified together. */
function cutLiaoning() {
  const snap = snapper(1.5 / 1024); // the outlines are rounded to 1/1024 degree, each side for itself
  const features = readEchartsMap(join(MAPS, "province/liaoning.json")).map((city) => ({
    type: "Feature",
    properties: city.properties,
    geometry: { type: "MultiPolygon", coordinates: snapPolygons(polygonsOf(city.geometry), snap) },
  }));
  const whole = simplify(presimplify(topology({ cities: { type: "FeatureCollection", features } })), 6e-6);
  const cities = feature(whole, whole.objects.cities).features.map((city) => ({
    ...city.properties,
    polygons: withoutSpecks(polygonsOf(city.geometry), 2e-5, 1e-3),
  }));
  const outline = withoutSpecks(merge(whole, whole.objects.cities.geometries).coordinates, 2e-5, 1e-3);
  return { cities, outline };
}

/**
 * The provinces, with Liaoning in its finer outline. What the coarse outline had and the fine one has not goes to the
 * neighbour that shares a corner with it, so that no gap stands open on the land side.
 */
function cutProvinces(liaoning) {
  const provinces = readEchartsMap(join(MAPS, "china.json")).map((province) => ({
    code: String(province.properties.id ?? province.id),
    ...province.properties,
    polygons: withoutSpecks(polygonsOf(province.geometry), 3e-4),
  }));
  const coarse = provinces.find((province) => province.code === "210000");
  const gaps = subtract(coarse.polygons, liaoning);
  coarse.polygons = liaoning;
  for (const province of provinces) {
    if (province === coarse) continue;
    const corners = new Set(province.polygons.flat(2).map(String));
    const mine = gaps.filter((gap) => gap.flat().some((point) => corners.has(String(point))));
    if (mine.length) province.polygons = union(province.polygons, mine);
    province.polygons = subtract(province.polygons, liaoning);
  }
  const hainan = provinces.find((province) => province.code === "460000");
  const sansha = readEchartsMap(join(MAPS, "province/hainan.json")).find((c) => c.properties.name === "三沙市");
  const islands = simplify(presimplify(topology({ sansha: sansha.geometry })), 8e-6);
  hainan.polygons = [...hainan.polygons, ...polygonsOf(feature(islands, islands.objects.sansha).geometry)]; // china.json leaves them out
  return provinces;
}

/** Natural Earth's countries around (and without) China, finer in East Asia than elsewhere. */
function cutWorld(china) {
  const atlas = presimplify(JSON.parse(readFileSync(join(HERE, "node_modules/world-atlas/countries-50m.json"), "utf8")));
  for (const arc of atlas.arcs) {
    for (const point of arc) {
      const isNear = point[0] > 95 && point[0] < 150 && point[1] > 15 && point[1] < 58;
      if (isNear) point[2] *= 10;
    }
  }
  const countries = feature(simplify(atlas, 0.04), atlas.objects.countries).features;
  const land = [];
  const out = [];
  for (const country of countries) {
    if (!country.geometry) continue;
    const polygons = withoutSpecks(polygonsOf(country.geometry), 0.01);
    if (CHINA_IDS.has(country.id)) land.push(...subtract(polygons, china).filter(isInland));
    else if (polygons.length) {
      const rest = withoutSpecks(subtract(polygons, china), 1e-4);
      if (rest.length) out.push(asFeature(rest, { kind: "country", id: country.id ?? null, name: country.properties.name }));
    }
  }
  // Strips between the provinces' outline and the neighbours': filled, without a border of their own.
  out.unshift(asFeature(withoutSpecks(land, 4e-3), { kind: "land", id: null, name: null }));
  return out;
}

/** Is this strip of Natural Earth's China at a land border? At the coast the provinces' outline alone counts. */
function isInland(polygon) {
  const ring = polygon[0];
  const x = ring.reduce((sum, point) => sum + point[0], 0) / ring.length;
  const y = ring.reduce((sum, point) => sum + point[1], 0) / ring.length;
  const isKoreanBorder = x > 124.4 && y > 40.1;
  return x < 107.8 || y > 41.4 || isKoreanBorder;
}

function write(name, value) {
  const path = join(OUT, name);
  writeFileSync(path, JSON.stringify(value) + "\n");
  console.log(`${name.padEnd(16)} ${String(Math.round(statSync(path).size / 1024)).padStart(5)} kB`);
}

const collection = (features) => ({ type: "FeatureCollection", features });

const { values: options } = parseArgs({
  options: { geonames: { type: "string" }, python: { type: "string", default: join(PROJECT, ".venv/bin/python") } },
});
if (!options.geonames) {
  console.error("build.mjs: --geonames <folder of cities500.json> is missing; README.md says where to get it");
  process.exit(2);
}
mkdirSync(OUT, { recursive: true });

const { cities, outline } = cutLiaoning();
const provinces = cutProvinces(outline);
const china = provinces.flatMap((province) => province.polygons);

write("world.json", collection(cutWorld(china)));
write("provinces.json", collection(
  provinces.map(({ code, name, cp, polygons }) =>
    asFeature(polygons, { code, name, name_en: PROVINCE_ENGLISH[code], label: cp }),
  ),
)); // prettier-ignore
write("liaoning.json", collection(
  cities.map(({ name, cp, polygons }) => asFeature(polygons, { name, name_en: LIAONING_ENGLISH[name], label: cp })),
)); // prettier-ignore
write("places.json", places(options.geonames, MAPS, cities, LIAONING_ENGLISH));
const roads = execFileSync(options.python, ["-m", "simulators.roads"], { cwd: PROJECT, encoding: "utf8" });
write("roads.json", JSON.parse(roads));
