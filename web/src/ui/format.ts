/** Numbers, times and places as they are read on the watch. All times are Asia/Shanghai, whatever this machine's zone. */

import { locale, t } from '@/l10n'

const CHINA_OFFSET_MS = 8 * 3600_000
const pad = (n: number) => String(n).padStart(2, '0')

export function parse(time: string | null | undefined): number {
  return time ? Date.parse(time) : NaN
}

function china(ms: number): Date {
  return new Date(ms + CHINA_OFFSET_MS)
}

export function clock(ms: number): string {
  if (Number.isNaN(ms)) return '—'
  const d = china(ms)
  return `${pad(d.getUTCHours())}:${pad(d.getUTCMinutes())}:${pad(d.getUTCSeconds())}`
}

export function date(ms: number): string {
  const d = china(ms)
  return `${d.getUTCFullYear()}-${pad(d.getUTCMonth() + 1)}-${pad(d.getUTCDate())}`
}

/** `HH:mm:ss`, with the date in front only when it is not today's. */
export function time(ms: number, nowMs: number): string {
  if (Number.isNaN(ms)) return '—'
  const day = date(ms)
  if (day === date(nowMs)) return clock(ms)
  return `${day.slice(0, 4) === date(nowMs).slice(0, 4) ? day.slice(5) : day} ${clock(ms)}`
}

export function fullTime(ms: number): string {
  return Number.isNaN(ms) ? '—' : `${date(ms)} ${clock(ms)}`
}

/** A stretch of time that ticks: `00:42`, `13:07`, `2:05:11`; days in words. */
export function span(ms: number): string {
  if (Number.isNaN(ms)) return '—'
  const s = Math.max(0, Math.floor(ms / 1000))
  if (s >= 2 * 86400) return t('format.days', { n: Math.floor(s / 86400) })
  const h = Math.floor(s / 3600)
  const rest = `${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}`
  return h ? `${h}:${rest}` : rest
}

/** Age in words of one unit, for what need not tick to the second. */
export function age(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000))
  if (Number.isNaN(s)) return '—'
  if (s < 60) return t('format.seconds', { n: s })
  if (s < 3600) return t('format.minutes', { n: Math.floor(s / 60) })
  if (s < 2 * 86400) return t('format.hours', { n: Math.floor(s / 3600) })
  return t('format.days', { n: Math.floor(s / 86400) })
}

export function count(n: number): string {
  return Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, ' ')
}

export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  return bytes < 1 << 20 ? `${(bytes / 1024).toFixed(0)} KB` : `${(bytes / (1 << 20)).toFixed(1)} MB`
}

const COMPASS_ZH = ['北', '东北', '东', '东南', '南', '西南', '西', '西北']
const COMPASS_EN = ['N', 'NE', 'E', 'SE', 'S', 'SW', 'W', 'NW']

export function compass(deg: number): string {
  const names = locale.value === 'zh' ? COMPASS_ZH : COMPASS_EN
  return names[Math.round((((deg % 360) + 360) % 360) / 45) % 8]!
}

export function distance(m: number): string {
  return m < 950 ? `${Math.round(m / 10) * 10} m` : `${(m / 1000).toFixed(m < 99_500 ? 1 : 0)} km`
}

/** What the pickers are to give and take: Shanghai's wall time without a zone, whatever zone this machine is in. */
export const WALL = 'YYYY-MM-DDTHH:mm:ss'

export function toWall(ms: number): string {
  return `${date(ms)}T${clock(ms)}`
}

/** A moment for a picker's shortcut, which reads dates in the machine's own zone. */
export const wallDate = (ms: number) => new Date(toWall(ms))

/** A picked stretch as the API's two bounds. */
export function bounds(range: [string, string] | null): { from?: string; to?: string } {
  return range ? { from: iso(fromWall(range[0])), to: iso(fromWall(range[1])) } : {}
}

export function fromWall(text: string): number {
  return Date.parse(`${text.length === 16 ? `${text}:00` : text}+08:00`)
}

export function iso(ms: number): string {
  return new Date(ms).toISOString()
}
