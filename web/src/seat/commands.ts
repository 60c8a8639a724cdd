/** What may be asked of a terminal, as the console offers it: where it stands in the menu, and what its form asks. */

import { computed, shallowRef } from 'vue'
import { api, type CommandKind, type CommandKindRow, type NewCommand, type Vehicle } from '@/client'
import { t, type Key } from '@/l10n'
import { keepCommands } from '@/live'
import { complain, say } from '@/ui/notify'
import { stamped } from '@/ui/plates'
import { canAct, isAdmin, user } from './session'

export type Values = Record<string, unknown>

export interface Option {
  value: string | number
  words: Key
}

interface Common {
  name: string
  words: Key
  hint?: Key
  /** Shown, and sent, only then. */
  when?: (values: Values) => boolean
}
export type Field = Common &
  (
    | { type: 'text' | 'hex'; initial?: string; isOptional?: boolean; max?: number }
    | { type: 'number'; min: number; max: number; unit?: string; initial?: number; isOptional?: boolean }
    | { type: 'choice' | 'choices'; options: Option[]; initial: unknown }
    | { type: 'flag'; initial: boolean }
    | { type: 'time' }
    | { type: 'lines'; initial?: string; isOptional?: boolean }
    | { type: 'fence' | 'firmware' }
  )

export type Section = 'tell' | 'look' | 'ask' | 'set' | 'danger'

export interface Form {
  kind: CommandKind
  section: Section
  fields: Field[]
  /** From the form's values to the members of the request; absent: as they are. */
  build?: (values: Values) => Values
  hint?: Key
}

const options = (prefix: string, values: (string | number)[]): Option[] => values.map((value) => ({ value, words: `${prefix}.${value}` as Key }))
const SHAPES = options('cmd.shape', ['circle', 'rectangle', 'polygon', 'route'])
const MEDIA = options('mediaType', ['image', 'audio', 'video'])
const EVENTS = options('mediaEvent', ['platform_order', 'timer', 'robbery', 'collision', 'door_open', 'door_close', 'door_closed_moving', 'distance'])
const ACTIONS = options('cmd.listAction', ['append', 'replace', 'modify', 'delete_all'])
const RESOLUTIONS: Option[] = ['320x240', '640x480', '800x600', '1024x768', '352x288', '704x576', 'lowest', 'highest'].map((value) => ({ value, words: `cmd.resolution.${value}` as Key }))

/** `3 左转` a line; a number in front is optional and counts from 1. */
function numbered(text: unknown, key: 'id' | 'type', label: 'text' | 'name'): Values[] {
  const lines = String(text ?? '').split('\n').map((line) => line.trim()).filter(Boolean)
  return lines.map((line, i) => {
    const [, number, rest] = /^(\d+)[\s.、:：]+(.*)$/.exec(line) ?? [null, String(i + 1), line]
    return { [key]: Number(number), [label]: rest }
  })
}

const numbers = (text: unknown): number[] => String(text ?? '').split(/[\s,，;；]+/).filter(Boolean).map(Number)
const isFilm = (v: Values) => v.action === 'record'
const isShot = (v: Values) => v.action === 'photo'
const isSetting = (v: Values) => v.action !== 'delete_all'
const toServer = (v: Values) => v.command === 'connect_to_server' || v.command === 'wireless_upgrade'
const toUpgrade = (v: Values) => v.command === 'wireless_upgrade'
const SERVER_FIELDS = ['apn', 'user', 'password', 'address', 'tcp_port', 'udp_port', 'url', 'time_limit_min'] as const

