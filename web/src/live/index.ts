/** The one live picture of the page: positions, alarms, commands, counters, and how old they are. */

import { computed, shallowReactive, shallowRef } from 'vue'
import { api, type Alarm, type Command, type CommandGroup, type Geofence, type Media, type Organization, type Stats, type Vehicle } from '@/client'
import { AlarmStore, missingFrom } from './alarms'
import { LiveController, type LinkPhase } from './controller'
import { Reading } from './reading'
import { PositionStore } from './positions'

export { byUrgency, isCalling, isPending } from './alarms'
export { STATE_KEYS, VehicleState, type StateKey } from './positions'

/** Data older than this is not a live picture any more. */
export const STALE_MS = 10_000
const PATIENCE_MS = 15_000
const KEEP_COMMANDS = 500
const KEEP_GROUPS = 100
const KEEP_MEDIA = 500

export const positions = new PositionStore()
export const alarms = new AlarmStore(positions)
export const vehicles = new Map<number, Vehicle>()
export const commands = new Map<string, Command>()
export const commandGroups = new Map<string, CommandGroup>()
/** What came up while this page was open; older media are asked for where they are shown. */
export const media = new Map<number, Media>()

/** Counters that change when the thing of that name did; read one inside a computed to follow it. */
export const version = shallowReactive({ snapshots: 0, positions: 0, alarms: 0, vehicles: 0, commands: 0, groups: 0, media: 0, fences: 0 })

export const phase = shallowRef<LinkPhase>('connecting')
export const stats = shallowRef<Stats | null>(null)
export const organizations = shallowRef<Organization[]>([])
export const fences = shallowRef<Geofence[]>([])
/** The server's clock in ms, ticking once a second. */
export const now = shallowRef(Date.now())
/** When the last message came, by this machine's clock that never jumps. */
const lastMessage = shallowRef(performance.now())
const monotonic = shallowRef(performance.now())
let clockOffsetMs = 0

export const dataAgeMs = computed(() => Math.max(0, monotonic.value - lastMessage.value))
export const isStale = computed(() => dataAgeMs.value > STALE_MS)
export const hasData = computed(() => stats.value !== null)
const isTold = (...codes: string[]) => !!stats.value?.notices.some((one) => codes.includes(one.code))
export const isDatabaseDown = computed(() => stats.value?.database === 'down' || isTold('database_away'))
/** Vehicles stand where they were last seen: nothing comes from the server, or nothing to it. */
export const isFrozen = computed(() => phase.value !== 'live' || isStale.value || isTold('gateway_away', 'journal_failing'))
/** Alarms come that much later than what happened. */
export const isBehind = computed(() => (stats.value?.journal_lag_s ?? 0) * 1000 > STALE_MS)
/** New alarms may be waiting unseen: nothing comes from the vehicles, or nothing of it is judged. */
export const isBlind = computed(() => isFrozen.value || isDatabaseDown.value || isBehind.value)
/** How many open alarms the server counts that are not on the board: it holds the most pressing ones only. */
export const unlisted = shallowRef(0)

type AlarmListener = (fresh: Alarm[]) => void
type CommandListener = (changed: Command[]) => void
type MediaListener = (fresh: Media[]) => void
const alarmListeners = new Set<AlarmListener>()
const commandListeners = new Set<CommandListener>()
const mediaListeners = new Set<MediaListener>()

export function onFreshAlarms(listener: AlarmListener): () => void {
  alarmListeners.add(listener)
  return () => alarmListeners.delete(listener)
}

export function onCommands(listener: CommandListener): () => void {
  commandListeners.add(listener)
  return () => commandListeners.delete(listener)
}

export function onMedia(listener: MediaListener): () => void {
  mediaListeners.add(listener)
  return () => mediaListeners.delete(listener)
}

let onRefused: () => void = () => {}
let clock: ReturnType<typeof setInterval> | undefined

