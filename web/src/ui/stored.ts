/** Small things that survive a reload, in localStorage under one prefix. Storage full or forbidden: they just do not. */

import { ref, watch, type Ref } from 'vue'

const PREFIX = 'roadwarden.'

export function read<T>(name: string, fallback: T): T {
  try {
    const text = localStorage.getItem(PREFIX + name)
    return text === null ? fallback : (JSON.parse(text) as T)
  } catch {
    return fallback
  }
}

export function write(name: string, value: unknown): void {
  try {
    if (value === undefined || value === null || value === '') localStorage.removeItem(PREFIX + name)
    else localStorage.setItem(PREFIX + name, JSON.stringify(value))
  } catch {
    // nothing to be done, and nothing lost but a convenience
  }
}

export function stored<T>(name: string, fallback: T): Ref<T> {
  const value = ref(read(name, fallback)) as Ref<T>
  watch(value, (next) => write(name, next), { deep: true })
  return value
}
