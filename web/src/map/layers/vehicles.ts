/**
 * All vehicles. Two sources: the calm ones, which gather into clusters where they would cover each other, and the pinned
 * ones, which never hide: selected, watched, or with a serious open alarm.
 */

import type { Feature, Point } from 'geojson'
import type { GeoJSONSource, LayerSpecification, Map as MapLibre, MapMouseEvent } from 'maplibre-gl'
import { positions, STATE_KEYS, vehicles, VehicleState } from '@/live'
import { stamped } from '@/ui/plates'
import { token } from '@/ui/theme'
import { onMap } from '../core/datum'
import { repaintLayer } from '../core/paint'

const CALM = 'vehicles'
const PINNED = 'vehicles-pinned'
const PICKABLE = ['vehicles-symbol', 'vehicles-pinned-symbol']
const LAYER_IDS = [
  'vehicles-cluster', 'vehicles-cluster-count', 'vehicles-ring', 'vehicles-symbol', 'vehicles-label', 'vehicles-pinned-halo',
  'vehicles-pinned-ring', 'vehicles-pinned-symbol', 'vehicles-pinned-label', 'vehicles-named-label',
] // prettier-ignore

/** Severities up to this one are never hidden in a cluster. */
const SERIOUS = 2
const HOUR_MS = 3600_000
const EMPTY = { type: 'FeatureCollection' as const, features: [] }

export interface VehicleLayerState {
  selectedId: number | null
  watched: ReadonlySet<number>
  /** null: all of them. */
  shownStates: ReadonlySet<VehicleState> | null
  /** Only the selected one, while its past is on the map. */
  isAlone: boolean
}

export class VehicleLayer {
  constructor(
    private readonly map: MapLibre,
    private readonly pick: (vehicleId: number | null) => void,
  ) {
    map.addSource(CALM, {
      type: 'geojson',
      data: EMPTY,
      cluster: true,
      clusterRadius: 26,
      clusterMinPoints: 4,
      clusterMaxZoom: 11,
      clusterProperties: { worst: ['min', ['get', 'rank']] },
    })
    map.addSource(PINNED, { type: 'geojson', data: EMPTY })
    for (const layer of this.layers()) map.addLayer(layer)
    map.on('click', this.onClick)
    for (const id of [...PICKABLE, 'vehicles-cluster']) {
      map.on('mouseenter', id, this.onEnter)
      map.on('mouseleave', id, this.onLeave)
    }
  }

  /** Draw them all where they are now. Returns how many there are. */
  async update(state: VehicleLayerState, nowMs: number): Promise<number> {
    const calm: Feature<Point>[] = []
    const pinned: Feature<Point>[] = []
    for (let slot = 0; slot < positions.size; slot++) {
      if (!positions.hasPosition(slot)) continue
      const id = positions.vehicleId[slot]!
      const vehicle = vehicles.get(id)
      const kind = positions.state(slot)
      const isSelected = id === state.selectedId
      if ((!vehicle || state.isAlone) && !isSelected) continue
      if (state.shownStates && !state.shownStates.has(kind) && !isSelected) continue
      const severity = positions.severity[slot]!
      const isPinned = isSelected || state.watched.has(id) || (severity > 0 && severity <= SERIOUS)
      const feature: Feature<Point> = {
        type: 'Feature',
        geometry: { type: 'Point', coordinates: onMap(positions.latitudeDeg[slot]!, positions.longitudeDeg[slot]!) },
        properties: {
          id,
          kind: STATE_KEYS[kind],
          turn: kind === VehicleState.Moving ? positions.headingDeg[slot] : 0,
          severity,
          rank: severity || 9,
          plate: vehicle ? stamped(vehicle.plate) : '',
          fade: kind === VehicleState.Offline ? fade(nowMs - positions.timeMs[slot]!) : 1,
          selected: isSelected,
          named: (isSelected && !state.isAlone) || state.watched.has(id),
        },
      }
      ;(isPinned ? pinned : calm).push(feature)
    }
    await Promise.all([
      this.map.getSource<GeoJSONSource>(CALM)?.setData({ type: 'FeatureCollection', features: calm }),
      this.map.getSource<GeoJSONSource>(PINNED)?.setData({ type: 'FeatureCollection', features: pinned }),
    ])
    return calm.length + pinned.length
  }

  repaint(): void {
    for (const layer of this.layers()) repaintLayer(this.map, layer.id, layer.paint)
  }

  remove(): void {
    this.map.off('click', this.onClick)
    for (const id of LAYER_IDS) if (this.map.getLayer(id)) this.map.removeLayer(id)
    for (const id of [CALM, PINNED]) if (this.map.getSource(id)) this.map.removeSource(id)
  }

  private readonly onEnter = () => {
    this.map.getCanvas().style.cursor = 'pointer'
  }

  private readonly onLeave = () => {
    this.map.getCanvas().style.cursor = ''
  }

