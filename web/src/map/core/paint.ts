import type { Map as MapLibre } from 'maplibre-gl'

type Name = Parameters<MapLibre['setPaintProperty']>[1]

/** Give a layer new paint, after the theme changed. */
export function repaintLayer(map: MapLibre, id: string, paint: object | undefined): void {
  if (!map.getLayer(id)) return
  for (const [name, value] of Object.entries(paint ?? {})) map.setPaintProperty(id, name as Name, value)
}