const controller = new LiveController(
  `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/api/v1/live`,
  {
    phase: (next) => {
      phase.value = next
    },
    snapshot(message) {
      heard(message.time)
      positions.apply(message.positions)
      // A server that began without its database knows nothing yet: what was on the board stays, and goes on ringing.
      if (message.stats.database === 'up' || message.alarms.length) {
        positions.setOnline(message.online)
        alarms.reset(message.alarms)
      }
      stats.value = message.stats
      account(message.stats)
      version.snapshots++
      version.positions++
      version.alarms++
      // What changed while we were away is in no delta.
      for (const list of [vehicleList, fenceList, commandList]) list.ask()
    },
    delta(message) {
      heard(message.time)
      positions.apply(message.positions)
      positions.applyOnline(message.online)
      const fresh = alarms.apply(message.alarms)
      const hasExpired = alarms.expire(now.value)
      stats.value = message.stats
      if (message.positions.length || message.online.length) version.positions++
      if (message.alarms.length || hasExpired) version.alarms++
      if (fresh.length) for (const listener of alarmListeners) listener(fresh)
      if (message.commands.length) {
        keepCommands(message.commands)
        for (const listener of commandListeners) listener(message.commands)
      }
      if (message.command_groups.length) keepGroups(message.command_groups)
      if (message.media.length) keepMedia(message.media)
      if (message.fleet.some((name) => ['vehicles', 'terminals', 'limits', 'organizations'].includes(name))) vehicleList.ask()
      if (message.fleet.includes('geofences')) fenceList.ask()
      account(message.stats)
    },
    refused: () => onRefused(),
  },
)

/** Counts and alarms are read one after the other: only a difference that stays is one. */
let countedMoreSince: number | null = null
function account(told: Stats): void {
  const missing = missingFrom(alarms, told)
  countedMoreSince = missing ? (countedMoreSince ?? performance.now()) : null
  unlisted.value = countedMoreSince !== null && performance.now() - countedMoreSince > PATIENCE_MS ? missing : 0
}

function heard(time: string): void {
  lastMessage.value = performance.now()
  clockOffsetMs = Date.parse(time) - Date.now()
  tick()
}

function tick(): void {
  now.value = Date.now() + clockOffsetMs
  monotonic.value = performance.now()
}

export function startLive(refused: () => void): void {
  onRefused = refused
  clock ??= setInterval(tick, 1000)
  lastMessage.value = performance.now()
  controller.start()
}

export function stopLive(): void {
  clearInterval(clock)
  clock = undefined
  controller.stop()
  for (const list of [vehicleList, fenceList, commandList]) list.stop()
  positions.clear()
  alarms.reset([])
  commands.clear()
  commandGroups.clear()
  media.clear()
  vehicles.clear()
  organizations.value = []
  fences.value = []
  stats.value = null
  unlisted.value = 0
}

export function reconnectLive(): void {
  controller.reconnect()
}

/** Put an answer of the server into the picture at once; the delta that follows says the same. */
export function keepAlarm(alarm: Alarm): void {
  keepAlarms([alarm])
}

export function keepAlarms(changed: Alarm[]): void {
  alarms.keep(changed)
  version.alarms++
}

export function keepCommands(changed: Command[]): void {
  for (const command of changed) {
    const known = commands.get(command.id)
    if (!known || known.updated_at <= command.updated_at) commands.set(command.id, command)
  }
  while (commands.size > KEEP_COMMANDS) {
    const oldest = commands.keys().next().value
    if (oldest === undefined) break
    commands.delete(oldest)
  }
  version.commands++
}

export function keepGroups(changed: CommandGroup[]): void {
  for (const group of changed) commandGroups.set(group.id, group)
  const byAge = [...commandGroups.values()].sort((a, b) => (a.created_at < b.created_at ? 1 : -1))
  for (const group of byAge.slice(KEEP_GROUPS)) commandGroups.delete(group.id)
  version.groups++
}

function keepMedia(fresh: Media[]): void {
  for (const one of fresh) media.set(one.id, one)
  for (const id of media.keys()) {
    if (media.size <= KEEP_MEDIA) break
    media.delete(id)
  }
  version.media++
  for (const listener of mediaListeners) listener(fresh)
}

const vehicleList = new Reading(
  () => Promise.all([api.vehicles(), api.organizations()]),
  ([list, groups]) => {
    vehicles.clear()
    for (const vehicle of list) {
      vehicles.set(vehicle.id, vehicle)
      positions.slot(vehicle.id)
    }
    organizations.value = groups
    version.vehicles++
  },
)

const fenceList = new Reading(api.geofences, (list) => {
  fences.value = list
  version.fences++
})

const commandList = new Reading(
  () => Promise.all([api.commands({ limit: 100 }), api.commandGroups({ limit: 50 })]),
  ([page, groups]) => {
    keepCommands([...page.items].reverse())
    keepGroups(groups.items)
  },
)