  private readonly onClick = (event: MapMouseEvent) => {
    if (event.defaultPrevented) return
    const { x, y } = event.point
    const box: [[number, number], [number, number]] = [[x - 5, y - 5], [x + 5, y + 5]] // prettier-ignore
    const [vehicle] = this.map.queryRenderedFeatures(box, { layers: [...PICKABLE].reverse() })
    if (vehicle) {
      this.pick(Number(vehicle.properties.id))
      return
    }
    const [cluster] = this.map.queryRenderedFeatures(box, { layers: ['vehicles-cluster'] })
    if (cluster) void this.open(Number(cluster.properties.cluster_id), (cluster.geometry as Point).coordinates)
  }

  private async open(clusterId: number, center: number[]): Promise<void> {
    const zoom = await this.map.getSource<GeoJSONSource>(CALM)!.getClusterExpansionZoom(clusterId)
    this.map.easeTo({ center: [center[0]!, center[1]!], zoom: Math.min(zoom + 0.5, 13) })
  }

  private layers(): LayerSpecification[] {
    const isCluster = ['has', 'point_count'] as ['has', string]
    const noCluster = ['!', isCluster] as ['!', ['has', string]]
    const bySeverity = (property: string, upTo = 4) => {
      const cases = [1, 2, 3, 4].slice(0, upTo).flatMap((severity) => [severity, token(`alarm-${severity}`)])
      return ['match', ['get', property], ...cases, token('dim')] as never
    }
    const ring = {
      'circle-radius': 13,
      'circle-color': 'rgba(0,0,0,0)',
      'circle-stroke-color': bySeverity('severity'),
      'circle-stroke-width': ['match', ['get', 'severity'], 1, 3, 2, 2.5, 2] as never,
    }
    const symbol = {
      'icon-image': ['get', 'kind'] as never,
      'icon-rotate': ['get', 'turn'] as never,
      'icon-rotation-alignment': 'map' as const,
      'icon-allow-overlap': true,
      'icon-ignore-placement': true,
      'icon-size': ['interpolate', ['linear'], ['zoom'], 6, 0.72, 10, 0.9, 13, 1.05] as never,
    }
    const label = {
      'text-field': ['get', 'plate'] as never,
      'text-size': 12,
      'text-offset': [0, 1.15] as [number, number],
      'text-anchor': 'top' as const,
    }
    const ink = { 'text-color': token('text'), 'text-halo-color': token('ground'), 'text-halo-width': 1.6 }
    return [
      {
        id: 'vehicles-cluster', type: 'circle', source: CALM, filter: isCluster,
        paint: {
          'circle-radius': ['step', ['get', 'point_count'], 12, 20, 14, 100, 17, 500, 21],
          'circle-color': token('surface'),
          'circle-stroke-color': bySeverity('worst', 3),
          'circle-stroke-width': ['case', ['<=', ['get', 'worst'], 3], 1.8, 1.2],
        },
      },
      {
        id: 'vehicles-cluster-count', type: 'symbol', source: CALM, filter: isCluster,
        layout: { 'text-field': ['get', 'point_count_abbreviated'], 'text-size': 11.5, 'text-allow-overlap': true, 'text-ignore-placement': true },
        paint: { 'text-color': token('text') },
      },
      { id: 'vehicles-ring', type: 'circle', source: CALM, filter: ['all', noCluster, ['>', ['get', 'severity'], 0]], paint: ring },
      { id: 'vehicles-symbol', type: 'symbol', source: CALM, filter: noCluster, layout: symbol, paint: { 'icon-opacity': ['get', 'fade'] } },
      { id: 'vehicles-label', type: 'symbol', source: CALM, filter: noCluster, minzoom: 10.5, layout: label, paint: ink },
      {
        id: 'vehicles-pinned-halo', type: 'circle', source: PINNED, filter: ['get', 'selected'],
        paint: { 'circle-radius': 18, 'circle-color': token('accent'), 'circle-opacity': 0.22, 'circle-stroke-color': token('accent'), 'circle-stroke-width': 2 },
      },
      { id: 'vehicles-pinned-ring', type: 'circle', source: PINNED, filter: ['>', ['get', 'severity'], 0], paint: ring },
      { id: 'vehicles-pinned-symbol', type: 'symbol', source: PINNED, layout: symbol, paint: { 'icon-opacity': ['get', 'fade'] } },
      {
        id: 'vehicles-pinned-label', type: 'symbol', source: PINNED, minzoom: 9, filter: ['!', ['get', 'named']],
        layout: { ...label, 'text-offset': [0, 1.35] },
        paint: ink,
      },
      {
        id: 'vehicles-named-label', type: 'symbol', source: PINNED, filter: ['get', 'named'],
        layout: { ...label, 'text-offset': [0, 1.65], 'text-allow-overlap': true },
        paint: ink,
      },
    ] // prettier-ignore
  }
}

/** An off-line vehicle pales with the age of its last fix: one hour, a day, two days. */
function fade(ageMs: number): number {
  return ageMs < HOUR_MS ? 1 : ageMs < 24 * HOUR_MS ? 0.75 : ageMs < 48 * HOUR_MS ? 0.5 : 0.35
}