export const FORMS: Form[] = [
  { kind: 'text', section: 'tell', fields: [] },
  {
    kind: 'question', section: 'tell',
    fields: [
      { type: 'text', name: 'text', words: 'cmd.question' },
      { type: 'lines', name: 'answers', words: 'cmd.answers', hint: 'cmd.answersHint', initial: '是\n否' },
      { type: 'flag', name: 'urgent', words: 'text.urgent', initial: false },
      { type: 'flag', name: 'tts', words: 'text.tts', initial: true },
    ],
    build: (v) => ({ ...v, answers: numbered(v.answers, 'id', 'text') }),
  },
  {
    kind: 'phone_call', section: 'tell', hint: 'cmd.callHint',
    fields: [
      { type: 'text', name: 'number', words: 'cmd.number', max: 20 },
      { type: 'flag', name: 'listen', words: 'cmd.listen', initial: false },
    ],
  },
  {
    kind: 'photo', section: 'look',
    fields: [
      { type: 'choice', name: 'action', words: 'cmd.photoAction', options: options('cmd.photoAction', ['photo', 'record', 'stop']), initial: 'photo' },
      { type: 'number', name: 'channel', words: 'cmd.channel', min: 1, max: 255, initial: 1 },
      { type: 'number', name: 'count', words: 'cmd.count', min: 1, max: 100, initial: 1, when: isShot },
      { type: 'number', name: 'interval_s', words: 'cmd.shotInterval', min: 0, max: 65535, unit: 's', initial: 0, when: (v) => isShot(v) && Number(v.count) > 1 },
      { type: 'number', name: 'film_s', words: 'cmd.filmLength', min: 1, max: 65535, unit: 's', initial: 10, when: isFilm },
      { type: 'choice', name: 'resolution', words: 'cmd.resolution', options: RESOLUTIONS, initial: '640x480', when: (v) => v.action !== 'stop' },
      { type: 'number', name: 'quality', words: 'cmd.quality', hint: 'cmd.qualityHint', min: 1, max: 10, initial: 5, when: (v) => v.action !== 'stop' },
      { type: 'flag', name: 'store_only', words: 'cmd.storeOnly', initial: false, when: (v) => v.action !== 'stop' },
    ],
    build: ({ film_s, ...v }) => (film_s === undefined ? v : { ...v, interval_s: film_s }),
  },
  {
    kind: 'recording', section: 'look', hint: 'cmd.recordingHint',
    fields: [
      { type: 'choice', name: 'action', words: 'cmd.recording', options: options('cmd.recording', ['start', 'stop']), initial: 'start' },
      { type: 'number', name: 'duration_s', words: 'cmd.duration', min: 0, max: 65535, unit: 's', initial: 30, when: (v) => v.action === 'start' },
      { type: 'flag', name: 'store_only', words: 'cmd.storeOnly', initial: false, when: (v) => v.action === 'start' },
    ],
  },
  {
    kind: 'media_search', section: 'look',
    fields: [
      { type: 'choice', name: 'media', words: 'cmd.media', options: MEDIA, initial: 'image' },
      { type: 'number', name: 'channel', words: 'cmd.channel', hint: 'cmd.channelAll', min: 0, max: 255, initial: 0 },
      { type: 'choice', name: 'event', words: 'cmd.event', options: EVENTS, initial: 'platform_order' },
      { type: 'time', name: 'begin', words: 'track.from' },
      { type: 'time', name: 'end', words: 'track.to' },
    ],
  },
  {
    kind: 'media_upload', section: 'look',
    fields: [
      { type: 'number', name: 'media_id', words: 'cmd.mediaId', hint: 'cmd.mediaIdHint', min: 1, max: 0xffffffff, isOptional: true },
      { type: 'choice', name: 'media', words: 'cmd.media', options: MEDIA, initial: 'image', when: (v) => !v.media_id },
      { type: 'number', name: 'channel', words: 'cmd.channel', hint: 'cmd.channelAll', min: 0, max: 255, initial: 0, when: (v) => !v.media_id },
      { type: 'choice', name: 'event', words: 'cmd.event', options: EVENTS, initial: 'platform_order', when: (v) => !v.media_id },
      { type: 'time', name: 'begin', words: 'track.from', when: (v) => !v.media_id },
      { type: 'time', name: 'end', words: 'track.to', when: (v) => !v.media_id },
      { type: 'flag', name: 'delete', words: 'cmd.deleteAfter', initial: false },
    ],
  },
  { kind: 'locate', section: 'ask', fields: [] },
  { kind: 'attributes', section: 'ask', fields: [] },
  { kind: 'driver', section: 'ask', fields: [] },
  { kind: 'tachograph', section: 'ask', hint: 'cmd.tachographHint', fields: [{ type: 'hex', name: 'command', words: 'cmd.tachograph', initial: '00', max: 2 }], build: (v) => ({ command: parseInt(String(v.command), 16) }) },
  { kind: 'area_query', section: 'ask', fields: [{ type: 'choice', name: 'shape', words: 'cmd.shape', options: SHAPES, initial: 'polygon' }] },
  { kind: 'link_test', section: 'ask', fields: [] },
  {
    kind: 'track', section: 'set', hint: 'cmd.trackHint',
    fields: [
      { type: 'number', name: 'interval_s', words: 'cmd.interval', hint: 'cmd.intervalHint', min: 0, max: 65535, unit: 's', initial: 5 },
      { type: 'number', name: 'duration_s', words: 'cmd.trackDuration', min: 1, max: 0xffffffff, unit: 's', initial: 300, when: (v) => Number(v.interval_s) > 0 },
    ],
  },
  { kind: 'parameters_set', section: 'set', fields: [] },
  {
    kind: 'area_set', section: 'set', hint: 'cmd.areaHint',
    fields: [
      { type: 'fence', name: 'geofence_id', words: 'cmd.fence' },
      { type: 'choice', name: 'action', words: 'cmd.areaAction', options: options('cmd.listAction', ['append', 'replace', 'modify']), initial: 'append' },
      { type: 'number', name: 'max_speed_kmh', words: 'cmd.areaSpeed', min: 1, max: 255, unit: 'km/h', isOptional: true },
      { type: 'number', name: 'overspeed_duration_s', words: 'cmd.areaDuration', min: 0, max: 255, unit: 's', isOptional: true, when: (v) => !!v.max_speed_kmh },
    ],
  },
  {
    kind: 'area_delete', section: 'set', hint: 'cmd.areaDeleteHint',
    fields: [
      { type: 'choice', name: 'shape', words: 'cmd.shape', options: SHAPES, initial: 'polygon' },
      { type: 'text', name: 'area_ids', words: 'cmd.areaIds', isOptional: true },
    ],
    build: (v) => ({ ...v, area_ids: numbers(v.area_ids) }),
  },
  { kind: 'vehicle_control', section: 'set', fields: [{ type: 'choice', name: 'doors', words: 'cmd.doors', options: options('cmd.doors', ['lock', 'unlock']), initial: 'lock' }] },
  {
    kind: 'alarm_confirm', section: 'set',
    fields: [
      { type: 'choices', name: 'alarms', words: 'cmd.alarms', options: options('cmd.alarms', ['emergency', 'danger_warning', 'area_in_out', 'route_in_out', 'segment_time', 'illegal_ignition', 'illegal_movement']), initial: ['emergency'] },
    ],
  },
  {
    kind: 'events', section: 'set',
    fields: [
      { type: 'choice', name: 'action', words: 'cmd.listAction', options: ACTIONS, initial: 'append' },
      { type: 'lines', name: 'events', words: 'cmd.events', hint: 'cmd.numberedHint', when: isSetting },
    ],
    build: (v) => ({ ...v, events: isSetting(v) ? numbered(v.events, 'id', 'text') : [] }),
  },
  {
    kind: 'menu', section: 'set',
    fields: [
      { type: 'choice', name: 'action', words: 'cmd.listAction', options: ACTIONS, initial: 'append' },
      { type: 'lines', name: 'items', words: 'cmd.items', hint: 'cmd.numberedHint', when: isSetting },
    ],
    build: (v) => ({ ...v, items: isSetting(v) ? numbered(v.items, 'type', 'name') : [] }),
  },
  {
    kind: 'phonebook', section: 'set',
    fields: [
      { type: 'choice', name: 'action', words: 'cmd.listAction', options: ACTIONS, initial: 'append' },
      { type: 'lines', name: 'contacts', words: 'cmd.contacts', hint: 'cmd.contactsHint', when: isSetting },
    ],
    build: (v) => ({ ...v, contacts: isSetting(v) ? contacts(v.contacts) : [] }),
  },
  {
    kind: 'control', section: 'danger', hint: 'cmd.controlHint',
    fields: [
      { type: 'choice', name: 'command', words: 'cmd.control', options: options('cmd.control', ['reset', 'factory_reset', 'power_off', 'close_data_link', 'close_radio', 'connect_to_server', 'wireless_upgrade']), initial: 'reset' },
      { type: 'text', name: 'apn', words: 'cmd.apn', isOptional: true, when: toServer },
      { type: 'text', name: 'user', words: 'cmd.dialUser', isOptional: true, when: toServer },
      { type: 'text', name: 'password', words: 'cmd.dialPassword', isOptional: true, when: toServer },
      { type: 'text', name: 'address', words: 'cmd.address', isOptional: true, when: toServer },
      { type: 'number', name: 'tcp_port', words: 'cmd.tcpPort', min: 0, max: 65535, isOptional: true, when: toServer },
      { type: 'number', name: 'udp_port', words: 'cmd.udpPort', min: 0, max: 65535, isOptional: true, when: toServer },
      { type: 'text', name: 'url', words: 'cmd.url', isOptional: true, when: toUpgrade },
      { type: 'number', name: 'time_limit_min', words: 'cmd.timeLimit', min: 0, max: 65535, unit: 'min', isOptional: true, when: toServer },
    ],
    build: (v) => {
      const parameters = Object.fromEntries(SERVER_FIELDS.filter((name) => v[name] !== undefined).map((name) => [name, v[name]]))
      return { command: v.command, ...(toServer(v) ? { parameters } : {}) }
    },
  },
  {
    kind: 'oil_power', section: 'danger', hint: 'cmd.oilHint',
    fields: [
      { type: 'choice', name: 'action', words: 'cmd.oil', options: options('cmd.oil', ['cut', 'restore']), initial: 'restore' },
      { type: 'number', name: 'control_word', words: 'cmd.controlWord', hint: 'cmd.controlWordHint', min: 8, max: 255, isOptional: true },
    ],
  },
  { kind: 'upgrade', section: 'danger', hint: 'cmd.upgradeHint', fields: [{ type: 'firmware', name: 'firmware_id', words: 'cmd.firmware' }] },
  {
    kind: 'raw', section: 'danger', hint: 'cmd.rawHint',
    fields: [
      { type: 'hex', name: 'message_id', words: 'cmd.messageId', initial: '8', max: 4 },
      { type: 'hex', name: 'body', words: 'cmd.body', isOptional: true },
      { type: 'hex', name: 'answer_id', words: 'cmd.answerId', isOptional: true, max: 4 },
    ],
    build: (v) => ({ ...v, message_id: parseInt(String(v.message_id), 16), ...(v.answer_id ? { answer_id: parseInt(String(v.answer_id), 16) } : {}) }),
  },
] // prettier-ignore

