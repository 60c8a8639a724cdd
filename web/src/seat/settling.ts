/** The steps of an alarm's life, for one alarm or for many that are settled with one word. */

import { computed, shallowRef } from 'vue'
import { api, type Alarm, type AlarmsStepped } from '@/client'
import { t } from '@/l10n'
import { alarms, isPending, keepAlarms, version } from '@/live'
import { complain, say } from '@/ui/notify'
import { canAct } from './session'

export type Step = 'claim' | 'transfer' | 'handle' | 'false_alarm' | 'close'
/** What the dialog opens with; `look` only tells the story. */
export type Mode = 'look' | 'handle' | 'false_alarm' | 'transfer' | 'close'

export interface Settling {
  alarms: Alarm[]
  mode: Mode
}

/** Open while there is something in it. */
export const settling = shallowRef<Settling | null>(null)

/** The same table as the server's `alarms.lifecycle`: what can be done with an alarm in this state. */
const ALLOWED: Record<Alarm['state'], readonly Step[]> = {
  open: ['claim', 'handle', 'false_alarm'],
  claimed: ['transfer', 'handle', 'false_alarm'],
  handled: ['close'],
  false: ['close'],
  closed: [],
}

export function allows(alarm: Alarm, step: Step): boolean {
  return canAct.value && ALLOWED[alarm.state].includes(step)
}

export function settle(items: Alarm[], mode: Mode): void {
  const able = mode === 'look' ? items : items.filter((alarm) => allows(alarm, mode))
  if (able.length) settling.value = { alarms: able, mode }
}

/** The server takes this many at once. */
const AT_ONCE = 200

/** Ask in portions; what was changed is in the picture at once, also when a later portion fails. */
export async function inPortions(items: Alarm[], ask: (ids: string[]) => Promise<AlarmsStepped>): Promise<AlarmsStepped> {
  const all: AlarmsStepped = { items: [], refused: [] }
  for (let i = 0; i < items.length; i += AT_ONCE) {
    const answer = await ask(items.slice(i, i + AT_ONCE).map((alarm) => alarm.id))
    keepAlarms(answer.items as Alarm[])
    tellStepped(answer.items as Alarm[])
    all.items.push(...answer.items)
    all.refused.push(...answer.refused)
  }
  return all
}

export async function claimMany(items: Alarm[]): Promise<void> {
  const open = items.filter((alarm) => allows(alarm, 'claim'))
  if (!open.length) return
  try {
    const { items: taken, refused } = await inPortions(open, (ids) => api.claimAlarms(ids))
    say(refused.length ? t('batch.claimedSome', { n: taken.length, refused: refused.length }) : t('batch.claimed', { n: taken.length }))
  } catch (error) {
    complain(t('alarm.claimFailed'), error)
  }
}

/** Pages that show alarms of their own listen here. */
type Listener = (changed: Alarm[]) => void
const listeners = new Set<Listener>()

export function onStepped(listener: Listener): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export function tellStepped(changed: Alarm[]): void {
  for (const listener of listeners) listener(changed)
}

/* The rows that are ticked in the queue. */

const ticked = shallowRef<ReadonlySet<string>>(new Set())
let anchor: string | null = null

/** Ticked and still on the board, in no particular order. */
export const tickedAlarms = computed<Alarm[]>(() => {
  void version.alarms
  return [...ticked.value].flatMap((id) => alarms.items.get(id) ?? [])
})

export const isTicked = (id: string) => ticked.value.has(id)

/** Tick or untick a row; with `rows` (Shift), everything between it and the one ticked before. */
export function tick(id: string, rows?: readonly Alarm[]): void {
  const next = new Set(ticked.value)
  const from = rows && anchor !== null ? rows.findIndex((alarm) => alarm.id === anchor) : -1
  const to = rows ? rows.findIndex((alarm) => alarm.id === id) : -1
  if (rows && from >= 0 && to >= 0) {
    for (const alarm of rows.slice(Math.min(from, to), Math.max(from, to) + 1)) next.add(alarm.id)
  } else if (!next.delete(id)) {
    next.add(id)
  }
  anchor = id
  ticked.value = next
}

export function tickAll(items: readonly Alarm[]): void {
  ticked.value = new Set([...ticked.value, ...items.map((alarm) => alarm.id)])
}

export function untickAll(): void {
  ticked.value = new Set()
  anchor = null
}

/** Everything in the queue that waits and is of the same kinds as what is ticked. */
export const sameKind = computed<Alarm[]>(() => {
  const kinds = new Set(tickedAlarms.value.map((alarm) => alarm.rule))
  return [...alarms.items.values()].filter((alarm) => kinds.has(alarm.rule) && isPending(alarm))
})
