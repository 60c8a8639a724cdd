/** The nearest known place, worked out here from the places of the base map. */

import { shallowRef } from 'vue'
import { locale } from '@/l10n'
import { compass, distance } from '@/ui/format'
import { bearingDeg, distanceM } from './datum'

export interface Place {
  name: string
  name_en: string
  lat: number
  lon: number
  rank: number
  city: string | null
}

const RETRY_MS = 10_000

const places = shallowRef<Place[]>([])
let reading: Promise<Place[]> | undefined

/** Read once, however often it takes: without them every place on the page is two numbers. */
export function loadPlaces(): Promise<Place[]> {
  reading ??= readPlaces()
  return reading
}

async function readPlaces(): Promise<Place[]> {
  for (;;) {
    try {
      const response = await fetch('/basemap/places.json')
      if (response.ok) return (places.value = (await response.json()) as Place[])
    } catch {
      // tried again below
    }
    await new Promise((next) => setTimeout(next, RETRY_MS))
  }
}

/** `大连市金州区 北 4.1 km`; the bare coordinates when no place is known within 300 km. */
export function placeName(latitudeDeg: number, longitudeDeg: number): string {
  let best: Place | undefined
  let bestScore = Infinity
  const shrink = Math.cos((latitudeDeg * Math.PI) / 180)
  for (const place of places.value) {
    const dLat = place.lat - latitudeDeg
    const dLon = (place.lon - longitudeDeg) * shrink
    const score = dLat * dLat + dLon * dLon
    if (score < bestScore) {
      bestScore = score
      best = place
    }
  }
  const m = best ? distanceM(best.lat, best.lon, latitudeDeg, longitudeDeg) : Infinity
  if (!best || m > 300_000) return `${latitudeDeg.toFixed(5)}, ${longitudeDeg.toFixed(5)}`
  const isChinese = locale.value === 'zh'
  const prefix = isChinese && best.city && !best.name.startsWith(best.city.slice(0, -1)) ? best.city : ''
  const name = isChinese ? prefix + best.name : best.name_en
  if (m < 300) return name
  return `${name} ${compass(bearingDeg(best.lat, best.lon, latitudeDeg, longitudeDeg))} ${distance(m)}`
}

/** Where the map first looks, found by name in the search field. */
export function findPlaces(text: string, most = 5): Place[] {
  const wanted = text.trim().toLowerCase()
  if (!wanted) return []
  return places.value
    .filter((place) => place.name.includes(wanted) || place.name_en.toLowerCase().startsWith(wanted))
    .sort((a, b) => a.rank - b.rank)
    .slice(0, most)
}