/** `张师傅 13900000000` a line. */
function contacts(text: unknown): Values[] {
  const lines = String(text ?? '').split('\n').map((line) => line.trim()).filter(Boolean)
  return lines.map((line) => {
    const [name, number] = line.split(/[\s,，:：]+/)
    return { name, number: number ?? '' }
  })
}

export const SECTIONS: Section[] = ['tell', 'look', 'ask', 'set', 'danger']
export const formOf = (kind: CommandKind): Form => FORMS.find((form) => form.kind === kind)!

/* What the server says of the kinds: asked for once. */

const kindRows = shallowRef<CommandKindRow[]>([])
let isAsked = false
export function readKinds(): void {
  if (isAsked) return
  isAsked = true
  api.commandKinds().then(
    (rows) => (kindRows.value = rows),
    () => (isAsked = false),
  )
}
const rowOf = (kind: CommandKind) => kindRows.value.find((row) => row.kind === kind)
export const isDangerous = (kind: CommandKind) => rowOf(kind)?.dangerous ?? formOf(kind).section === 'danger'
export const mayDanger = computed(() => isAdmin.value || (canAct.value && user.value?.dangerous_commands === true))

/** Why this may not be sent; '' when it may. */
export function whyNot(kind: CommandKind, vehicle?: Vehicle): string {
  if (!canAct.value) return t('cmd.noRole')
  if (isDangerous(kind) && !mayDanger.value) return t('cmd.noDanger')
  if (!vehicle) return ''
  if (!vehicle.phone) return t('problem.no-terminal')
  const edition = vehicle.terminals[0]?.edition ?? ''
  const row = rowOf(kind)
  return row && edition && !row.editions.includes(edition) ? t('cmd.noEdition', { edition }) : ''
}

