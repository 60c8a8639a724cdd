/** A track in columns, with what can be read from it: gaps, stops, distance, the place at any moment. */

import type { TrackPosition } from '@/client'
import { distanceM } from '@/map/core/datum'
import { age, clock } from '@/ui/format'

/** Longer silence than this is drawn as a gap, not as a drive. */
const GAP_MS = 5 * 60_000
const STANDING_KMH = 3
const STOP_MS = 2 * 60_000

export interface Stop {
  index: number
  fromMs: number
  toMs: number
  label: string
}

export interface Track {
  length: number
  timeMs: Float64Array
  latitudeDeg: Float64Array
  longitudeDeg: Float64Array
  speedKmh: Float32Array
  headingDeg: Float32Array
  isLate: Uint8Array
  isGapBefore: Uint8Array
  stops: Stop[]
  distanceKm: number
  maxSpeedKmh: number
  lateCount: number
}

/** Positions in any order become a track in the order of their own time. Fixes without satellites are left out. */
export function makeTrack(items: readonly TrackPosition[]): Track {
  const HAS_FIX = 2
  const rows = items
    .filter((p) => p.status_flags & HAS_FIX)
    .map((p) => ({ p, ms: Date.parse(p.time) }))
    .sort((a, b) => a.ms - b.ms)
  const n = rows.length
  const track: Track = {
    length: n,
    timeMs: new Float64Array(n),
    latitudeDeg: new Float64Array(n),
    longitudeDeg: new Float64Array(n),
    speedKmh: new Float32Array(n),
    headingDeg: new Float32Array(n),
    isLate: new Uint8Array(n),
    isGapBefore: new Uint8Array(n),
    stops: [],
    distanceKm: 0,
    maxSpeedKmh: 0,
    lateCount: 0,
  }
  for (const [i, { p, ms }] of rows.entries()) {
    track.timeMs[i] = ms
    track.latitudeDeg[i] = p.latitude_deg
    track.longitudeDeg[i] = p.longitude_deg
    track.speedKmh[i] = p.speed_kmh
    track.headingDeg[i] = p.heading_deg
    track.isLate[i] = p.late ? 1 : 0
    track.lateCount += p.late ? 1 : 0
    track.maxSpeedKmh = Math.max(track.maxSpeedKmh, p.speed_kmh)
    if (i === 0) continue
    if (ms - track.timeMs[i - 1]! > GAP_MS) track.isGapBefore[i] = 1
    const [lat, lon] = [track.latitudeDeg[i - 1]!, track.longitudeDeg[i - 1]!]
    track.distanceKm += distanceM(lat, lon, p.latitude_deg, p.longitude_deg) / 1000
  }
  track.stops = findStops(track)
  return track
}

function findStops(track: Track): Stop[] {
  const stops: Stop[] = []
  let begin = -1
  for (let i = 0; i <= track.length; i++) {
    const isStanding = i < track.length && track.speedKmh[i]! < STANDING_KMH
    if (isStanding && begin < 0) begin = i
    if (isStanding || begin < 0) continue
    // The stop lasts until the first fix that moves.
    const toMs = track.timeMs[Math.min(i, track.length - 1)]!
    const fromMs = track.timeMs[begin]!
    if (toMs - fromMs >= STOP_MS) stops.push({ index: begin, fromMs, toMs, label: `${clock(fromMs).slice(0, 5)} ${age(toMs - fromMs)}` })
    begin = -1
  }
  return stops
}

/** Index of the last fix at or before `ms`; 0 when all are later. */
export function indexAt(track: Track, ms: number): number {
  let low = 0
  let high = track.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (track.timeMs[middle]! <= ms) low = middle
    else high = middle - 1
  }
  return low
}

export interface Moment {
  index: number
  latitudeDeg: number
  longitudeDeg: number
  speedKmh: number
  headingDeg: number
  isInGap: boolean
}

/** Between two fixes the vehicle glides; inside a gap it stays where it was last seen. */
export function momentAt(track: Track, ms: number): Moment {
  const i = indexAt(track, ms)
  const next = Math.min(i + 1, track.length - 1)
  const isInGap = next > i && track.isGapBefore[next] === 1 && ms > track.timeMs[i]!
  const stretch = track.timeMs[next]! - track.timeMs[i]!
  const part = isInGap || stretch <= 0 ? 0 : Math.min(1, Math.max(0, (ms - track.timeMs[i]!) / stretch))
  return {
    index: i,
    latitudeDeg: track.latitudeDeg[i]! + (track.latitudeDeg[next]! - track.latitudeDeg[i]!) * part,
    longitudeDeg: track.longitudeDeg[i]! + (track.longitudeDeg[next]! - track.longitudeDeg[i]!) * part,
    speedKmh: track.speedKmh[i]!,
    headingDeg: track.headingDeg[i]!,
    isInGap,
  }
}
