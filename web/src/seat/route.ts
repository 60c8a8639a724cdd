/** What the address carries of the seat: the vehicle, the tab, the alarm, the stretch of a track. */

import { computed, shallowRef, watchEffect } from 'vue'
import type { LocationQuery, LocationQueryRaw } from 'vue-router'
import { now } from '@/live'
import { router } from '@/router'

export const TABS = ['alarms', 'vehicles', 'commands', 'platforms'] as const
export type Tab = (typeof TABS)[number]

/** The seat stays alive behind the other pages, so it keeps its last own query. */
const query = shallowRef<LocationQuery>({})
watchEffect(() => {
  const route = router.currentRoute.value
  if (route.name === 'seat') query.value = route.query
})

const text = (name: string) => {
  const value = query.value[name]
  return typeof value === 'string' ? value : ''
}

export const selectedId = computed(() => Number(text('v')) || null)
export const tab = computed<Tab>(() => TABS.find((name) => name === text('tab')) ?? 'alarms')
/** Single commands, or those to many. */
export const commandView = computed<'single' | 'groups'>(() => (text('view') === 'groups' ? 'groups' : 'single'))
export const alarmId = computed(() => text('a') || null)
/** On a phone one panel fills the page. */
export const panel = computed(() => text('panel') || 'map')

export interface TrackRange {
  vehicleId: number
  fromMs: number
  toMs: number
}

export const trackRange = computed<TrackRange | null>(() => {
  const [fromMs, toMs] = [Date.parse(text('from')), Date.parse(text('to'))]
  if (!selectedId.value || !(toMs > fromMs)) return null
  return { vehicleId: selectedId.value, fromMs, toMs }
})

function go(change: LocationQueryRaw, isStep: boolean): void {
  const next: LocationQueryRaw = { ...query.value, ...change }
  for (const name of Object.keys(next)) if (next[name] === null || next[name] === '') delete next[name]
  void router[isStep ? 'push' : 'replace']({ name: 'seat', query: next })
}

/** Open a vehicle's card, from wherever it was met. */
export function select(vehicleId: number | null): void {
  if (vehicleId === selectedId.value && router.currentRoute.value.name === 'seat') return
  go({ v: vehicleId, a: null, from: null, to: null }, true)
}

/** The alarm's row and its vehicle; walking through the queue leaves no trail in the history. */
export function selectAlarm(id: string | null, vehicleId: number | null): void {
  go({ a: id, v: vehicleId, tab: null, from: null, to: null }, false)
}

export function openTab(next: Tab, view: 'single' | 'groups' = 'single'): void {
  go({ tab: next === 'alarms' ? null : next, view: view === 'single' ? null : view }, false)
}

export function openPanel(next: string): void {
  go({ panel: next === 'map' ? null : next }, true)
}

export function openTrack(vehicleId: number, fromMs: number, toMs: number): void {
  const isOpen = trackRange.value !== null
  const seconds = (ms: number) => new Date(ms).toISOString().slice(0, 19) + 'Z'
  go({ v: vehicleId, from: seconds(fromMs), to: seconds(toMs) }, !isOpen)
}

export function closeTrack(): void {
  go({ from: null, to: null }, true)
}

const TEN_MINUTES_MS = 600_000

/** Ten minutes either side of a moment; what lies ahead of now does not exist yet. */
export function openTrackAround(vehicleId: number, momentMs: number): void {
  openTrack(vehicleId, momentMs - TEN_MINUTES_MS, Math.min(momentMs + TEN_MINUTES_MS, now.value))
}
