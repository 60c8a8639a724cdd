/** Words. The Chinese is the source; the English must have the same keys, which the compiler checks. */

import { computed, shallowRef, watchEffect } from 'vue'
import { read, write } from '@/ui/stored'
import en from './en'
import zh from './zh'

export type Key = keyof typeof zh
export type Locale = 'zh' | 'en'

const dictionaries: Record<Locale, Record<Key, string>> = { zh, en }

export const locale = shallowRef<Locale>(read<Locale>('locale', 'zh') === 'en' ? 'en' : 'zh')
export const isChinese = computed(() => locale.value === 'zh')

watchEffect(() => {
  document.documentElement.lang = isChinese.value ? 'zh-CN' : 'en'
})

export function setLocale(next: Locale): void {
  locale.value = next
  write('locale', next)
}

/** The words for `key`, with `{name}` replaced by `values.name`. */
export function t(key: Key, values?: Record<string, string | number>): string {
  const text = dictionaries[locale.value][key]
  if (!values) return text
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole))
}

/** The words for a value of the API that may be newer than this console: the value itself when it is unknown. */
export function word(prefix: string, value: string, values?: Record<string, string | number>): string {
  const key = `${prefix}.${value}`
  return key in zh ? t(key as Key, values) : value
}

const MARKS = { '、': ', ', '，': ', ', '；': '; ', '：': ': ' }
type Mark = keyof typeof MARKS

/** The Chinese mark, or what stands for it in English. */
export const mark = (chinese: Mark) => (isChinese.value ? chinese : MARKS[chinese])
export const joined = (parts: readonly string[], chinese: Mark) => parts.join(mark(chinese))
