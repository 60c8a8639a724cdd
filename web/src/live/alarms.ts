/** The alarms of the watch: all open and claimed ones, and what was handled in the last minutes. */

import type { Alarm, Stats } from '@/client'
import type { PositionStore } from './positions'

/** A handled alarm stays in sight this long after its last step. */
const KEEP_HANDLED_MS = 10 * 60_000
/** As many as the server's board holds; beyond, the least pressing go, as they do there. */
const CAPACITY = 2000
/** An alarm's life goes one way. */
const STAGE: Record<Alarm['state'], number> = { open: 0, claimed: 1, handled: 2, false: 2, closed: 3 }

export function isPending(alarm: Alarm): boolean {
  return alarm.state === 'open' || alarm.state === 'claimed'
}

/** Rings and counts: nobody has taken it yet, and it is news, not backfill. */
export function isCalling(alarm: Alarm): boolean {
  return alarm.state === 'open' && !alarm.late
}

/** Late ones last, then by severity, then the newest first. */
export function byUrgency(a: Alarm, b: Alarm): number {
  return (
    Number(isPending(b)) - Number(isPending(a)) ||
    Number(a.late) - Number(b.late) ||
    a.severity - b.severity ||
    (a.begin_time < b.begin_time ? 1 : a.begin_time > b.begin_time ? -1 : a.id < b.id ? -1 : 1)
  )
}

export class AlarmStore {
  readonly items = new Map<string, Alarm>()
  private readonly worst = new Map<number, number>()

  constructor(private readonly positions: PositionStore) {}

  reset(alarms: Alarm[]): void {
    this.items.clear()
    for (const alarm of alarms) this.items.set(alarm.id, alarm)
    this.rank()
  }

  /** What the stream tells. Returns the alarms that were not known before. */
  apply(alarms: Alarm[]): Alarm[] {
    const fresh = alarms.filter((alarm) => !this.items.has(alarm.id))
    for (const alarm of alarms) this.items.set(alarm.id, alarm)
    if (this.items.size > CAPACITY) this.shed()
    if (alarms.length) this.rank()
    return fresh
  }

  /** What a request was answered. One that was long on its way takes nothing back that the stream has told since. */
  keep(alarms: Alarm[]): void {
    this.apply(alarms.filter((alarm) => STAGE[alarm.state] >= STAGE[this.items.get(alarm.id)?.state ?? 'open']))
  }

  /** Let go of what was dealt with a while ago. Returns whether anything went. */
  expire(nowMs: number): boolean {
    let gone = false
    for (const [id, alarm] of this.items) {
      if (isPending(alarm)) continue
      if (nowMs - Date.parse(alarm.handled_at ?? alarm.updated_time) < KEEP_HANDLED_MS) continue
      this.items.delete(id)
      gone = true
    }
    return gone
  }

  ofVehicle(vehicleId: number): Alarm[] {
    return [...this.items.values()].filter((alarm) => alarm.vehicle_id === vehicleId).sort(byUrgency)
  }

  private shed(): void {
    for (const alarm of [...this.items.values()].sort(byUrgency).slice(CAPACITY)) this.items.delete(alarm.id)
  }

  private rank(): void {
    const { positions, worst } = this
    worst.clear()
    for (const alarm of this.items.values()) {
      if (!isPending(alarm) || alarm.late) continue
      const known = worst.get(alarm.vehicle_id)
      if (known === undefined || alarm.severity < known) worst.set(alarm.vehicle_id, alarm.severity)
    }
    positions.severity.fill(0)
    for (const [vehicleId, severity] of worst) {
      const slot = positions.slot(vehicleId)
      positions.severity[slot] = severity
    }
  }
}

/** Open alarms that the database counts and the board does not show; 0 when all are here. */
export function missingFrom(store: AlarmStore, stats: Stats): number {
  const counted = Object.values(stats.alarms).reduce((sum, n) => sum + n, 0)
  let shown = 0
  for (const alarm of store.items.values()) if (isCalling(alarm)) shown++
  return Math.max(0, counted - shown)
}
