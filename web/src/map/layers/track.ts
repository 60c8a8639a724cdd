/** A past drive: its line coloured by speed, its gaps, stops and alarms, and the vehicle at the moment of the playback. */

import type { Feature, LineString, Point } from 'geojson'
import { LngLatBounds, type GeoJSONSource, type Map as MapLibre } from 'maplibre-gl'
import type { Alarm } from '@/client'
import type { Track } from '@/seat/track'
import { t } from '@/l10n'
import { token } from '@/ui/theme'
import { onMap } from '../core/datum'

/** Upper ends of the classes, km/h, and their colours: cold is slow, hot is fast. The same in both themes. */
export const SPEED_CLASSES: readonly [upToKmh: number, color: string][] = [
  [20, '#4f8df5'],
  [60, '#2fb67c'],
  [80, '#d9a514'],
  [100, '#ee7a28'],
  [Infinity, '#e5484d'],
]

const LINE = 'track-line'
const MARKS = 'track-marks'
const NOW = 'track-now'
const LAYERS = ['track-gap', 'track-casing', 'track-line', 'track-stop', 'track-alarm', 'track-end', 'track-now-halo', 'track-now']

export function speedClass(speedKmh: number): number {
  return SPEED_CLASSES.findIndex(([upTo]) => speedKmh < upTo)
}

function lines(track: Track): Feature<LineString>[] {
  const out: Feature<LineString>[] = []
  let run: [number, number][] = []
  let runClass = -1
  const flush = () => {
    if (run.length > 1) {
      out.push({ type: 'Feature', properties: { color: SPEED_CLASSES[runClass]![1], gap: false }, geometry: { type: 'LineString', coordinates: run } })
    }
  }
  for (let i = 1; i < track.length; i++) {
    const from = onMap(track.latitudeDeg[i - 1]!, track.longitudeDeg[i - 1]!)
    const to = onMap(track.latitudeDeg[i]!, track.longitudeDeg[i]!)
    if (track.isGapBefore[i]) {
      flush()
      run = []
      runClass = -1
      out.push({ type: 'Feature', properties: { gap: true }, geometry: { type: 'LineString', coordinates: [from, to] } })
      continue
    }
    const cls = speedClass(track.speedKmh[i]!)
    if (cls !== runClass) {
      flush()
      run = [from]
      runClass = cls
    }
    run.push(to)
  }
  flush()
  return out
}

export class TrackLayer {
  private isShown = false

  constructor(private readonly map: MapLibre) {}

