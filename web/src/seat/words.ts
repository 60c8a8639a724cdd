/** How an alarm, a command or a vehicle's state reads in a line. */

import type { Alarm, Command, TextCommand } from '@/client'
import { isChinese, t, word } from '@/l10n'
import { placeName } from '@/map/core/places'

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

export function commandWords(command: Command): string {
  const { text } = command.payload as Partial<TextCommand>
  return text ?? ''
}

/** Why it went wrong, or what came back. */
export function commandOutcome(command: Command): string {
  if (command.reason) return command.reason
  if (command.state === 'refused' && command.result !== null) return word('result', String(command.result))
  return ''
}

export function codeName(code: string | null): string {
  return code ? word('code', code) : ''
}

export function isOver(command: Command): boolean {
  return command.state !== 'queued' && command.state !== 'sent'
}

export function isGood(command: Command): boolean {
  return command.state === 'acknowledged' || command.state === 'answered'
}

export function who(name: string | null): string {
  return name ?? t('format.somebody')
}
