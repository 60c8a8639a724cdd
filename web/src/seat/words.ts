/** How an alarm, a command or a vehicle's state reads in a line. */

import type { Alarm, Command, CommandGroup } from '@/client'
import { isChinese, joined, t, word } from '@/l10n'
import { fences, isPending, now } from '@/live'
import { placeName } from '@/map/core/places'
import { parse } from '@/ui/format'
import { faultWords } from '@/ui/problems'
import { FORMS } from './commands'
import { hexId, parameterName, parameterValue } from './parameters'

export function ruleName(alarm: Pick<Alarm, 'rule_name' | 'rule_name_en' | 'rule'>): string {
  const name = (isChinese.value ? alarm.rule_name : alarm.rule_name_en) || alarm.rule
  return name.charAt(0).toUpperCase() + name.slice(1)
}

const number = (value: unknown): string | null => (typeof value === 'number' ? String(Math.round(value)) : null)

/** The fact that matters: `98/80 km/h`, the region's name. */
export function alarmFact(alarm: Alarm): string {
  const { facts } = alarm
  const peak = number(facts.max_speed_kmh)
  const limit = number(facts.limit_kmh)
  if (peak && limit) return `${peak}/${limit} km/h`
  if (typeof facts.fence_name === 'string') return facts.fence_name
  if (peak) return `${peak} km/h`
  return ''
}

export function alarmPlace(alarm: Alarm): string {
  if (alarm.latitude_deg === null || alarm.longitude_deg === null) return ''
  return placeName(alarm.latitude_deg, alarm.longitude_deg)
}

export function alarmSentence(alarm: Alarm): string {
  return [alarm.plate, ruleName(alarm), alarmFact(alarm), alarmPlace(alarm)].filter(Boolean).join(' ')
}

/** How long it has been waiting for somebody, or how long it took. */
export function waitMs(alarm: Alarm): number {
  return (isPending(alarm) ? now.value : parse(alarm.handled_at ?? alarm.updated_time)) - parse(alarm.begin_time)
}

type Said = Pick<Command | CommandGroup, 'kind' | 'payload'>

/** What a command says, in a line: `通道 1 · 3 张`, `最高速度 100 km/h`. */
export function commandWords(command: Said): string {
  const { kind, payload } = command
  if (typeof payload.text === 'string') return payload.text
  if (kind === 'parameters_set') {
    const parameters = payload.parameters as { id: number; value?: unknown; raw?: string }[]
    return parameters.map((one) => `${parameterName(one.id)} ${one.raw ?? parameterValue(one.id, one.value)}`).join(' · ')
  }
  if (kind === 'upgrade') return [payload.version, payload.manufacturer_id].filter(Boolean).join(' · ')
  if (kind === 'area_set') return String(payload.name ?? fences.value.find((fence) => fence.id === payload.geofence_id)?.name ?? '')
  if (kind === 'raw') return `${hexId(Number(payload.message_id))} ${String(payload.body ?? '')}`
  const form = FORMS.find((one) => one.kind === kind)
  const words = (form?.fields ?? []).filter((field) => !field.when || field.when(payload)).map((field) => {
    const value = payload[field.name]
    if (value === undefined || value === null || value === '') return ''
    if (field.type === 'choice') return optionWords(field.options, value)
    if (field.type === 'choices') return joined((value as unknown[]).map((one) => optionWords(field.options, one)), '、')
    if (field.type === 'flag') return value === true && field.initial === false ? t(field.words) : ''
    if (field.type === 'number') return value === 0 && field.name === 'interval_s' ? '' : `${t(field.words)} ${String(value)}${field.unit ? ` ${field.unit}` : ''}`
    return Array.isArray(value) ? joined(value.map((one: Record<string, unknown>) => Object.values(one ?? {}).join(' ')), '、') : String(value)
  })
  return words.filter(Boolean).join(' · ')
}

function optionWords(options: { value: string | number; words: Parameters<typeof t>[0] }[], value: unknown): string {
  const option = options.find((one) => one.value === value)
  return option ? t(option.words) : String(value)
}

/** What the server writes down of a command's end. */
const REASONS: readonly [RegExp, (found: RegExpExecArray) => string][] = [
  [/^the terminal is off-line$/, () => t('outcome.offline')],
  [/^the firmware's file /, () => t('outcome.noFile')],
  [/keeps no firmware$/, () => t('problem.no-firmware-store')],
  [/^taken back by (.*)$/, ([, who]) => t('outcome.cancelledBy', { who: who! })],
  [/^upgrade: (.*)$/, ([, why]) => t('outcome.upgrade', { why: word('upgradeFailure', why!) })],
  [/^failed$/, () => t('answerValue.result.1')],
  [/^channel not supported$/, () => t('answerValue.result.2')],
  [/^result (\d+)$/, ([, n]) => t('outcome.result', { n: n! })],
]

function reasonWords(reason: string): string {
  for (const [pattern, words] of REASONS) {
    const found = pattern.exec(reason)
    if (found) return words(found)
  }
  return faultWords({ message: reason })
}

/** Why it went wrong, or what came back, in words of the watch; the server's own where there are no better ones. */
export function commandOutcome(command: Command): string {
  if (command.state === 'refused' && command.result !== null) return word('result', String(command.result))
  if (command.state === 'timed_out') return t('outcome.timedOut', { n: command.attempts })
  if (command.state === 'expired') return command.confirm_by && !command.confirmed_at ? t('outcome.notConfirmed') : t('outcome.expired')
  if (command.state === 'cancelled') return reasonWords(command.reason) || t('outcome.cancelled')
  if (command.reason) return reasonWords(command.reason)
  if ((command.kind === 'photo' || command.kind === 'media_upload') && command.progress?.arrived) return t('outcome.photos', { n: command.progress.arrived })
  if (command.state === 'acknowledged' && command.is_open) return t('outcome.waits')
  if (command.state === 'answered') return t('outcome.answered')
  return ''
}

/** How far it is, 0 to 1; null where nothing is counted. */
export function commandShare(command: Command): number | null {
  const total = command.progress?.total
  return total ? Math.min(1, commandDone(command) / total) : null
}

/** Of what is counted, how much is done. A terminal that says that it is upgraded had all packages, confirmed or not. */
export function commandDone(command: Command): number {
  const { progress } = command
  if (command.kind === 'upgrade' && isOver(command) && isGood(command)) return progress?.total ?? 0
  return progress?.arrived ?? Math.max(progress?.sent ?? 0, progress?.acknowledged ?? 0)
}

export function codeName(code: string | null): string {
  return code ? word('code', code) : ''
}

export function isOver(command: Command): boolean {
  return !command.is_open
}

export function isGood(command: Command): boolean {
  return command.state === 'acknowledged' || command.state === 'answered'
}

export function who(name: string | null): string {
  return name ?? t('format.somebody')
}
