/**
 * Drawing a geofence: corners by clicks (double click or Enter ends), a circle by centre and edge; afterwards every handle
 * can be dragged, the small ones between corners make new corners, and a right click takes a corner away.
 */

import type { Feature, Point } from 'geojson'
import type { GeoJSONSource, Map as MapLibre, MapMouseEvent } from 'maplibre-gl'
import { token } from '@/ui/theme'
import { distanceM, fromMap, onMap } from '../core/datum'
import { fenceFeature } from './fences'

export interface Outline {
  shape: 'polygon' | 'circle'
  points: [number, number][]
  center: [number, number] | null
  radius_m: number | null
}

type LatLon = [number, number]

const SHAPE = 'draw-shape'
const HANDLES = 'draw-handles'
const LAYERS = ['draw-fill', 'draw-line', 'draw-handle']
const LEAST_CORNERS = 3

export class FenceDrawing {
  outline: Outline | null = null
  private isPlacing = false
  private dragged: { kind: string; index: number } | null = null
  private pointer: LatLon | null = null

  constructor(
    private readonly map: MapLibre,
    private readonly changed: (outline: Outline | null, isDone: boolean) => void,
  ) {
    const empty = { type: 'FeatureCollection' as const, features: [] }
    map.addSource(SHAPE, { type: 'geojson', data: empty })
    map.addSource(HANDLES, { type: 'geojson', data: empty })
    map.addLayer({ id: 'draw-fill', type: 'fill', source: SHAPE, paint: { 'fill-color': token('accent'), 'fill-opacity': 0.18 } })
    map.addLayer({ id: 'draw-line', type: 'line', source: SHAPE, paint: { 'line-color': token('accent'), 'line-width': 2 } })
    map.addLayer({
      id: 'draw-handle', type: 'circle', source: HANDLES,
      paint: {
        'circle-radius': ['match', ['get', 'kind'], 'middle', 4, 7],
        'circle-color': ['match', ['get', 'kind'], 'middle', token('surface'), token('accent')],
        'circle-stroke-color': token('accent'),
        'circle-stroke-width': 2,
      },
    }) // prettier-ignore
    map.on('click', this.onClick)
    map.on('dblclick', this.onDoubleClick)
    map.on('mousemove', this.onMove)
    map.on('mousedown', 'draw-handle', this.onGrab)
    map.on('mouseup', this.onDrop)
    map.on('contextmenu', 'draw-handle', this.onRemove)
  }

  begin(shape: Outline['shape']): void {
    this.outline = { shape, points: [], center: null, radius_m: null }
    this.isPlacing = true
    this.map.getCanvas().style.cursor = 'crosshair'
    this.tell()
  }

  load(outline: Outline): void {
    this.outline = { ...outline, points: outline.points.map(([lat, lon]) => [lat, lon]) }
    this.isPlacing = false
    this.draw()
  }

  clear(): void {
    this.outline = null
    this.isPlacing = false
    this.map.getCanvas().style.cursor = ''
    this.draw()
  }

  /** Close the polygon being drawn, when it has corners enough. */
  finish(): void {
    if (!this.isPlacing || this.outline?.shape !== 'polygon' || this.outline.points.length < LEAST_CORNERS) return
    this.done()
  }

  remove(): void {
    const { map } = this
    map.off('click', this.onClick)
    map.off('dblclick', this.onDoubleClick)
    map.off('mousemove', this.onMove)
    map.off('mousedown', 'draw-handle', this.onGrab)
    map.off('mouseup', this.onDrop)
    map.off('contextmenu', 'draw-handle', this.onRemove)
    for (const id of LAYERS) if (map.getLayer(id)) map.removeLayer(id)
    for (const id of [SHAPE, HANDLES]) if (map.getSource(id)) map.removeSource(id)
  }

  private done(): void {
    this.isPlacing = false
    this.pointer = null
    this.map.getCanvas().style.cursor = ''
    this.tell()
  }

  private tell(): void {
    this.draw()
    this.changed(this.outline, !this.isPlacing)
  }

  private readonly onClick = (event: MapMouseEvent) => {
    const outline = this.outline
    if (!this.isPlacing || !outline) return
    const at = fromMap(event.lngLat)
    if (outline.shape === 'polygon') {
      // The second click of a double click is not a corner of its own.
      const last = outline.points.at(-1)
      if (last && this.isNear(last, event)) return
      outline.points.push(at)
      this.tell()
    } else if (!outline.center) {
      outline.center = at
      this.tell()
    } else {
      outline.radius_m = Math.max(1, Math.round(distanceM(outline.center[0], outline.center[1], at[0], at[1])))
      this.done()
    }
  }

