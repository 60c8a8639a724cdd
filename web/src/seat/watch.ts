/** What the operator keeps an eye on, and the gestures that the map, card, tree and grid share. */

import { computed, shallowRef } from 'vue'
import { api, type Alarm, type Vehicle } from '@/client'
import { t } from '@/l10n'
import { keepAlarm, vehicles, version } from '@/live'
import { complain } from '@/ui/notify'
import { stored } from '@/ui/stored'
import { canAct } from './session'

const watchedIds = stored<number[]>('watched', [])
export const watched = computed<ReadonlySet<number>>(() => new Set(watchedIds.value))

export function toggleWatched(id: number): void {
  watchedIds.value = watched.value.has(id) ? watchedIds.value.filter((other) => other !== id) : [...watchedIds.value, id]
}

export function clearWatched(): void {
  watchedIds.value = []
}

/** The map keeps this one in its middle. */
export const followedId = shallowRef<number | null>(null)

export function toggleFollow(id: number): void {
  followedId.value = followedId.value === id ? null : id
}

/** Asks the map to show a place now; a new object each time. */
export const lookAt = shallowRef<{ latitudeDeg: number; longitudeDeg: number; zoom?: number } | null>(null)

/** Dialogs that any part of the page may open. */
export const isHelpOpen = shallowRef(false)
export const isPasswordOpen = shallowRef(false)

export function vehicleOf(id: number | null): Vehicle | undefined {
  void version.vehicles
  return id === null ? undefined : vehicles.get(id)
}

export async function claim(alarm: Alarm): Promise<void> {
  if (!canAct.value || alarm.state !== 'open') return
  try {
    keepAlarm(await api.claimAlarm(alarm.id))
  } catch (error) {
    complain(t('alarm.claimFailed'), error)
  }
}

/** 接管: what a colleague has claimed becomes ours; the record says so. */
export async function takeOver(alarm: Alarm): Promise<void> {
  if (!canAct.value || alarm.state !== 'claimed') return
  try {
    keepAlarm(await api.takeOverAlarm(alarm.id))
  } catch (error) {
    complain(t('alarm.claimFailed'), error)
  }
}