/** Raw bytes are an administrator's; everybody else is not shown what they can never have. */
export const offeredForms = computed(() => FORMS.filter((form) => form.kind !== 'raw' || isAdmin.value))

/* The dialog. */

export interface Commanding {
  kind: CommandKind
  vehicles: Vehicle[]
  /** All of a company's, by its number, whoever they are when it is sent. */
  organization?: { id: number; name: string }
}
export const commanding = shallowRef<Commanding | null>(null)
export const isMany = (what: Commanding) => what.vehicles.length !== 1 || !!what.organization

export function command(kind: CommandKind, vehicle: Vehicle | undefined): boolean {
  if (!vehicle || whyNot(kind, vehicle)) return false
  commanding.value = { kind, vehicles: [vehicle] }
  return true
}

export function commandMany(kind: CommandKind, vehicles: Vehicle[], organization?: { id: number; name: string }): void {
  if (vehicles.length && !whyNot(kind)) commanding.value = { kind, vehicles, organization }
}

/** What needs no words is sent at once. */
export async function sendPlain(kind: 'locate' | 'attributes' | 'driver' | 'link_test', vehicle: Vehicle | undefined): Promise<void> {
  if (!vehicle || whyNot(kind, vehicle)) return
  try {
    keepCommands([await api.command({ vehicle_id: vehicle.id, kind } as NewCommand)])
    say(kind === 'locate' ? t('command.locateQueued', { plate: stamped(vehicle.plate) }) : t('cmd.sent', { kind: t(`kind.${kind}`) }))
  } catch (error) {
    complain(t('command.failed'), error)
  }
}

/** The command whose story is told. */
export const lookedAt = shallowRef<string | null>(null)
/** The command or group that waits for its second word. */
export const confirming = shallowRef<{ command?: string; group?: string } | null>(null)