  show(track: Track, alarms: readonly Alarm[]): void {
    this.clear()
    if (!track.length) return
    this.isShown = true
    const { map } = this
    map.addSource(LINE, { type: 'geojson', data: { type: 'FeatureCollection', features: lines(track) } })
    map.addSource(MARKS, { type: 'geojson', data: { type: 'FeatureCollection', features: this.marks(track, alarms) } })
    map.addSource(NOW, { type: 'geojson', data: { type: 'FeatureCollection', features: [] } })
    const round = { 'line-cap': 'round', 'line-join': 'round' } as const
    map.addLayer({
      id: 'track-gap', type: 'line', source: LINE, filter: ['get', 'gap'],
      paint: { 'line-color': token('dim'), 'line-width': 2, 'line-dasharray': [2, 2] },
    }) // prettier-ignore
    map.addLayer({
      id: 'track-casing', type: 'line', source: LINE, filter: ['!', ['get', 'gap']], layout: round,
      paint: { 'line-color': token('ground'), 'line-width': 7 },
    }) // prettier-ignore
    map.addLayer({
      id: 'track-line', type: 'line', source: LINE, filter: ['!', ['get', 'gap']], layout: round,
      paint: { 'line-color': ['get', 'color'], 'line-width': 4 },
    }) // prettier-ignore
    map.addLayer({
      id: 'track-stop', type: 'symbol', source: MARKS, filter: ['==', ['get', 'kind'], 'stop'],
      layout: { 'text-field': ['concat', '■ ', ['get', 'label']], 'text-size': 11.5, 'text-anchor': 'left', 'text-allow-overlap': false },
      paint: { 'text-color': token('rest'), 'text-halo-color': token('ground'), 'text-halo-width': 1.6 },
    }) // prettier-ignore
    map.addLayer({
      id: 'track-alarm', type: 'circle', source: MARKS, filter: ['==', ['get', 'kind'], 'alarm'],
      paint: { 'circle-radius': 6, 'circle-color': ['get', 'color'], 'circle-stroke-color': token('ground'), 'circle-stroke-width': 2 },
    }) // prettier-ignore
    map.addLayer({
      id: 'track-end', type: 'symbol', source: MARKS, filter: ['==', ['get', 'kind'], 'end'],
      layout: { 'text-field': ['get', 'label'], 'text-size': 12, 'text-offset': [0, -1.9], 'text-allow-overlap': true },
      paint: { 'text-color': token('text'), 'text-halo-color': token('ground'), 'text-halo-width': 2 },
    }) // prettier-ignore
    map.addLayer({
      id: 'track-now-halo', type: 'circle', source: NOW,
      paint: { 'circle-radius': 16, 'circle-color': token('accent'), 'circle-opacity': 0.25, 'circle-stroke-color': token('accent'), 'circle-stroke-width': 2 },
    }) // prettier-ignore
    map.addLayer({
      id: 'track-now', type: 'symbol', source: NOW,
      layout: {
        'icon-image': ['get', 'image'], 'icon-rotate': ['get', 'turn'], 'icon-rotation-alignment': 'map', 'icon-allow-overlap': true,
        'icon-ignore-placement': true, 'icon-size': 1.15,
      },
    }) // prettier-ignore
  }

  /** Show the whole drive, beside what covers the map at its right and foot. */
  fit(track: Track, covered: { right: number; bottom: number }): void {
    if (!track.length) return
    const bounds = new LngLatBounds()
    for (let i = 0; i < track.length; i++) bounds.extend(onMap(track.latitudeDeg[i]!, track.longitudeDeg[i]!))
    this.map.fitBounds(bounds, { padding: { top: 64, left: 64, right: covered.right + 56, bottom: covered.bottom + 32 }, maxZoom: 15, duration: 400 })
  }

  async move(latitudeDeg: number, longitudeDeg: number, headingDeg: number, isMoving: boolean): Promise<void> {
    if (!this.isShown) return
    const at: Feature<Point> = {
      type: 'Feature',
      properties: { image: isMoving ? 'moving' : 'parked', turn: isMoving ? headingDeg : 0 },
      geometry: { type: 'Point', coordinates: onMap(latitudeDeg, longitudeDeg) },
    }
    await this.map.getSource<GeoJSONSource>(NOW)?.setData(at)
  }

  clear(): void {
    if (!this.isShown) return
    this.isShown = false
    for (const id of LAYERS) if (this.map.getLayer(id)) this.map.removeLayer(id)
    for (const id of [LINE, MARKS, NOW]) if (this.map.getSource(id)) this.map.removeSource(id)
  }

  private marks(track: Track, alarms: readonly Alarm[]): Feature<Point>[] {
    const at = (i: number, properties: Record<string, unknown>): Feature<Point> => ({
      type: 'Feature',
      properties,
      geometry: { type: 'Point', coordinates: onMap(track.latitudeDeg[i]!, track.longitudeDeg[i]!) },
    })
    const stops = track.stops.map((stop) => at(stop.index, { kind: 'stop', label: stop.label }))
    const rung = alarms.flatMap((alarm): Feature<Point>[] => {
      if (alarm.latitude_deg === null || alarm.longitude_deg === null) return []
      const coordinates = onMap(alarm.latitude_deg, alarm.longitude_deg)
      return [{ type: 'Feature', properties: { kind: 'alarm', color: token(`alarm-${alarm.severity}`) }, geometry: { type: 'Point', coordinates } }]
    })
    const last = track.length - 1
    return [...stops, ...rung, at(0, { kind: 'end', label: t('track.begin') }), at(last, { kind: 'end', label: t('track.end') })]
  }
}
