/** Where every vehicle is now, in columns: one slot a vehicle, outside Vue's reactivity. */

import type { PositionRow } from '@/client'

export const enum VehicleState {
  Moving = 0,
  Standing = 1,
  Parked = 2,
  Offline = 3,
  NoFix = 4,
}

export const STATE_KEYS = ['moving', 'standing', 'parked', 'offline', 'nofix'] as const
export type StateKey = (typeof STATE_KEYS)[number]

const ACC_ON = 1
const HAS_FIX = 2
/** Below this a receiver's noise looks like driving. */
const MOVING_KMH = 3

export class PositionStore {
  size = 0
  readonly slots = new Map<number, number>()
  vehicleId = new Int32Array(0)
  timeMs = new Float64Array(0) // NaN: never reported
  receivedMs = new Float64Array(0)
  latitudeDeg = new Float64Array(0)
  longitudeDeg = new Float64Array(0)
  altitudeM = new Float32Array(0)
  speedKmh = new Float32Array(0)
  headingDeg = new Float32Array(0)
  alarmFlags = new Uint32Array(0)
  statusFlags = new Uint32Array(0)
  mileageKm = new Float64Array(0) // NaN: not reported
  online = new Uint8Array(0)
  /** Worst severity among the vehicle's open alarms, 0 when it has none; kept by the alarm store. */
  severity = new Uint8Array(0)

  /** The vehicle's slot, made when it has none yet. */
  slot(vehicleId: number): number {
    const known = this.slots.get(vehicleId)
    if (known !== undefined) return known
    if (this.size === this.vehicleId.length) this.grow()
    const slot = this.size++
    this.slots.set(vehicleId, slot)
    this.vehicleId[slot] = vehicleId
    this.timeMs[slot] = NaN
    this.mileageKm[slot] = NaN
    return slot
  }

  apply(rows: PositionRow[]): void {
    for (const row of rows) {
      const slot = this.slot(row[0])
      // A resent older fix never moves the map backwards.
      if (row[1] < this.timeMs[slot]!) continue
      this.timeMs[slot] = row[1]
      this.receivedMs[slot] = row[2]
      this.latitudeDeg[slot] = row[3]
      this.longitudeDeg[slot] = row[4]
      this.altitudeM[slot] = row[5]
      this.speedKmh[slot] = row[6]
      this.headingDeg[slot] = row[7]
      this.alarmFlags[slot] = row[8]
      this.statusFlags[slot] = row[9]
      this.mileageKm[slot] = row[10] ?? NaN
    }
  }

  /** A snapshot names everyone who is on-line; the rest are not. */
  setOnline(vehicleIds: number[]): void {
    this.online.fill(0)
    for (const id of vehicleIds) {
      const slot = this.slot(id)
      this.online[slot] = 1
    }
  }

  applyOnline(changes: [number, boolean][]): void {
    for (const [id, isOnline] of changes) {
      const slot = this.slot(id)
      this.online[slot] = isOnline ? 1 : 0
    }
  }

  hasPosition(slot: number): boolean {
    return !Number.isNaN(this.timeMs[slot]!)
  }

  state(slot: number): VehicleState {
    if (!this.online[slot] || !this.hasPosition(slot)) return VehicleState.Offline
    const status = this.statusFlags[slot]!
    if (!(status & HAS_FIX)) return VehicleState.NoFix
    if (this.speedKmh[slot]! >= MOVING_KMH) return VehicleState.Moving
    return status & ACC_ON ? VehicleState.Standing : VehicleState.Parked
  }

  clear(): void {
    this.size = 0
    this.slots.clear()
    this.online.fill(0)
    this.severity.fill(0)
  }

  private grow(): void {
    const capacity = Math.max(1024, this.vehicleId.length * 2)
    const larger = <T extends { set(from: T): void }>(make: new (length: number) => T, old: T): T => {
      const array = new make(capacity)
      array.set(old)
      return array
    }
    this.vehicleId = larger(Int32Array, this.vehicleId)
    this.timeMs = larger(Float64Array, this.timeMs)
    this.receivedMs = larger(Float64Array, this.receivedMs)
    this.latitudeDeg = larger(Float64Array, this.latitudeDeg)
    this.longitudeDeg = larger(Float64Array, this.longitudeDeg)
    this.altitudeM = larger(Float32Array, this.altitudeM)
    this.speedKmh = larger(Float32Array, this.speedKmh)
    this.headingDeg = larger(Float32Array, this.headingDeg)
    this.alarmFlags = larger(Uint32Array, this.alarmFlags)
    this.statusFlags = larger(Uint32Array, this.statusFlags)
    this.mileageKm = larger(Float64Array, this.mileageKm)
    this.online = larger(Uint8Array, this.online)
    this.severity = larger(Uint8Array, this.severity)
  }
}
