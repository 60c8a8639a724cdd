/** The muted ground under the vehicles: the packaged base map, or configured tiles over it. */

import type { LayerSpecification, Map as MapLibre, StyleSpecification } from 'maplibre-gl'
import type { TileSource } from '@/client'
import type { Theme } from '@/ui/theme'
import { repaintLayer } from './paint'

const CREDIT = 'Natural Earth · Apache ECharts · GeoNames (CC BY 4.0)'

interface Tones {
  sea: string
  land: string
  china: string
  province: string
  city: string
  cityLine: string
  road: string
  label: string
  halo: string
}

const TONES: Record<Theme, Tones> = {
  dark: {
    sea: '#0a1016', land: '#11181f', china: '#141c24', province: '#334252', city: '#17212b', cityLine: '#2b3947',
    road: '#3a4b5c', label: '#8796a5', halo: '#0c1218',
  },
  light: {
    sea: '#d8e3ec', land: '#eceeef', china: '#f4f5f4', province: '#a9b4be', city: '#fafaf8', cityLine: '#c9d1d8',
    road: '#c2cbd3', label: '#5c6a77', halo: '#ffffff',
  },
} // prettier-ignore

const collection = (file: string) => ({ type: 'geojson' as const, data: `/basemap/${file}.json` })

function layers(theme: Theme, language: string): LayerSpecification[] {
  const tone = TONES[theme]
  return [
    { id: 'sea', type: 'background', paint: { 'background-color': tone.sea } },
    { id: 'land', type: 'fill', source: 'world', paint: { 'fill-color': tone.land, 'fill-antialias': false } },
    {
      id: 'borders', type: 'line', source: 'world', filter: ['==', ['get', 'kind'], 'country'],
      paint: { 'line-color': tone.cityLine, 'line-width': 0.8 },
    },
    { id: 'china', type: 'fill', source: 'provinces', paint: { 'fill-color': tone.china } },
    { id: 'liaoning', type: 'fill', source: 'liaoning', paint: { 'fill-color': tone.city } },
    {
      id: 'city-lines', type: 'line', source: 'liaoning', minzoom: 5.5,
      paint: { 'line-color': tone.cityLine, 'line-width': ['interpolate', ['linear'], ['zoom'], 6, 0.6, 11, 1.4] },
    },
    {
      id: 'province-lines', type: 'line', source: 'provinces',
      paint: { 'line-color': tone.province, 'line-width': ['interpolate', ['linear'], ['zoom'], 3, 0.6, 10, 1.8] },
    },
    {
      id: 'roads', type: 'line', source: 'roads', minzoom: 6,
      layout: { 'line-cap': 'round', 'line-join': 'round' },
      paint: { 'line-color': tone.road, 'line-width': ['interpolate', ['linear'], ['zoom'], 6, 0.8, 9, 1.6, 14, 5] },
    },
    {
      id: 'road-names', type: 'symbol', source: 'roads', minzoom: 9,
      layout: { 'symbol-placement': 'line', 'text-field': ['coalesce', ['get', 'ref'], ''], 'text-size': 11, 'symbol-spacing': 320 },
      paint: { 'text-color': tone.label, 'text-halo-color': tone.halo, 'text-halo-width': 1.5 },
    },
    {
      id: 'places', type: 'symbol', source: 'places',
      filter: ['<=', ['get', 'rank'], ['step', ['zoom'], 1, 4.5, 2, 6, 3, 7.8, 4, 9.7, 5]],
      layout: {
        'text-field': ['get', language === 'zh' ? 'name' : 'name_en'],
        'text-size': ['match', ['get', 'rank'], 1, 13, 2, 12.5, 3, 12, 11.5],
        'text-padding': 6,
        'symbol-sort-key': ['get', 'rank'],
      },
      paint: { 'text-color': tone.label, 'text-halo-color': tone.halo, 'text-halo-width': 1.4 },
    },
  ] // prettier-ignore
}

/** Without `glyphs`: every label is drawn with the fonts of this machine. */
export function baseStyle(theme: Theme, language: string, tiles: TileSource | null): StyleSpecification {
  const style: StyleSpecification = {
    version: 8,
    sources: {
      world: { ...collection('world'), attribution: CREDIT },
      provinces: collection('provinces'),
      liaoning: collection('liaoning'),
      roads: collection('roads'),
      places: { type: 'geojson', data: { type: 'FeatureCollection', features: [] } },
    },
    layers: layers(theme, language),
  }
  if (tiles && tiles.kind !== 'vector') {
    style.sources.tiles = {
      type: 'raster',
      tiles: [tiles.url],
      tileSize: 256,
      maxzoom: tiles.max_zoom,
      attribution: tiles.attribution,
    }
    const under = style.layers.findIndex((layer) => layer.id === 'city-lines')
    style.layers.splice(under, 0, {
      id: 'tiles', type: 'raster', source: 'tiles', minzoom: 5,
      paint: { 'raster-opacity': theme === 'dark' ? 0.55 : 0.85, 'raster-saturation': -0.4 },
    }) // prettier-ignore
  }
  if (tiles?.kind === 'vector') addVectorTiles(style, tiles, theme)
  return style
}

/** Roads and water of an OpenMapTiles-shaped source; other schemas show what shares those layer names. */
function addVectorTiles(style: StyleSpecification, tiles: TileSource, theme: Theme): void {
  const tone = TONES[theme]
  style.sources.tiles = {
    type: 'vector',
    tiles: [tiles.url],
    maxzoom: tiles.max_zoom,
    attribution: tiles.attribution,
  }
  const under = style.layers.findIndex((layer) => layer.id === 'city-lines')
  style.layers.splice(
    under,
    0,
    { id: 'tile-water', type: 'fill', source: 'tiles', 'source-layer': 'water', paint: { 'fill-color': tone.sea } },
    {
      id: 'tile-roads', type: 'line', source: 'tiles', 'source-layer': 'transportation',
      paint: { 'line-color': tone.road, 'line-width': ['interpolate', ['linear'], ['zoom'], 7, 0.4, 14, 3] },
    },
  ) // prettier-ignore
}

/** Repaint the ground in another theme or language, leaving all other layers as they are. */
export function repaint(map: MapLibre, theme: Theme, language: string): void {
  for (const layer of layers(theme, language)) {
    repaintLayer(map, layer.id, layer.paint)
    if (layer.id === 'places') map.setLayoutProperty('places', 'text-field', layer.layout?.['text-field' as never])
  }
  if (map.getLayer('tiles')) map.setPaintProperty('tiles', 'raster-opacity', theme === 'dark' ? 0.55 : 0.85)
}
