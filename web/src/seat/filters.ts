/** What the operator has chosen to see; remembered between shifts only where forgetting would surprise. */

import { shallowRef } from 'vue'
import type { Severity } from '@/client'
import type { VehicleState } from '@/live'

/** Empty: all severities. Not remembered: a filter from yesterday must not hide today's alarms. */
export const severityFilter = shallowRef<Severity[]>([])
export const showsHandled = shallowRef(false)
/** null: vehicles in every state. */
export const stateFilter = shallowRef<VehicleState | null>(null)
export const searchText = shallowRef('')
export const alarmedOnly = shallowRef(false)

export function toggleSeverity(severity: Severity): void {
  const on = severityFilter.value
  severityFilter.value = on.includes(severity) ? on.filter((s) => s !== severity) : [...on, severity].sort()
}
