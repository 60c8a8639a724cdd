/** Terminal parameters (终端参数) as people read and write them. */

import { computed, shallowRef } from 'vue'
import { api, type ParameterType } from '@/client'
import { isChinese, joined, t, word } from '@/l10n'

export const parameterTypes = shallowRef<ParameterType[]>([])
const byId = computed(() => new Map(parameterTypes.value.map((type) => [type.id, type])))
let asked: Promise<void> | null = null

/** Ask for the table, once; a failure is told and may be tried again. */
export function readParameterTypes(): Promise<void> {
  asked ??= api.parameterTypes().then(
    (rows) => void (parameterTypes.value = rows),
    (error: unknown) => {
      asked = null
      throw error
    },
  )
  return asked
}

export const hexId = (id: number) => `0x${id.toString(16).toUpperCase().padStart(4, '0')}`
export const parameterType = (id: number) => byId.value.get(id)

export function parameterName(id: number): string {
  const type = byId.value.get(id)
  return type ? (isChinese.value ? type.chinese : type.english) : hexId(id)
}

const named = (one: { chinese: string; english: string }) => (isChinese.value ? one.chinese : one.english)

/** A value with its unit, or what it means. */
export function parameterValue(id: number, value: unknown): string {
  const type = byId.value.get(id)
  if (value === null || value === undefined) return '—'
  const choice = type?.choices?.find((one) => one.value === value)
  if (choice) return named(choice)
  if (type?.type === 'flags' && typeof value === 'number') return value ? joined(flagNames(type, value), '、') : t('param.none')
  if (typeof value === 'object') return partsWords(value)
  return type?.unit ? `${String(value)} ${type.unit}` : String(value)
}

/** Parts of parts, as deep as they go. */
function partsWords(value: unknown): string {
  if (Array.isArray(value)) return joined(value.map((one) => (typeof one === 'object' ? `(${partsWords(one)})` : String(one))), '、')
  if (typeof value !== 'object' || value === null) return typeof value === 'boolean' ? t(value ? 'format.yes' : 'format.no') : String(value)
  return joined(Object.entries(value).map(([name, part]) => `${word('answer', name)} ${partsWords(part)}`), '，')
}

export function flagNames(type: ParameterType, value: number): string[] {
  return (type.flags ?? []).filter((flag) => isSet(value, flag.value)).map(named)
}

/** Bit 31 is a bit like the others: JavaScript's own operators would make the number negative. */
export const isSet = (value: number, bit: number) => Math.floor(value / 2 ** bit) % 2 === 1
export const withBit = (value: number, bit: number, on: boolean) => (isSet(value, bit) === on ? value : value + (on ? 1 : -1) * 2 ** bit)

/** As they stand together in the standard's table. */
export const PARAMETER_GROUPS = [
  { key: 'link', from: 0x0001, to: 0x001f },
  { key: 'report', from: 0x0020, to: 0x0032 },
  { key: 'phone', from: 0x0040, to: 0x0049 },
  { key: 'alarm', from: 0x0050, to: 0x005e },
  { key: 'photo', from: 0x0064, to: 0x0074 },
  { key: 'video', from: 0x0075, to: 0x007c },
  { key: 'vehicle', from: 0x0080, to: 0x0084 },
  { key: 'gnss', from: 0x0090, to: 0x0095 },
  { key: 'can', from: 0x0100, to: 0x01ff },
  { key: 'safety', from: 0xf364, to: 0xf367 },
  { key: 'maker', from: 0xf000, to: 0xffff },
] as const
export type GroupKey = (typeof PARAMETER_GROUPS)[number]['key'] | 'other'

export function groupOf(id: number): GroupKey {
  if (id === 0x0032) return 'alarm'
  if (id >= 0x0023 && id <= 0x0026) return 'link'
  return PARAMETER_GROUPS.find((group) => id >= group.from && id <= group.to)?.key ?? 'other'
}

/** What a terminal said of itself in a 0x0104, by id. */
export interface Reading {
  id: number
  value: unknown
  raw: string
}

export function readingsOf(answer: Record<string, unknown> | null): Map<number, Reading> {
  const rows = (answer?.parameters ?? []) as { id: string; value: unknown; raw: string }[]
  return new Map(rows.map((row) => [Number(row.id), { id: Number(row.id), value: row.value, raw: row.raw }]))
}
