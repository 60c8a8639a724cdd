/**
 * WGS-84 to GCJ-02 (the offset datum of Chinese web tiles), for display over a tile source that is configured as such.
 * Everything stored and sent stays WGS-84.
 */

export type Datum = 'wgs84' | 'gcj02'

const SEMI_MAJOR_M = 6378245
const ECCENTRICITY_SQUARED = 0.00669342162296594323

function isOutsideChina(lat: number, lon: number): boolean {
  return lon < 72.004 || lon > 137.8347 || lat < 0.8293 || lat > 55.8271
}

function offset(lat: number, lon: number): [number, number] {
  const x = lon - 105
  const y = lat - 35
  const wave = ((20 * Math.sin(6 * x * Math.PI) + 20 * Math.sin(2 * x * Math.PI)) * 2) / 3
  let dLat = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * Math.sqrt(Math.abs(x)) + wave
  dLat += ((20 * Math.sin(y * Math.PI) + 40 * Math.sin((y / 3) * Math.PI)) * 2) / 3
  dLat += ((160 * Math.sin((y / 12) * Math.PI) + 320 * Math.sin((y * Math.PI) / 30)) * 2) / 3
  let dLon = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * Math.sqrt(Math.abs(x)) + wave
  dLon += ((20 * Math.sin(x * Math.PI) + 40 * Math.sin((x / 3) * Math.PI)) * 2) / 3
  dLon += ((150 * Math.sin((x / 12) * Math.PI) + 300 * Math.sin((x / 30) * Math.PI)) * 2) / 3
  const phi = (lat * Math.PI) / 180
  const magic = 1 - ECCENTRICITY_SQUARED * Math.sin(phi) ** 2
  const meridian = (SEMI_MAJOR_M * (1 - ECCENTRICITY_SQUARED)) / magic ** 1.5
  const parallel = (SEMI_MAJOR_M / Math.sqrt(magic)) * Math.cos(phi)
  return [(dLat * 180) / (meridian * Math.PI), (dLon * 180) / (parallel * Math.PI)]
}

export function toGcj02(lat: number, lon: number): [lat: number, lon: number] {
  if (isOutsideChina(lat, lon)) return [lat, lon]
  const [dLat, dLon] = offset(lat, lon)
  return [lat + dLat, lon + dLon]
}

/** The inverse, by iteration; off by less than a millimetre. */
export function fromGcj02(lat: number, lon: number): [lat: number, lon: number] {
  let [a, b] = [lat, lon]
  for (let i = 0; i < 4; i++) {
    const [x, y] = toGcj02(a, b)
    a += lat - x
    b += lon - y
  }
  return [a, b]
}
