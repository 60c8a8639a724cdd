/** One map object on a page. MapLibre is loaded only here, and only when a map is shown. */

import 'maplibre-gl/dist/maplibre-gl.css'
import './map.css'
import { AttributionControl, Map as MapLibre, NavigationControl, ScaleControl, setWorkerUrl, type GeoJSONSource } from 'maplibre-gl'
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url'
import { api, type TileSource } from '@/client'
import { locale, t } from '@/l10n'
import { read, write } from '@/ui/stored'
import { theme } from '@/ui/theme'
import { setDatum } from './datum'
import { loadPlaces } from './places'
import { baseStyle } from './style'
import { addSymbols } from './symbols'

setWorkerUrl(workerUrl)

interface View {
  center: [number, number]
  zoom: number
}

interface Ground extends View {
  tiles: TileSource | null
}

let ground: Promise<Ground> | undefined

/** What the server is set to: tiles of its own, and where to look first. Unreachable: Liaoning on the packaged map. */
function configuredGround(): Promise<Ground> {
  ground ??= api
    .settings()
    .then(({ map: { tiles, center, zoom } }): Ground => ({ tiles, center: [center[1], center[0]], zoom }))
    .catch((): Ground => ({ tiles: null, center: [122.9, 40.9], zoom: 6.6 }))
  return ground
}

/** Resolves once the style is loaded and our symbols are in it. */
export async function createMap(container: HTMLElement, viewName: string): Promise<MapLibre> {
  const { tiles, ...home } = await configuredGround()
  setDatum(tiles?.datum ?? 'wgs84')
  const view = read<View>(`view.${viewName}`, home)
  const map = new MapLibre({
    container,
    style: baseStyle(theme.value, locale.value, tiles),
    center: view.center,
    zoom: view.zoom,
    minZoom: 2.5,
    maxZoom: 18,
    attributionControl: false,
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    fadeDuration: 0,
    locale: {
      'NavigationControl.ZoomIn': t('map.zoomIn'),
      'NavigationControl.ZoomOut': t('map.zoomOut'),
      'AttributionControl.ToggleAttribution': t('map.credits'),
    },
  })
  map.touchZoomRotate.disableRotation()
  map.keyboard.disableRotation()
  map.addControl(new AttributionControl({ compact: false }), 'bottom-right')
  map.addControl(new ScaleControl({ maxWidth: 96 }), 'bottom-left')
  map.addControl(new NavigationControl({ showCompass: false }), 'top-right')
  map.on('moveend', () => {
    const { lng, lat } = map.getCenter()
    write(`view.${viewName}`, { center: [+lng.toFixed(5), +lat.toFixed(5)], zoom: +map.getZoom().toFixed(2) })
  })
  await new Promise<void>((resolve) => map.once('style.load', () => resolve()))
  addSymbols(map)
  // A map that was left meanwhile needs no names.
  addPlaces(map).catch(() => {})
  return map
}

async function addPlaces(map: MapLibre): Promise<void> {
  const list = await loadPlaces()
  await map.getSource<GeoJSONSource>('places')?.setData({
    type: 'FeatureCollection',
    features: list.map((place) => ({
      type: 'Feature',
      properties: { ...place },
      geometry: { type: 'Point', coordinates: [place.lon, place.lat] },
    })),
  })
}
