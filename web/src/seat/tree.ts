/** The vehicles by company, as the tree shows them: what is searched and filtered for, what stands open, how many there are. */

import { computed } from 'vue'
import type { Vehicle } from '@/client'
import { t } from '@/l10n'
import { organizations, positions, vehicles, version } from '@/live'
import { stored } from '@/ui/stored'
import { alarmedOnly, searchText, stateFilter } from './filters'
import { watched } from './watch'

export interface CompanyRow {
  kind: 'company'
  key: string
  id: number
  name: string
  online: number
  total: number
  /** The most serious open alarm of its vehicles; 0: none. */
  worst: number
}
export interface VehicleRow {
  kind: 'vehicle'
  key: string
  vehicle: Vehicle
  slot: number
}
export type TreeRow = CompanyRow | VehicleRow

/** Vehicles without a company stand under this number. */
const NO_COMPANY = 0
/** Chinese names in the order of their pinyin. */
const { compare } = new Intl.Collator('zh-CN')

const companyOf = (vehicle: Vehicle) => vehicle.organization_id ?? NO_COMPANY

const closed = stored<number[]>('tree.closed', [])
export const isClosed = (id: number) => closed.value.includes(id)

export function toggleCompany(id: number): void {
  closed.value = isClosed(id) ? closed.value.filter((other) => other !== id) : [...closed.value, id]
}

export function openCompanyOf(vehicle: Vehicle): void {
  closed.value = closed.value.filter((id) => id !== companyOf(vehicle))
}

export const vehiclesOfCompany = (id: number) => [...vehicles.values()].filter((vehicle) => companyOf(vehicle) === id)

/** Plate or phone; separators and case do not matter. */
const wanted = computed(() => searchText.value.replace(/[\s·.\-]/g, '').toUpperCase())
const isFiltered = computed(() => !!wanted.value || stateFilter.value !== null || alarmedOnly.value)

function isWanted(vehicle: Vehicle, slot: number): boolean {
  const text = wanted.value
  if (text && !vehicle.plate.toUpperCase().includes(text) && !(vehicle.phone ?? '').includes(text)) return false
  if (stateFilter.value !== null && positions.state(slot) !== stateFilter.value) return false
  return !alarmedOnly.value || positions.severity[slot]! > 0
}

const byPlate = computed(() => {
  void version.vehicles
  return [...vehicles.values()].sort((a, b) => (a.plate < b.plate ? -1 : a.plate > b.plate ? 1 : a.id - b.id))
})

export const treeRows = computed<TreeRow[]>(() => {
  void version.positions
  void version.alarms
  const names = new Map(organizations.value.map((one) => [one.id, one.name]))
  const companies = new Map<number, { head: CompanyRow; rows: VehicleRow[] }>()
  for (const vehicle of byPlate.value) {
    const slot = positions.slot(vehicle.id)
    const id = companyOf(vehicle)
    let company = companies.get(id)
    if (!company) {
      const name = names.get(id) ?? vehicle.organization ?? t('tree.noGroup')
      company = { head: { kind: 'company', key: `g${id}`, id, name, online: 0, total: 0, worst: 0 }, rows: [] }
      companies.set(id, company)
    }
    const { head } = company
    const severity = positions.severity[slot]!
    head.total++
    head.online += positions.online[slot]!
    if (severity && (!head.worst || severity < head.worst)) head.worst = severity
    if (isWanted(vehicle, slot)) company.rows.push({ kind: 'vehicle', key: `v${vehicle.id}`, vehicle, slot })
  }
  return [...companies.values()]
    .sort(({ head: a }, { head: b }) => Number(a.id === NO_COMPANY) - Number(b.id === NO_COMPANY) || compare(a.name, b.name))
    .flatMap(({ head, rows }): TreeRow[] => {
      if (isFiltered.value) return rows.length ? [head, ...rows] : []
      return isClosed(head.id) ? [head] : [head, ...rows]
    })
})

/** How many vehicles there are in each state, whatever is filtered for. */
export const stateCounts = computed(() => {
  void version.positions
  void version.vehicles
  const counts = [0, 0, 0, 0, 0]
  for (const id of vehicles.keys()) counts[positions.state(positions.slot(id))]!++
  return counts
})

export const alarmedCount = computed(() => {
  void version.vehicles
  void version.alarms
  let n = 0
  for (const id of vehicles.keys()) if (positions.severity[positions.slot(id)]) n++
  return n
})

/** Whom a command to many goes to: the ticked ones; with none ticked but a filter set, what the filter shows. */
export const chosenMany = computed<{ vehicles: Vehicle[]; words: 'tree.ticked' | 'tree.filtered' } | null>(() => {
  void version.vehicles
  const ticked = [...watched.value].flatMap((id) => vehicles.get(id) ?? [])
  if (ticked.length) return { vehicles: ticked, words: 'tree.ticked' }
  if (!isFiltered.value) return null
  const found = treeRows.value.flatMap((row) => (row.kind === 'vehicle' ? [row.vehicle] : []))
  return found.length ? { vehicles: found, words: 'tree.filtered' } : null
})
