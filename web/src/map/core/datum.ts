/** What the map on the screen is drawn in. WGS-84, unless the configured tiles say GCJ-02. */

import type { Position } from 'geojson'
import { fromGcj02, toGcj02, type Datum } from './gcj02'

let datum: Datum = 'wgs84'

export function setDatum(next: Datum): void {
  datum = next
}

/** Our degrees to the map's [longitude, latitude]. */
export function onMap(latitudeDeg: number, longitudeDeg: number): [number, number] {
  if (datum === 'wgs84') return [longitudeDeg, latitudeDeg]
  const [lat, lon] = toGcj02(latitudeDeg, longitudeDeg)
  return [lon, lat]
}

/** A place on the map to our [latitude, longitude]. */
export function fromMap(lngLat: { lng: number; lat: number }): [number, number] {
  return datum === 'wgs84' ? [lngLat.lat, lngLat.lng] : fromGcj02(lngLat.lat, lngLat.lng)
}

const EARTH_RADIUS_M = 6371008.8

/** A circle as a ring of 72 corners on the map, closed. */
export function circleRing(center: [number, number], radiusM: number): Position[] {
  const [lat, lon] = center
  const ring: Position[] = []
  const dLat = ((radiusM / EARTH_RADIUS_M) * 180) / Math.PI
  const dLon = dLat / Math.cos((lat * Math.PI) / 180)
  for (let i = 0; i <= 72; i++) {
    const a = (i / 72) * 2 * Math.PI
    ring.push(onMap(lat + dLat * Math.cos(a), lon + dLon * Math.sin(a)))
  }
  return ring
}

export function distanceM(lat1: number, lon1: number, lat2: number, lon2: number): number {
  const rad = Math.PI / 180
  const a =
    Math.sin(((lat2 - lat1) * rad) / 2) ** 2 +
    Math.cos(lat1 * rad) * Math.cos(lat2 * rad) * Math.sin(((lon2 - lon1) * rad) / 2) ** 2
  return 2 * EARTH_RADIUS_M * Math.asin(Math.min(1, Math.sqrt(a)))
}

export function bearingDeg(lat1: number, lon1: number, lat2: number, lon2: number): number {
  const rad = Math.PI / 180
  const y = Math.sin((lon2 - lon1) * rad) * Math.cos(lat2 * rad)
  const x =
    Math.cos(lat1 * rad) * Math.sin(lat2 * rad) - Math.sin(lat1 * rad) * Math.cos(lat2 * rad) * Math.cos((lon2 - lon1) * rad)
  return (Math.atan2(y, x) / rad + 360) % 360
}
