/** Small things that survive a reload, in the browser's storage under one prefix. Storage full or forbidden: they just do not. */

import { ref, watch, type Ref } from 'vue'

const PREFIX = 'roadwarden.'
const DRAFT = 'draft.'

/** Words half typed belong to this tab and this watch; everything else to the browser. */
const placeOf = (name: string) => (name.startsWith(DRAFT) ? sessionStorage : localStorage)

export function read<T>(name: string, fallback: T): T {
  try {
    const text = placeOf(name).getItem(PREFIX + name)
    return text === null ? fallback : (JSON.parse(text) as T)
  } catch {
    return fallback
  }
}

export function write(name: string, value: unknown): void {
  try {
    if (value === undefined || value === null || value === '') placeOf(name).removeItem(PREFIX + name)
    else placeOf(name).setItem(PREFIX + name, JSON.stringify(value))
  } catch {
    // nothing to be done, and nothing lost but a convenience
  }
}

export function stored<T>(name: string, fallback: T): Ref<T> {
  const value = ref(read(name, fallback)) as Ref<T>
  watch(value, (next) => write(name, next), { deep: true })
  return value
}

/** Who leaves the seat leaves no half-written words to the next. */
export function dropDrafts(): void {
  try {
    for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX + DRAFT)) sessionStorage.removeItem(key)
  } catch {
    // forbidden storage has none
  }
}