  private readonly onDoubleClick = (event: MapMouseEvent) => {
    if (!this.isPlacing) return
    event.preventDefault()
    this.finish()
  }

  private readonly onMove = (event: MapMouseEvent) => {
    const outline = this.outline
    if (!outline) return
    const at = fromMap(event.lngLat)
    if (this.isPlacing) {
      this.pointer = at
      this.draw()
    } else if (this.dragged) {
      const { kind, index } = this.dragged
      if (kind === 'corner') outline.points[index] = at
      else if (kind === 'center') outline.center = at
      else if (outline.center) outline.radius_m = Math.max(1, Math.round(distanceM(outline.center[0], outline.center[1], at[0], at[1])))
      this.tell()
    }
  }

  private readonly onGrab = (event: MapMouseEvent & { features?: { properties: Record<string, unknown> }[] }) => {
    const handle = event.features?.[0]?.properties
    const outline = this.outline
    if (this.isPlacing || !handle || !outline || event.originalEvent.button !== 0) return
    event.preventDefault()
    let kind = String(handle.kind)
    const index = Number(handle.index)
    if (kind === 'middle') {
      outline.points.splice(index, 0, fromMap(event.lngLat))
      kind = 'corner'
    }
    this.dragged = { kind, index }
  }

  private readonly onDrop = () => {
    this.dragged = null
  }

  private readonly onRemove = (event: MapMouseEvent & { features?: { properties: Record<string, unknown> }[] }) => {
    const handle = event.features?.[0]?.properties
    event.preventDefault()
    if (this.isPlacing || handle?.kind !== 'corner' || !this.outline || this.outline.points.length <= LEAST_CORNERS) return
    this.outline.points.splice(Number(handle.index), 1)
    this.tell()
  }

  private isNear(place: LatLon, event: MapMouseEvent): boolean {
    const { x, y } = this.map.project(onMap(place[0], place[1]))
    return Math.hypot(x - event.point.x, y - event.point.y) < 6
  }

  private draw(): void {
    void this.map.getSource<GeoJSONSource>(SHAPE)?.setData({ type: 'FeatureCollection', features: this.preview() })
    void this.map.getSource<GeoJSONSource>(HANDLES)?.setData({ type: 'FeatureCollection', features: this.handles() })
  }

  private preview(): Feature[] {
    const { outline, pointer } = this
    if (!outline) return []
    if (outline.shape === 'circle') {
      const { center } = outline
      const radius_m = outline.radius_m ?? (center && pointer ? distanceM(center[0], center[1], pointer[0], pointer[1]) : null)
      const ring = fenceFeature({ ...outline, radius_m })
      return ring ? [ring] : []
    }
    const points = this.isPlacing && pointer ? [...outline.points, pointer] : outline.points
    const ring = fenceFeature({ ...outline, points })
    if (ring) return [ring]
    return [{ type: 'Feature', properties: {}, geometry: { type: 'LineString', coordinates: points.map(([lat, lon]) => onMap(lat, lon)) } }]
  }

  private handles(): Feature<Point>[] {
    const { outline } = this
    if (!outline) return []
    const handle = (kind: string, index: number, [lat, lon]: LatLon): Feature<Point> => ({
      type: 'Feature',
      properties: { kind, index },
      geometry: { type: 'Point', coordinates: onMap(lat, lon) },
    })
    if (outline.shape === 'circle') {
      if (!outline.center) return []
      const list = [handle('center', 0, outline.center)]
      if (outline.radius_m) {
        const shrink = Math.cos((outline.center[0] * Math.PI) / 180)
        list.push(handle('edge', 0, [outline.center[0], outline.center[1] + outline.radius_m / (111_195 * shrink)]))
      }
      return list
    }
    const { points } = outline
    const corners = points.map((point, i) => handle('corner', i, point))
    if (this.isPlacing || points.length < LEAST_CORNERS) return corners
    const middles = points.map((point, i) => {
      const next = points[(i + 1) % points.length]!
      return handle('middle', i + 1, [(point[0] + next[0]) / 2, (point[1] + next[1]) / 2])
    })
    return [...middles, ...corners]
  }
}
