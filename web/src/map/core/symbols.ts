/** The vehicle shapes as map images, drawn in the colours of the theme. Same shapes as ui/StateShape.vue. */

import type { Map as MapLibre } from 'maplibre-gl'
import { STATE_KEYS, type StateKey } from '@/live/positions'
import { theme, token } from '@/ui/theme'

const SIZE = 26
const RATIO = 2

type Draw = (c: CanvasRenderingContext2D) => void

const SHAPES: Record<StateKey, { color: string; draw: Draw }> = {
  moving: {
    color: 'go',
    draw(c) {
      c.beginPath()
      c.moveTo(0, -9.5)
      c.lineTo(7, 7.5)
      c.lineTo(0, 4)
      c.lineTo(-7, 7.5)
      c.closePath()
      c.stroke()
      c.fill()
    },
  },
  standing: {
    color: 'wait',
    draw(c) {
      c.strokeRect(-5.5, -5.5, 11, 11)
      c.fillRect(-5.5, -5.5, 11, 11)
    },
  },
  parked: {
    color: 'rest',
    draw(c) {
      c.beginPath()
      c.arc(0, 0, 5.8, 0, 7)
      c.stroke()
      c.fill()
    },
  },
  offline: { color: 'dim', draw: (c) => hollow(c, 5) },
  nofix: {
    color: 'doubt',
    draw(c) {
      hollow(c, 6)
      c.strokeStyle = c.fillStyle
      c.lineWidth = 1.6
      c.beginPath()
      c.moveTo(-5, 2)
      c.lineTo(2, -5)
      c.moveTo(-2.6, 4.8)
      c.lineTo(4.8, -2.6)
      c.stroke()
    },
  },
}

function hollow(c: CanvasRenderingContext2D, radius: number): void {
  c.beginPath()
  c.arc(0, 0, radius, 0, 7)
  c.lineWidth = 4
  c.stroke()
  c.strokeStyle = c.fillStyle
  c.lineWidth = 2
  c.stroke()
}

function image(draw: Draw, color: string, outline: string): ImageData {
  const canvas = document.createElement('canvas')
  canvas.width = canvas.height = SIZE * RATIO
  const c = canvas.getContext('2d')!
  c.scale(RATIO, RATIO)
  c.translate(SIZE / 2, SIZE / 2)
  c.fillStyle = color
  c.strokeStyle = outline
  c.lineWidth = 2.5
  c.lineJoin = 'round'
  draw(c)
  return c.getImageData(0, 0, canvas.width, canvas.height)
}

/** Add, or draw again in the present theme. */
export function addSymbols(map: MapLibre): void {
  const outline = theme.value === 'dark' ? '#05090d' : '#ffffff'
  for (const key of STATE_KEYS) {
    const { color, draw } = SHAPES[key]
    const data = image(draw, token(color), outline)
    if (map.hasImage(key)) map.updateImage(key, data)
    else map.addImage(key, data, { pixelRatio: RATIO })
  }
}
