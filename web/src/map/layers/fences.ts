/** Geofences as quiet outlines with their names. */

import type { Feature, Point, Polygon, Position } from 'geojson'
import type { GeoJSONSource, Map as MapLibre } from 'maplibre-gl'
import type { Geofence } from '@/client'
import { token } from '@/ui/theme'
import { circleRing, onMap } from '../core/datum'
import { repaintLayer } from '../core/paint'

const SOURCE = 'fences'
/** A point a fence: a polygon's name would stand once in every tile. */
const NAMES = 'fences-names'

export function fenceFeature(fence: Pick<Geofence, 'shape' | 'points' | 'center' | 'radius_m'>): Feature<Polygon> | null {
  let ring
  if (fence.shape === 'circle') {
    if (!fence.center || !fence.radius_m) return null
    ring = circleRing(fence.center, fence.radius_m)
  } else {
    if (fence.points.length < 3) return null
    ring = fence.points.map(([lat, lon]) => onMap(lat, lon))
    ring.push(ring[0]!)
  }
  return { type: 'Feature', properties: {}, geometry: { type: 'Polygon', coordinates: [ring] } }
}

/** Where the name stands: on the northern edge, over the line. */
function middle(feature: Feature<Polygon>): Position {
  const ring = feature.geometry.coordinates[0]!
  return ring.reduce((top, corner) => (corner[1]! > top[1]! ? corner : top))
}

export class FenceLayer {
  constructor(
    private readonly map: MapLibre,
    before?: string,
  ) {
    map.addSource(SOURCE, { type: 'geojson', data: { type: 'FeatureCollection', features: [] } })
    map.addSource(NAMES, { type: 'geojson', data: { type: 'FeatureCollection', features: [] } })
    const paint = this.paint()
    map.addLayer({ id: 'fences-fill', type: 'fill', source: SOURCE, paint: paint.fill }, before)
    map.addLayer({ id: 'fences-line', type: 'line', source: SOURCE, paint: paint.line }, before)
    map.addLayer(
      {
        id: 'fences-name', type: 'symbol', source: NAMES, minzoom: 8,
        layout: { 'text-field': ['get', 'name'], 'text-size': 11.5, 'text-anchor': 'bottom', 'text-offset': [0, -0.3] },
        paint: paint.name,
      },
      before,
    ) // prettier-ignore
  }

  async update(fences: readonly Geofence[], pickedId: number | null = null): Promise<void> {
    const features = fences.flatMap((fence) => {
      const feature = fenceFeature(fence)
      if (!feature) return []
      feature.properties = { id: fence.id, name: fence.name, enabled: fence.enabled, picked: fence.id === pickedId }
      return [feature]
    })
    const names = features.map((feature): Feature<Point> => ({
      type: 'Feature',
      properties: feature.properties,
      geometry: { type: 'Point', coordinates: middle(feature) },
    }))
    await Promise.all([
      this.map.getSource<GeoJSONSource>(SOURCE)?.setData({ type: 'FeatureCollection', features }),
      this.map.getSource<GeoJSONSource>(NAMES)?.setData({ type: 'FeatureCollection', features: names }),
    ])
  }

  show(isShown: boolean): void {
    for (const id of ['fences-fill', 'fences-line', 'fences-name']) {
      this.map.setLayoutProperty(id, 'visibility', isShown ? 'visible' : 'none')
    }
  }

  repaint(): void {
    const paint = this.paint()
    repaintLayer(this.map, 'fences-fill', paint.fill)
    repaintLayer(this.map, 'fences-line', paint.line)
    repaintLayer(this.map, 'fences-name', paint.name)
  }

  private paint() {
    const color = ['case', ['get', 'enabled'], token('rest'), token('dim')] as never
    return {
      fill: { 'fill-color': color, 'fill-opacity': ['case', ['get', 'picked'], 0.22, 0.07] as never },
      line: { 'line-color': color, 'line-width': ['case', ['get', 'picked'], 2.5, 1.2] as never, 'line-dasharray': [3, 2] },
      name: { 'text-color': token('quiet'), 'text-halo-color': token('ground'), 'text-halo-width': 1.4 },
    }
  }
}
